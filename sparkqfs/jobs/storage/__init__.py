"""The file system: made, and erased."""
