"""From a stored event to its ticket: what is due, what it means, each call, what is tried again."""
