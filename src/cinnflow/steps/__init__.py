"""What the rules run: one thin module a step, which turns arguments into one call of the library."""
