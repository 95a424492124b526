"""status and top."""
