"""Training: compiled updates, regimes, data and history."""
