"""From outside onto the disk: what a monitoring server passed, kept until it is delivered."""
