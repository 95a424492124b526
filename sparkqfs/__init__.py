"""Apache Spark with a data-local distributed file system on a Docker Swarm, driven by Invoke tasks."""

__version__ = "0.1.0"
