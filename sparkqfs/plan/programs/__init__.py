"""Decisions about applications. Pure."""
