"""What each task does: it asks, has the plan made, carries it out and says what came of it."""
