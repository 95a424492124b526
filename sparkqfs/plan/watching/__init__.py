"""Verdicts on a running cluster. Pure."""
