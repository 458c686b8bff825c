"""From networks to a posterior: parameter transforms, standardization, the amortized posterior and its file."""
