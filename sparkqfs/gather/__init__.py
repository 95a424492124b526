"""Asks machines and the swarm, once each."""
