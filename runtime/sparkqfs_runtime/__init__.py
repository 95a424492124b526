"""What runs inside the containers: standard library only, but for the Spark programs in `measuring` and
`files.copying`."""
