"""A machine made ready: init's questions, the drop-ins, whom monitoring systems run as."""
