"""BlueRockTEL: its client, what travels, what it answers, and what can go wrong with it."""
