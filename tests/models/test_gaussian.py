"""The quickstart's model is what its README says, and its observation comes from the command that it names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cinnflow.simulation.model_file import Model, load_model

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "workflow/models/gaussian"
OBSERVED = ROOT / "data/gaussian_means.csv"


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(FOLDER / "model.py", {"n_obs": 50})


def test_the_observation_is_what_the_stated_command_gives():
    command = [sys.executable, FOLDER / "model.py", "--seed", "7"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == OBSERVED.read_text()


def test_published_values_are_those_of_the_exact_posterior(model):
    mean, sd = model.module.exact_posterior(model.read_observation(OBSERVED)["x"])
    for value, entry in zip(mean, model.published, strict=True):
        assert entry["value"] == pytest.approx(value, abs=6e-4)
        assert entry["interval"] == pytest.approx((value - 1.96 * sd, value + 1.96 * sd), abs=2e-3)
    assert [entry["quantity"] for entry in model.published] == model.generative.prior.names


def test_the_exact_posterior_is_calibrated(model):
    simulated = model.generative(4000, np.random.default_rng(1))
    found = [model.module.exact_posterior(x) for x in simulated["sim_data"]["x"]]
    z = np.array([(theta - mean) / sd for theta, (mean, sd) in zip(simulated["prior_draws"], found, strict=True)])
    np.testing.assert_allclose([z.mean(), z.std()], [0, 1], atol=4 / np.sqrt(z.size))
