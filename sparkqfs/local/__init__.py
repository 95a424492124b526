"""A cluster of container machines on this computer."""
