"""A training that is taken up again ends with the bits of one that never stopped, and never with another's state."""

from __future__ import annotations

import numpy as np
import pytest
from conjugate_gaussian import simulate

from cinnflow.inference.amortized_posterior import AmortizedPosterior
from cinnflow.networks import DeepSet, InvertibleNetwork
from cinnflow.training.checkpoint import Checkpoint
from cinnflow.training.trainer import Trainer


class Killed(Exception):
    """Stands for whatever ends a process."""


def varying(count, rng):
    return simulate(count, rng, n_obs=int(rng.integers(1, 40)))


def train(regime, folder=None, kill_after=None, model=varying, patience=None, **changes):
    """One training; its weights, and how many epochs were trained."""
    settings = {"dense_args": {"units": 8}, "dropout": True, "dropout_prob": 0.2}
    posterior = AmortizedPosterior(
        InvertibleNetwork(2, 1, coupling_settings=settings, use_soft_flow=True), DeepSet(2, units=8)
    )
    seen = []

    def follow(epoch):
        seen.append(epoch.epoch)
        if epoch.epoch == kill_after:
            raise Killed

    trainer = Trainer(posterior, model, checkpoint_path=folder, on_epoch=follow, **({"seed": 4} | changes))
    if regime == "offline":
        simulations = simulate(200, np.random.default_rng(0))
        trainer.train_offline(simulations, 5, 16, validation_sims=50, patience=patience)
    else:
        trainer.train_experience_replay(5, 12, 8, buffer_capacity=20, validation_sims=32)
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
    settings = {"patience": 1, "default_lr": 0.3}
    right, seen = train("offline", tmp_path, **settings)
    assert seen[-1] < 5
    again, seen = train("offline", tmp_path, **settings)
    assert seen == []
    assert identical(again, right)


def test_a_checkpoint_is_of_one_training_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(Checkpoint, "due", True)
    with pytest.raises(Killed):
        train("offline", tmp_path, kill_after=1)
    with pytest.raises(Killed):
        train("offline", tmp_path, kill_after=2, default_lr=1e-3)
    monkeypatch.setattr("cinnflow.training.epochs.code_digest", lambda: "other code")
    with pytest.raises(Killed):
        train("offline", tmp_path, kill_after=2, default_lr=1e-3)
    assert Checkpoint(tmp_path / "training-0.npz", "another").read() == {}


@pytest.mark.parametrize("damage", [b"", b"PK\3\4", b"no archive"])
def test_a_damaged_checkpoint_is_left_out(damage, tmp_path, caplog):
    checkpoint = Checkpoint(tmp_path / "training-0.npz", "mine")
    checkpoint.write({"a": np.arange(3.0)})
    np.testing.assert_array_equal(checkpoint.read()["a"], [0, 1, 2])
    checkpoint.path.write_bytes(damage)
    assert checkpoint.read() == {}
    assert "is damaged" in caplog.text


def test_checkpoints_take_a_small_share_of_the_time(tmp_path):
    checkpoint = Checkpoint(tmp_path / "training-0.npz", "mine")
    assert checkpoint.due
    checkpoint.write({"a": np.zeros(10**6)})
    assert not checkpoint.due
