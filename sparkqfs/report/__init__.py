"""Text for people, JSON for programs, pages."""
