"""Summary networks and the conditional invertible network, as Keras layers."""
