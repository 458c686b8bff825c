"""A training that is taken up again ends with the bits of one that never stopped, and never with another's state."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest
from conjugate_gaussian import simulate

from cinnflow.inference.amortized_posterior import AmortizedPosterior
from cinnflow.networks import DeepSet, InvertibleNetwork
from cinnflow.training.checkpoint import Checkpoint
from cinnflow.training.trainer import Trainer

SMALL = {"num_dense": 1, "dense_args": {"units": 8}}


class Killed(Exception):
    """Stands for whatever ends a process."""


def varying(count, rng):
    return simulate(count, rng, n_obs=int(rng.integers(1, 40)))


def train(regime, folder=None, kill_after=None, model=varying, epochs=5, patience=None, **changes):
    """One training; its weights, and how many epochs were trained."""
    settings = {**SMALL, "dropout": True, "dropout_prob": 0.2}
    posterior = AmortizedPosterior(
        InvertibleNetwork(2, 1, coupling_settings=settings, use_soft_flow=True), DeepSet(2, num_dense=1, units=8)
    )
    seen = []

    def follow(epoch):
        seen.append(epoch.epoch)
        if epoch.epoch == kill_after:
            raise Killed

    trainer = Trainer(posterior, model, checkpoint_path=folder, on_epoch=follow, **({"seed": 4} | changes))
    if regime == "offline":
        simulations = simulate(200, np.random.default_rng(0))
        trainer.train_offline(simulations, epochs, 16, validation_sims=50, patience=patience)
    else:
        trainer.train_experience_replay(epochs, 12, 8, buffer_capacity=20, validation_sims=32)
    return posterior.get_weights(), seen


def identical(one, other):
    return all(np.array_equal(first, second) for first, second in zip(one, other, strict=True))


@pytest.mark.parametrize("regime", ["offline", "replay"])
def test_a_killed_training_goes_on_where_it_was(regime, tmp_path, monkeypatch):
    monkeypatch.setattr(Checkpoint, "due", True)
    right, _ = train(regime)
    with pytest.raises(Killed):
        train(regime, tmp_path, kill_after=3)
    weights, seen = train(regime, tmp_path)
    assert seen == [4, 5]
    assert identical(weights, right)
    if regime == "offline":
        again, seen = train(regime, tmp_path)
        assert seen == []
        assert identical(again, right)


def test_a_training_that_stopped_early_is_not_done_again(tmp_path, monkeypatch):
    monkeypatch.setattr(Checkpoint, "due", False)
    settings = {"epochs": 29, "patience": 1, "default_lr": 0.05}
    right, seen = train("offline", tmp_path, **settings)
    assert seen[-1] < 29
    again, seen = train("offline", tmp_path, **settings)
    assert seen == []
    assert identical(again, right)


def test_a_checkpoint_is_of_one_training_alone(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(Checkpoint, "due", True)
    with pytest.raises(Killed):
        train("offline", tmp_path, kill_after=1)
    with pytest.raises(Killed):
        train("offline", tmp_path, kill_after=2, default_lr=3e-3)
    monkeypatch.setattr("cinnflow.training.epochs.code_digest", lambda: "other code")
    with pytest.raises(Killed):
        train("offline", tmp_path, kill_after=2, default_lr=3e-3)
    assert Checkpoint(tmp_path / "training-0.npz", "another").read() == {}
    assert "is of another training" in caplog.text


def shifted(count, rng):
    simulated = simulate(count, rng)
    return simulated | {"sim_data": simulated["sim_data"] + 1}


def test_a_checkpoint_is_not_taken_up_with_another_simulator(tmp_path):
    def trained(model, folder):
        posterior = AmortizedPosterior(
            InvertibleNetwork(2, 1, coupling_settings=SMALL), DeepSet(2, num_dense=1, units=8)
        )
        first = simulate(200, np.random.default_rng(0))
        posterior.adapt(first["prior_draws"], first["sim_data"])  # so that the simulations do not decide on scales
        Trainer(posterior, model, checkpoint_path=folder).train_online(1, 4, 8)
        return posterior.get_weights()

    trained(simulate, tmp_path)
    assert identical(trained(shifted, tmp_path), trained(shifted, None))


def test_a_checkpoint_is_not_taken_up_with_other_code_of_a_layer(tmp_path):
    def trained(activation, folder):
        path = tmp_path / f"{activation}.py"
        path.write_text(
            "import keras\n"
            "class Own(keras.Layer):\n"
            "    def __init__(self):\n"
            "        super().__init__(name='own')\n"
            "        self.dense = keras.layers.Dense(4, kernel_initializer=keras.initializers.GlorotUniform(seed=1))\n"
            "    def call(self, x):\n"
            f"        return keras.ops.{activation}(keras.ops.mean(self.dense(x), axis=1))\n"
        )
        spec = importlib.util.spec_from_file_location("own_layer", path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "own_layer", module)
        spec.loader.exec_module(module)
        posterior = AmortizedPosterior(InvertibleNetwork(2, 1, coupling_settings=SMALL), module.Own())
        simulations = simulate(64, np.random.default_rng(0))
        Trainer(posterior, checkpoint_path=folder).train_offline(simulations, 2, 16)
        return posterior.get_weights()

    with pytest.MonkeyPatch.context() as monkeypatch:
        trained("relu", tmp_path / "checkpoints")
        assert identical(trained("tanh", tmp_path / "checkpoints"), trained("tanh", None))


def test_other_first_weights_are_told_of(tmp_path, caplog):
    Checkpoint(tmp_path / "a.npz", "mine", "some").write({"a": np.arange(3.0)})
    assert Checkpoint(tmp_path / "a.npz", "mine", "others").read() == {}
    assert "set_random_seed" in caplog.text


@pytest.mark.parametrize("damage", [b"", b"PK\3\4", b"no archive", "flipped"])
def test_a_damaged_checkpoint_is_left_out(damage, tmp_path, caplog):
    checkpoint = Checkpoint(tmp_path / "training-0.npz", "mine")
    checkpoint.write({"a": np.arange(3.0)})
    np.testing.assert_array_equal(checkpoint.read()["a"], [0, 1, 2])
    content = checkpoint.path.read_bytes()
    for place in range(len(content)) if damage == "flipped" else [0]:
        flipped = bytearray(content)
        flipped[place] ^= 1
        checkpoint.path.write_bytes(flipped if damage == "flipped" else damage)
        assert checkpoint.read() == {}
    assert "is damaged" in caplog.text


def test_checkpoints_take_a_small_share_of_the_time(tmp_path):
    checkpoint = Checkpoint(tmp_path / "training-0.npz", "mine")
    assert checkpoint.due
    checkpoint.write({"a": np.zeros(10**6)})
    assert not checkpoint.due
