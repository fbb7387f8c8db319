"""What the commands share: parsers, tables, what is looked at, self-test."""
