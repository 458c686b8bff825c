"""Networks by configuration, and made from Python."""

import inspect

import pytest

from cinnflow.config_network import DeepSetNetwork, SetTransformerNetwork, TimeSeriesNetwork
from cinnflow.networks import deep_set, set_transformer, time_series


@pytest.mark.parametrize(
    ("section", "network"),
    [
        (DeepSetNetwork(), deep_set.DeepSet),
        (SetTransformerNetwork(type="set_transformer"), set_transformer.SetTransformer),
        (TimeSeriesNetwork(type="time_series"), time_series.TimeSeriesNetwork),
    ],
)
def test_networks_made_from_python_have_the_defaults_of_the_configuration(section, network):
    own = {name: parameter.default for name, parameter in inspect.signature(network).parameters.items()}
    configured = section.model_dump(exclude={"type"})
    assert {name: own[name] for name in configured} == configured
