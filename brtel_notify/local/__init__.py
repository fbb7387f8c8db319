"""What every room needs of this machine: files, the log, clean text, errors in words."""
