"""Spark programs that measure, started by tasks in the jupyter-server container."""
