"""Files of the storage, from inside a container."""
