"""All names of a storage as a list: of one that runs, and of a state of its metadata."""
