"""What is wrong, decided from facts. Pure."""
