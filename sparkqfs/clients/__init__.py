"""The only place with network, threads and clock."""
