"""Decisions of the benchmarks. Pure."""
