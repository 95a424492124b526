"""SQL for a person or a script, in the Connect server's container: `invoke sql`."""
