"""What is held out is like the rest, and no copy of it; parameters on a grid, and data of few values, are no copies."""

import numpy as np
import pytest

from cinnflow.store.held_out_rows import check_held_out
from cinnflow.store.source import SourceError, open_source

RNG = np.random.default_rng(0)
THETA, X = RNG.normal(size=(300, 2)), RNG.normal(size=(300, 5))


def source(folder, theta, **data):
    np.savez(folder / "sims.npz", theta=theta, **{f"data/{name}": values for name, values in data.items()})
    return open_source(folder / "sims.npz")


@pytest.mark.parametrize("copies", [1, 30, 900])
def test_copies_are_refused(tmp_path, copies):
    rows = RNG.permutation(np.concatenate([np.arange(300), np.arange(copies) % 300]))
    with pytest.raises(SourceError, match=f"{copies} of {300 + copies} simulations are copies of others"):
        check_held_out(source(tmp_path, THETA[rows], x=X[rows], y=X[rows, 0]), 1)


def test_the_first_copy_is_named(tmp_path):
    rows = [0, 1, 2, 1, 0]
    with pytest.raises(SourceError, match="the first in row 3"):
        check_held_out(source(tmp_path, THETA[rows], x=X[rows]), 1)


def test_others_are_not(tmp_path):
    check_held_out(source(tmp_path, THETA, x=np.zeros((300, 2))), 1)  # a simulator that says nothing
    check_held_out(source(tmp_path, THETA[np.arange(300) % 10], x=X), 1)
    rates = RNG.integers(1, 10, 3000) / 10
    check_held_out(source(tmp_path, rates, x=RNG.binomial(20, rates)), 1)
    check_held_out(source(tmp_path, rates, x=RNG.binomial(20, rates[:, None], size=(3000, 3))), 1)


def test_a_second_array_may_tell_two_apart(tmp_path):
    rows = np.arange(300) % 150
    check_held_out(source(tmp_path, THETA[rows], x=X[rows], y=X[:, 0]), 1)


@pytest.mark.parametrize("column", [0, 1])
def test_rows_in_order_are_refused(tmp_path, column):
    order = np.argsort(THETA[:, column])
    with pytest.raises(SourceError, match=f"another distribution of theta_{column} than the others.*shuffle the rows"):
        check_held_out(source(tmp_path, THETA[order], x=X[order]), 60)


def test_rows_by_chance_are_not(tmp_path):
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(300)
        check_held_out(source(tmp_path, THETA[order], x=X[order]), 60)
    failed = np.where(np.arange(300)[:, None] % 3, THETA, np.nan)
    check_held_out(source(tmp_path, failed, x=X), 60)


@pytest.mark.parametrize(("rows", "held_out"), [(3, 1), (20, 2), (20_000, 1)])
def test_a_few_held_out_rows_that_are_the_largest_may_be_so_by_chance(tmp_path, rows, held_out):
    theta = np.sort(RNG.normal(size=(rows, 2)), axis=0)
    check_held_out(source(tmp_path, theta, x=RNG.normal(size=(rows, 2))), held_out)
