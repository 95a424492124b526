"""What machines, the swarm and web pages say: frozen data and pure parsers."""
