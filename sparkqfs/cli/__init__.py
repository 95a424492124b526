"""The tasks of the command line: flags in, one job, a report and an exit code out."""
