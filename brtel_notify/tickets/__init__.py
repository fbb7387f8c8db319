"""Tickets: the map of the open ones, whose they are, what they are opened with."""
