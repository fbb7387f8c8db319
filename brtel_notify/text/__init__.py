"""What is written: templates and expressions, what they see and may do, HTML, points in time."""
