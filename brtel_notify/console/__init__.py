"""What the commands share, and the larger parts of one: output, failures, tables, the self-test."""
