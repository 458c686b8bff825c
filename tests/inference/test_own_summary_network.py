"""Summary networks of the user's own: any Keras layer of the model file, by its name in the configuration."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest

import cinnflow as cf
from cinnflow.config import ConfigError, Training
from cinnflow.config_network import Network
from cinnflow.inference.errors import PosteriorFileError, SummaryNetworkError
from cinnflow.networks.from_config import build_networks
from cinnflow.plan import Plan
from cinnflow.simulation.model_file import import_model
from cinnflow.store.reader import Simulations
from cinnflow.training.fit import fit

MODEL = '''
import keras
import cinnflow as cf


class Means(keras.layers.Layer):
    """Without a build() and compute_output_shape() of its own, and not registered."""

    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.dense = keras.layers.Dense(units, activation="relu")

    def call(self, x):
        return keras.ops.mean(self.dense(x), axis=1)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def not_a_layer():
    return 3


def build():
    prior = cf.Prior(lambda rng: rng.normal(size=2))
    return cf.GenerativeModel(prior, cf.Simulator(lambda theta, rng: theta + rng.normal(size=(5, 2))))
'''
NOT_SAVED = """

class NoKwargs(keras.layers.Layer):
    def __init__(self, width=8):
        super().__init__()
        self.dense = keras.layers.Dense(width)

    def call(self, x):
        return keras.ops.mean(self.dense(x), axis=1)


class Forgets(Means):
    def get_config(self):
        return keras.layers.Layer.get_config(self)


def inside():
    class Inner(Means):
        pass

    return Inner()


def registered():
    @keras.saving.register_keras_serializable("mine")
    class Pool(Means):
        pass

    return Pool()
"""
THETA, DATA = np.random.default_rng(0).normal(size=(30, 2)), np.random.default_rng(1).normal(size=(30, 5, 2))


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "own" / "model.py"
    path.parent.mkdir()
    path.write_text(MODEL)
    return path


def network(**summary):
    return Network.model_validate({"summary": summary, "inference": {"num_coupling_layers": 2, "units": 8}})


def trained(model, **settings):
    asked = network(type="Means", **settings)
    inference_net, summary_net = build_networks(asked, 2, seed=1, own_summary=import_model(model).Means)
    posterior = cf.AmortizedPosterior(inference_net, summary_net)
    posterior.adapt(THETA, DATA)
    return posterior


def test_a_class_of_the_model_file_is_made_with_its_settings_and_all_of_it_is_trained(model):
    posterior = trained(model, units=7)
    assert posterior.summaries(DATA).shape == (30, 7)
    assert len(posterior.summary_net.trainable_variables) == 2
    before = posterior.summary_net.get_weights()
    cf.Trainer(posterior).train_offline({"prior_draws": THETA, "sim_data": DATA}, epochs=1, batch_size=10)
    assert np.any(posterior.summary_net.get_weights()[0] != before[0])


@pytest.mark.parametrize(
    "summary_net",
    [
        keras.Sequential([keras.layers.LSTM(4)]),
        keras.Sequential([keras.layers.Bidirectional(keras.layers.GRU(4))]),
        cf.TimeSeriesNetwork(4),
    ],
)
def test_recurrent_layers_train_where_there_is_a_gpu(summary_net, monkeypatch):
    posterior = cf.AmortizedPosterior(cf.InvertibleNetwork(2, 1), summary_net)
    posterior.adapt(THETA, DATA)
    # Keras would take cuDNN's own operation there, which XLA does not compile.
    monkeypatch.setattr(sys.modules["keras.src.backend.tensorflow.rnn"], "_is_gpu_available", lambda: True)
    cf.Trainer(posterior).train_offline({"prior_draws": THETA, "sim_data": DATA}, epochs=1, batch_size=10)


def test_another_process_loads_it_with_the_model_file_and_is_told_so_without(model, tmp_path):
    posterior = trained(model)
    posterior.save(tmp_path / "network.keras")
    script = (
        "import sys, numpy as np, cinnflow as cf\n"
        "rng = np.random.default_rng(1)\n"
        "try:\n    cf.load_posterior(sys.argv[1])\n"
        "except ValueError as error:\n    assert 'Means' in str(error) and 'model=' in str(error), error\n"
        "else:\n    raise AssertionError\n"
        "posterior = cf.load_posterior(sys.argv[1], model=sys.argv[2])\n"
        "np.save(sys.argv[3], posterior.members[0].sample(rng.normal(size=(30, 5, 2)), 4, seed=3))\n"
    )
    arguments = [tmp_path / "network.keras", model, tmp_path / "draws.npy"]
    subprocess.run([sys.executable, "-c", script, *arguments], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "draws.npy"), posterior.sample(DATA, 4, seed=3))


def test_a_class_that_the_model_file_lacks_is_told_before_anything_runs(model):
    study = {"study": "own", "model": str(model), "network": {"summary": {"type": "Mean"}}}
    with pytest.raises(ConfigError, match=r"network.summary.type: got 'Mean'; takes deep_set.*or the name of a class"):
        Plan.of(study)
    study["network"]["summary"] = {"type": "Means", "unitz": 3}
    with pytest.raises(ConfigError, match=r"network.summary: Means does not take its settings: .*'unitz'") as error:
        Plan.of(study)
    assert "kwargs" not in str(error.value)
    study["network"]["summary"] = {"type": "Means", "units": 3}
    assert Plan.of(study).own_network == "Means"


def test_its_code_is_none_of_the_meaning_of_a_simulation(model):
    study = {"study": "own", "model": str(model), "network": {"summary": {"type": "Means"}}}
    before = Plan.of(study)
    code = before.code("Means")
    model.write_text(MODEL.replace('"relu"', '"tanh"'))
    after = Plan.of(study)
    assert after.fingerprint == before.fingerprint
    assert after.code("Means") != code


def test_settings_and_layers_that_do_not_fit_are_told(model):
    module = import_model(model)
    with pytest.raises(ConfigError, match=r"Means does not take its settings.*unitz"):
        build_networks(network(type="Means", unitz=3), 2, 1, own_summary=module.Means)
    with pytest.raises(ConfigError, match="not_a_layer must give a Keras layer, and gave a int"):
        build_networks(network(type="not_a_layer"), 2, 1, own_summary=module.not_a_layer)
    with pytest.raises(SummaryNetworkError, match=r"for two data sets it gave \(2, 5, 3\)"):
        cf.AmortizedPosterior(cf.InvertibleNetwork(2, 1), keras.layers.Dense(3)).adapt(THETA, DATA)
    with pytest.raises(SummaryNetworkError, match="must take a mask"):
        trained(model).sample({"x": DATA, "mask": np.ones((30, 5), bool)}, 3)


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("inside", {}, "class Inner is defined within a function.*: define it at the top level of the model file"),
        ("registered", {}, "class Pool is defined within a function.*: define it at the top level of the model file"),
        ("NoKwargs", {}, r"pass \*\*kwargs on to super.*unexpected keyword argument 'trainable'"),
        ("Forgets", {"units": 5}, "return all other arguments from get_config"),
    ],
)
def test_a_network_that_no_file_gives_back_is_told_before_it_is_trained(model, name, settings, says):
    model.write_text(MODEL + NOT_SAVED)
    unbounded, epochs = np.full(2, np.inf), []
    with pytest.raises(SummaryNetworkError, match=says):
        fit(
            Simulations(["a", "b"], -unbounded, unbounded, THETA, {"x": DATA}),
            network=network(type=name, **settings),
            training=Training(epochs=1, batch_size=10),
            seed=1,
            own_summary=getattr(import_model(model), name),
            on_epoch=epochs.append,
        )
    assert not epochs


def test_a_class_that_is_gone_is_told(model, tmp_path):
    posterior = trained(model)
    posterior.save(tmp_path / "network.keras")
    model.write_text(MODEL.replace("class Means", "class Others"))
    import_model(model)
    with pytest.raises(PosteriorFileError, match="class 'Means', which is not known here"):
        cf.AmortizedPosterior.load(tmp_path / "network.keras")


def test_from_python_too_what_does_not_come_back_is_told_before_and_refused_at_the_end(model, tmp_path):
    model.write_text(model.read_text() + NOT_SAVED)
    posterior = cf.AmortizedPosterior(cf.InvertibleNetwork(2, 1), import_model(model).NoKwargs())
    posterior.adapt(THETA, DATA)
    trainer = cf.Trainer(posterior)
    with pytest.warns(UserWarning, match=r"can be trained, and not be saved: .*pass \*\*kwargs on"):
        trainer.train_offline({"prior_draws": THETA, "sim_data": DATA}, epochs=1, batch_size=10)
    with pytest.raises(SummaryNetworkError, match=r"pass \*\*kwargs on to super\(\).__init__") as raised:
        posterior.save(tmp_path / "network.keras")
    assert len(str(raised.value)) < 1000
    assert not (tmp_path / "network.keras").exists()


def test_a_network_for_other_channels_is_told_that_each_comes_twice():
    network = keras.Sequential([keras.Input((5, 2)), keras.layers.Flatten(), keras.layers.Dense(3)])
    posterior = cf.AmortizedPosterior(cf.InvertibleNetwork(2, 1), network)
    with pytest.raises(SummaryNetworkError, match=r"of shape \(5, 4\): first all channels, standardized"):
        posterior.adapt(THETA, DATA)
