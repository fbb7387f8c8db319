"""What `brtel-notify init` is made of: asking, answers, and the files it writes."""
