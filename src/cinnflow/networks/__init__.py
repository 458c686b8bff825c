"""Summary networks and the conditional invertible network, as Keras layers that a saved posterior can name."""

from cinnflow.networks.deep_set import DeepSet
from cinnflow.networks.invertible_network import InvertibleNetwork
from cinnflow.networks.set_transformer import SetTransformer
from cinnflow.networks.time_series import TimeSeriesNetwork

__all__ = ["DeepSet", "InvertibleNetwork", "SetTransformer", "TimeSeriesNetwork"]
