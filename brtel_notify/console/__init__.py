"""What the commands share: failures, output, tables, a look at the state folder, the self-test."""
