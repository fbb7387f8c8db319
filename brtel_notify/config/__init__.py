"""config.yml: its keys, how their values are read, and where each stands in the file."""
