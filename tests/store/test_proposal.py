"""What is drawn for a truncated round: found again by split and number, and refused where it is damaged."""

from __future__ import annotations

import numpy as np
import pytest
from stores import make_store

from cinnflow.store.layout import StoreError
from cinnflow.store.proposal import Proposal, proposal_path, read_proposal, read_theta, theta_path


@pytest.fixture
def store(tmp_path):
    store = make_store(tmp_path)
    proposal_path(store).parent.mkdir(parents=True)
    return store


def test_a_proposal_reads_as_it_was_written(store):
    assert read_proposal(store) is None
    proposal = Proposal("toy-1", None, {"seed": "7"})
    proposal_path(store).write_text(proposal.text())
    assert read_proposal(store) == proposal
    proposal_path(store).write_text(proposal.text()[:-9])
    with pytest.raises(StoreError, match=r"proposal.json is damaged .*: delete .* and start snakemake again"):
        read_proposal(store)


def test_parameters_come_from_the_first_file_that_has_them(store):
    for split, count, first in (("test", 8, 0.0), ("test", 16, 100.0), ("round-1", 16, 200.0)):
        np.save(theta_path(store, split, count), first + np.arange(2.0 * count).reshape(count, 2))
    np.testing.assert_array_equal(read_theta(store, "test", range(4, 8)), np.arange(8.0, 16).reshape(4, 2))
    np.testing.assert_array_equal(read_theta(store, "test", range(8, 10)), 100 + np.arange(16.0, 20).reshape(2, 2))
    np.testing.assert_array_equal(read_theta(store, "round-1", range(1)), [[200, 201]])
    with pytest.raises(StoreError, match="holds no parameters of test: start snakemake again"):
        read_theta(store, "test", range(12, 20))


def test_a_damaged_file_of_parameters_is_named(store):
    path = theta_path(store, "test", 8)
    np.save(path, np.zeros((8, 2)))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(StoreError, match=r"test-8.npy is damaged .*: delete it and start snakemake again"):
        read_theta(store, "test", range(8))
