"""Applications of users."""
