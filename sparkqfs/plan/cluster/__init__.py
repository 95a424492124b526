"""Decisions about machines, images and trust. Pure."""
