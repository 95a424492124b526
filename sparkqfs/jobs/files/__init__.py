"""The storage's files."""
