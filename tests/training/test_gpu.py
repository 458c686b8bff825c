"""On a GPU: the same bits each time, also after a kill, the log densities of a CPU, and recurrent networks too."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from conjugate_gaussian import simulate

import cinnflow as cf

pytestmark = pytest.mark.skipif(not tf.config.list_physical_devices("GPU"), reason="TensorFlow sees no GPU here")

TRAINING = """
import sys
from pathlib import Path
import numpy as np
from cinnflow.networks.device import use_device

use_device(2)

import cinnflow as cf
from cinnflow.training.checkpoint import Checkpoint

Checkpoint.due = True
sys.path.append(sys.argv[1])
from conjugate_gaussian import simulate

posterior = cf.AmortizedPosterior(cf.InvertibleNetwork(2, 2), cf.DeepSet(4))
folder = Path(sys.argv[2])
trainer = cf.Trainer(posterior, checkpoint_path=folder, history_path=folder / "history.csv", seed=3)
trainer.train_offline(simulate(2000, np.random.default_rng(0)), 40, 64, patience=0)
np.savez(folder / "weights.npz", *posterior.get_weights())
"""


def start(folder):
    folder.mkdir(exist_ok=True)
    return subprocess.Popen([sys.executable, "-c", TRAINING, Path(__file__).parent, folder])


def weights(folder):
    with np.load(folder / "weights.npz") as archive:
        return [archive[name] for name in archive.files]


def test_a_killed_training_ends_with_the_bits_of_an_undisturbed_one(tmp_path):
    undisturbed, killed = start(tmp_path / "undisturbed"), start(tmp_path / "killed")
    history = tmp_path / "killed" / "history.csv"
    while not history.exists() or history.read_text().count("\n") < 10:
        assert killed.poll() is None
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert history.read_text().count("\n") < 40
    assert start(tmp_path / "killed").wait() == undisturbed.wait() == 0
    for one, other in zip(weights(tmp_path / "undisturbed"), weights(tmp_path / "killed"), strict=True):
        np.testing.assert_array_equal(one, other)


def test_log_densities_are_those_of_a_cpu(tmp_path):
    posterior = cf.AmortizedPosterior(cf.InvertibleNetwork(2, 2), cf.DeepSet(4))
    simulations = simulate(2000, np.random.default_rng(0))
    cf.Trainer(posterior, seed=1).train_offline(simulations, 4, 64)
    posterior.save(tmp_path / "network.keras")
    with tf.device("/CPU:0"):
        on_cpu = cf.load_posterior(tmp_path / "network.keras").log_prob(*simulations.values())
    np.testing.assert_allclose(posterior.log_prob(*simulations.values()), on_cpu, atol=1e-4)


@pytest.mark.parametrize("kind", [cf.TimeSeriesNetwork, lambda: keras.Sequential([keras.layers.LSTM(4)])])
def test_recurrent_networks_train(kind):
    posterior = cf.AmortizedPosterior(cf.InvertibleNetwork(2, 2), kind())
    history = cf.Trainer(posterior).train_offline(simulate(500, np.random.default_rng(0)), 2, 64)
    assert np.isfinite(history.table()["loss"]).all()
