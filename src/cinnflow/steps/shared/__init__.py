"""What several steps need."""
