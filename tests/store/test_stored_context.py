"""Contexts and data that vary in length, in the store: they depend on a simulation's own seed, and are read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from stores import PARTS, contents, fill, make_store

from cinnflow.simulation.context import ContextError, ContextGenerator
from cinnflow.simulation.external import ExternalSimulator
from cinnflow.simulation.generative_model import GenerativeModel
from cinnflow.simulation.outcome import Status
from cinnflow.simulation.prior import Prior
from cinnflow.simulation.seeds import generator
from cinnflow.simulation.simulator import Simulator
from cinnflow.simulation.workers import Limits
from cinnflow.store.batch import run_batch
from cinnflow.store.commit import decode_batch
from cinnflow.store.description import read_description
from cinnflow.store.layout import Batch, StoreError
from cinnflow.store.seal import seal
from cinnflow.store.stored_simulations import read_simulations
from cinnflow.store.verify import retry, take_back, verify


def points(theta, rng, dose, n_obs):
    return {"x": theta[0] + dose[0] * rng.normal(size=(n_obs, 2)), "n": 3.0}


def make_varying(simulate=points, max_length={"x": 9}, longest=9):  # noqa: B006
    contexts = ContextGenerator(
        lambda rng: {"dose": rng.uniform(1, 2, size=3)}, lambda rng: {"n_obs": rng.integers(1, longest + 1)}
    )
    scale = ContextGenerator(lambda rng: {"scale": rng.uniform(1, 2)})
    prior = Prior(lambda rng, scale: scale * rng.normal(size=2), ["p0", "p1"], context_generator=scale)
    return GenerativeModel(prior, Simulator(simulate, context_generator=contexts, max_length=max_length))


def read(store, split, size, batches):
    """All values of a split's batches, one after the other."""
    found = [decode_batch(Batch(store, split, number, size), read_description(store)) for number in range(batches)]
    return {name: np.concatenate([values[name] for values in found]) for name in found[0]}


def sealed(store, batches, size=8, max_failed=0.0):
    return seal(store, "round-0", batches, size, max_failed, "")[0]


def test_every_simulation_s_bits_are_the_same_whatever_the_batch_size_threads_and_order(tmp_path):
    stored = []
    for number, (size, threads) in enumerate([(12, 1), (4, 3), (1, 1)]):
        store = make_store(tmp_path / str(number))
        for batch in reversed(range(12 // size)):
            run_batch(Batch(store, "round-0", batch, size), make_varying(), 7, PARTS, Limits(threads))
        stored.append(read(store, "round-0", size, 12 // size))
    for other in stored[1:]:
        for name in ("theta", "data/x", "length", "context/dose", "context/n_obs", "context/scale", "seed", "status"):
            np.testing.assert_array_equal(other[name], stored[0][name])
    assert len(set(stored[0]["context/n_obs"])) > 3
    assert len(set(stored[0]["context/scale"])) == 12


def test_data_contexts_and_lengths_are_read_back_right(tmp_path):
    store = fill(make_store(tmp_path), make_varying(), batches=2)
    found = read_simulations(store.path.parent, [sealed(store, 2)])
    mask = found.conditions["mask"]
    assert mask.dtype == bool
    assert set(found.conditions) == {"x", "n", "scale", "dose", "n_obs", "mask"}
    np.testing.assert_array_equal(mask.sum(axis=1), found.context["n_obs"])
    assert found.length_contexts == ["n_obs"]
    assert found.shapes == {"x": (9, 2), "n": (), "scale": (), "dose": (3,), "n_obs": ()}
    raw = read(store, "round-0", 8, 2)
    for row, seed in enumerate(raw["seed"]):
        n_obs, dose = int(raw["context/n_obs"][row]), raw["context/dose"][row]
        wanted = points(raw["theta"][row], generator(int(seed), "simulator"), dose, n_obs)["x"]
        np.testing.assert_array_equal(found.data["x"][row, :n_obs], wanted)
        np.testing.assert_array_equal(raw["data/x"][row, :n_obs], wanted)
        assert np.isnan(raw["data/x"][row, n_obs:]).all()
        assert not found.data["x"][row, n_obs:].any()
    with xr.open_zarr(store.path, group="round-0") as split:
        np.testing.assert_array_equal(split["length"], found.lengths)
    with xr.open_zarr(store.path, group="round-0/context") as contexts:
        assert contexts["dose"].dims == ("simulation", "dose_0")
        np.testing.assert_array_equal(contexts["n_obs"], found.context["n_obs"])


def test_an_over_long_simulation_has_failed_and_keeps_its_context(tmp_path):
    store = fill(make_store(tmp_path), make_varying(max_length={"x": 6}), batches=2)
    raw = read(store, "round-0", 8, 2)
    long = raw["context/n_obs"] > 6
    assert long.any()
    assert not long.all()
    np.testing.assert_array_equal(raw["status"], np.where(long, Status.UNREADABLE, Status.OK))
    assert {message.split(" long, ")[1] for message in raw["message"][long]} == {"above the declared max_length of 6"}
    np.testing.assert_array_equal(raw["length"], np.where(long, 0, raw["context/n_obs"]))
    found = read_simulations(store.path.parent, [sealed(store, 2, max_failed=0.9)])
    np.testing.assert_array_equal(found.context["n_obs"], raw["context/n_obs"][~long])


def test_a_length_that_varies_without_a_declaration_is_told_what_to_declare(tmp_path):
    store = fill(make_store(tmp_path), make_varying(max_length=None), size=16)
    raw = read(store, "round-0", 16, 1)
    failed = raw["status"] == Status.UNREADABLE
    assert failed.any()
    assert all("declare the most that it can be: max_length=" in message for message in raw["message"][failed])
    assert "length" not in raw


@pytest.mark.parametrize(
    ("simulate", "max_length", "says"),
    [
        (lambda *_, n_obs, **__: {"n_obs": n_obs}, None, "'n_obs' has the name of a context"),
        (lambda *_, **__: {"x": np.zeros(3), "y": np.zeros(4)}, 9, "differ in length"),
        (lambda *_, **__: {"x": np.zeros(3)}, {"y": 9}, "declared for y"),
        (lambda *_, **__: {"x": np.zeros(3), "y": np.zeros(9)}, {"x": 9}, "output y is as long as max_length"),
        (lambda *_, **__: {"mask": np.zeros(3)}, 9, "another name than 'mask'"),
    ],
)
def test_output_that_contradicts_what_is_declared_is_a_failure_with_its_reason(tmp_path, simulate, max_length, says):
    store = fill(make_store(tmp_path), make_varying(simulate, max_length), size=2)
    raw = read(store, "round-0", 2, 1)
    assert set(raw["status"]) == {Status.UNREADABLE}
    assert all(says in message for message in raw["message"])


def test_a_killed_batch_and_a_retried_one_end_with_the_same_bits(tmp_path):
    undisturbed = fill(make_store(tmp_path / "one"), make_varying())
    store = make_store(tmp_path / "two")

    def kill(done, _):
        if done == 5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        run_batch(Batch(store, "round-0", 0, 8), make_varying(), 7, PARTS, Limits(), progress=kill)

    def counting(theta, rng, dose, n_obs):
        with (tmp_path / "started").open("a") as file:
            file.write("x")
        return points(theta, rng, dose, n_obs)

    fill(store, make_varying(counting))
    assert len((tmp_path / "started").read_text()) == 3
    assert contents(store) == contents(undisturbed)

    failing = make_store(tmp_path / "three")

    def sometimes(theta, rng, dose, n_obs):
        if (tmp_path / "mended").exists():
            return counting(theta, rng, dose, n_obs)
        if n_obs > 4:
            raise ValueError
        return points(theta, rng, dose, n_obs)

    fill(failing, make_varying(sometimes))
    (tmp_path / "mended").touch()
    again = retry(Batch(failing, "round-0", 0, 8), [Status.CRASHED], tmp_path / "results", make_varying())
    assert 0 < again < 8
    fill(failing, make_varying(sometimes))
    assert len((tmp_path / "started").read_text()) == 3 + again
    assert contents(failing) == contents(undisturbed)


def test_a_changed_context_or_length_is_damage_that_verify_finds_and_training_refuses(tmp_path):
    store = fill(make_store(tmp_path), make_varying(), batches=2)
    manifest = sealed(store, 2)
    folder = tmp_path / "results" / "study" / "manifest"
    folder.mkdir(parents=True)
    (folder / "round-0.json").write_text(manifest.text())
    for name in ("context/dose", "context/n_obs", "context/scale", "length"):
        chunk = next(p for p in (store.path / "round-0" / name / "c").rglob("*") if p.is_file() and "1" in p.parts)
        before = chunk.read_bytes()
        # Another batch's chunk decodes, but is not what was sealed.
        first = Path(str(chunk).replace("/c/1", "/c/0"))
        chunk.write_bytes(first.read_bytes())
        assert [damage.batch.number for damage in verify(store, tmp_path / "results")] == [1]
        with pytest.raises(StoreError, match=name):
            read_simulations(store.path.parent, [manifest])
        chunk.write_bytes(before)
    chunk.unlink()
    (damage,) = verify(store, tmp_path / "results")
    take_back(damage.batch)
    fill(store, make_varying(), batches=2)
    assert sealed(store, 2) == manifest


def test_a_batch_in_which_everything_failed_reads_like_any_other(tmp_path):
    def late(theta, rng, dose, n_obs):
        if not (tmp_path / "mended").exists():
            raise ValueError
        return points(theta, rng, dose, n_obs)

    store = fill(make_store(tmp_path), make_varying(late))
    (tmp_path / "mended").touch()
    fill(store, make_varying(late), batches=2)
    raw = read(store, "round-0", 8, 2)
    np.testing.assert_array_equal(raw["length"][:8], 0)
    assert np.isfinite(raw["context/dose"]).all()
    found = read_simulations(store.path.parent, [sealed(store, 2, max_failed=0.5)])
    assert len(found.theta) == len(found.context["dose"]) == 8


def test_given_contexts_hold_for_all_simulations_and_another_time_run_anew(tmp_path):
    store, theta = make_store(tmp_path), np.zeros((4, 2))
    for n_obs in (3, 5, 5):
        context = {"dose": np.ones(3), "n_obs": np.array(float(n_obs)), "scale": np.array(1.0)}
        run_batch(Batch(store, "predictive", 0, 4), make_varying(), 7, PARTS, Limits(), theta=theta, context=context)
        assert read(store, "predictive", 4, 1)["length"].tolist() == [n_obs] * 4
    with pytest.raises(ContextError, match="no context dose"):
        make_varying().given_contexts({"n_obs": 3, "scale": 1})


def test_an_external_program_gets_its_context_by_name(tmp_path):
    script = (
        "import json, sys; given = json.load(open(sys.argv[1])); row = [int(sys.argv[2]), *given['dose']]; "
        "open(sys.argv[3], 'w').write(json.dumps([row] * given['n_obs']))"
    )
    contexts = ContextGenerator(lambda rng: {"dose": rng.uniform(size=2)}, lambda rng: {"n_obs": rng.integers(1, 6)})
    program = ExternalSimulator(
        ["python3", "-c", script, "{params}", "{n_obs}", "{out}"], "x.json", context_generator=contexts, max_length=5
    )
    model = GenerativeModel(Prior(lambda rng: rng.normal(size=1), ["a"]), program)
    model.bind(tmp_path)
    raw = read(fill(make_store(tmp_path), model, size=4), "round-0", 4, 1)
    assert set(raw["status"]) == {Status.OK}
    np.testing.assert_array_equal(raw["data/x"][:, 0, 0], raw["context/n_obs"])
    np.testing.assert_array_equal(raw["data/x"][:, 0, 1:], raw["context/dose"])
    np.testing.assert_array_equal(raw["length"], raw["context/n_obs"])
    wrong = ExternalSimulator(["python3", "{dose}"], "x.json", context_generator=contexts)
    with pytest.raises(ValueError, match=r"cannot fill in \{dose\}"):
        GenerativeModel(model.prior, wrong).bind(tmp_path)
    for name in ("a", "seed"):
        taken = ContextGenerator(lambda _, name=name: {name: 1.0})
        with pytest.raises(ValueError, match=f"context named '{name}'"):
            GenerativeModel(model.prior, ExternalSimulator(["python3"], "x.json", context_generator=taken)).bind(
                tmp_path
            )
