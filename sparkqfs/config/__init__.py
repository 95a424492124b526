"""hosts.yml as data: the model, reading and checking it, and writing it again."""
