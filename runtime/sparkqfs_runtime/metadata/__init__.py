"""Copies of the storage's metadata on other machines: what is copied, who keeps it, and which is the newer."""
