"""Machines, swarm, images and the stack."""
