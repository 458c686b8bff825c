"""A saved posterior is the same everywhere, or refused with a reason."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from posteriors import posterior, simulations

from cinnflow.inference.amortized_posterior import AmortizedPosterior
from cinnflow.inference.saving import PosteriorFileError
from cinnflow.networks import DeepSet, InvertibleNetwork

THETA, DATA = simulations()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    made = posterior("time_series")
    path = tmp_path_factory.mktemp("fit") / "network.keras"
    made.save(path)
    return made, path


def altered(path, folder, **entries):
    """A copy of a saved posterior with other entries; None leaves one out."""
    copy = folder / "altered.keras"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            key = name.replace(".", "_")
            content = entries[key] if key in entries else old.read(name)
            if content is not None:
                new.writestr(name, content)
    return copy


def test_another_process_draws_the_same_bits(saved, tmp_path):
    made, path = saved
    np.savez(tmp_path / "data.npz", **DATA)
    script = (
        "import sys, numpy as np, cinnflow as cf\n"
        "posterior = cf.AmortizedPosterior.load(sys.argv[1])\n"
        "data = dict(np.load(sys.argv[2]))\n"
        "np.save(sys.argv[3], posterior.sample(data, 20, seed=5))\n"
    )
    subprocess.run([sys.executable, "-c", script, path, tmp_path / "data.npz", tmp_path / "draws.npy"], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "draws.npy"), made.sample(DATA, 20, seed=5))


def test_a_loaded_posterior_has_names_bounds_and_density(saved):
    made, path = saved
    loaded = AmortizedPosterior.load(path)
    assert loaded.names == made.names
    np.testing.assert_array_equal(loaded.lower, made.lower)
    np.testing.assert_array_equal(loaded.upper, made.upper)
    np.testing.assert_array_equal(loaded.transform.closest, made.transform.closest)
    np.testing.assert_array_equal(loaded.log_prob(THETA, DATA), made.log_prob(THETA, DATA))
    with pytest.raises(ValueError, match="names series, pupils"):
        loaded.sample({"x": DATA["series"]}, 5)


def test_saving_twice_gives_the_same_bytes_and_leaves_nothing_else(saved, tmp_path):
    made, path = saved
    made.save(tmp_path / "again.keras")
    assert (tmp_path / "again.keras").read_bytes() == path.read_bytes()
    assert [file.name for file in tmp_path.iterdir()] == ["again.keras"]


def test_settings_with_regularizers_and_splines_come_back(tmp_path):
    settings = {"dense_args": {"units": 8, "kernel_regularizer": keras.regularizers.L2(1e-4)}, "bins": 4}
    made = AmortizedPosterior(
        InvertibleNetwork(3, 2, "spline", settings, use_soft_flow=True), DeepSet(3, num_equiv=1, units=8)
    )
    made.adapt(THETA, DATA)
    made.save(tmp_path / "network.keras")
    loaded = AmortizedPosterior.load(tmp_path / "network.keras")
    np.testing.assert_array_equal(loaded.log_prob(THETA, DATA), made.log_prob(THETA, DATA))
    assert len(loaded.losses) == len(made.losses) > 0


def test_a_damaged_file_is_refused(saved, tmp_path):
    _, path = saved
    content = path.read_bytes()
    broken = tmp_path / "broken.keras"
    rng = np.random.default_rng(0)
    for _ in range(40):
        flipped = bytearray(content)
        flipped[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        broken.write_bytes(flipped)
        try:
            loaded = AmortizedPosterior.load(broken)
        except PosteriorFileError as error:
            assert "broken.keras" in str(error)
        else:  # a bit of the archive's own bookkeeping that nobody reads
            np.testing.assert_array_equal(loaded.log_prob(THETA, DATA), saved[0].log_prob(THETA, DATA))
    for length in (0, 10, len(content) // 2, len(content) - 1):
        broken.write_bytes(content[:length])
        with pytest.raises(PosteriorFileError, match="damaged or no posterior"):
            AmortizedPosterior.load(broken)


def test_weights_of_another_configuration_are_refused(saved, tmp_path):
    _, path = saved
    other = tmp_path / "other.keras"
    posterior("none").save(other)
    with zipfile.ZipFile(other) as archive:
        weights = archive.read("model.weights.h5")
    with pytest.raises(PosteriorFileError, match="content is not what was saved"):
        AmortizedPosterior.load(altered(path, tmp_path, model_weights_h5=weights))


def test_a_file_from_a_newer_version_is_refused(saved, tmp_path):
    label = json.dumps({"format": 99, "version": "7.0", "digests": {}})
    with pytest.raises(PosteriorFileError, match=r"saved by cinnflow 7.0.*use cinnflow 7.0 or newer"):
        AmortizedPosterior.load(altered(saved[1], tmp_path, cinnflow_json=label))


def test_a_foreign_keras_file_is_refused(saved, tmp_path):
    with pytest.raises(PosteriorFileError, match="no posterior saved by cinnflow"):
        AmortizedPosterior.load(altered(saved[1], tmp_path, cinnflow_json=None))


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(FileNotFoundError):
        AmortizedPosterior.load(tmp_path / "none.keras")


def test_a_summary_network_of_the_user_is_asked_for_by_name(tmp_path):
    script = f"""
import keras, numpy as np, sys
from cinnflow.inference.amortized_posterior import AmortizedPosterior
from cinnflow.networks import InvertibleNetwork

@keras.saving.register_keras_serializable(package="mine")
class Mean(keras.Layer):
    def call(self, x, mask=None, training=False):
        return keras.ops.mean(x, axis=1)

    def compute_output_shape(self, shape):
        return (shape[0], shape[2])

posterior = AmortizedPosterior(InvertibleNetwork(2, 1), Mean())
posterior.adapt(np.random.default_rng(0).normal(size=(9, 2)), np.random.default_rng(1).normal(size=(9, 5, 3)))
posterior.save({str(tmp_path / "network.keras")!r})
assert AmortizedPosterior.load({str(tmp_path / "network.keras")!r}).sample(np.zeros((1, 5, 3)), 2).shape == (1, 2, 2)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    with pytest.raises(PosteriorFileError, match=r"mine>Mean.*import the file that defines it"):
        AmortizedPosterior.load(tmp_path / "network.keras")


@pytest.mark.parametrize("activation", [keras.activations.gelu, tf.nn.relu, "tanh", None])
def test_activations_given_as_functions_come_back(tmp_path, activation):
    theta, data = simulations()
    settings = {"dense_args": {"activation": activation}}
    made = AmortizedPosterior(
        InvertibleNetwork(3, 1, coupling_settings=settings), DeepSet(summary_dim=2, activation=activation)
    )
    made.adapt(theta, {"x": data["series"]})
    made.save(tmp_path / "network.keras")
    loaded = AmortizedPosterior.load(tmp_path / "network.keras")
    np.testing.assert_array_equal(
        loaded.log_prob(theta, {"x": data["series"]}), made.log_prob(theta, {"x": data["series"]})
    )


def test_an_activation_that_no_file_could_name_is_refused():
    with pytest.raises(ValueError, match="activation takes one that Keras knows by name"):
        DeepSet(activation=lambda x: x)
