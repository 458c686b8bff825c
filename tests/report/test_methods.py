"""The paragraph on methods says what was done, for every way of doing it."""

from __future__ import annotations

import pytest

from cinnflow.config import check_study
from cinnflow.report.methods import methods


@pytest.mark.parametrize(
    ("changes", "usable", "says"),
    [
        (
            {"network": {"summary": {"type": "time_series"}}, "training": {"ensemble": 2}},
            {"round-0": 2048, "round-1": 2000, "test": 512},
            "4,560 simulations were run with parameters from the prior: 4,048 in 2 rounds to train on, and 512 held "
            "out for the checks. The amortized posterior is an even mixture of 2 networks, each a conditional "
            "invertible network of 6 coupling layers, affine or for a single parameter splines, that sees the "
            "summaries of a convolutional and recurrent network, trained after each round",
        ),
        (
            {"training": {"regime": "online"}},
            {"test": 512},
            "512 simulations were run with parameters from the prior and held out for the checks. The amortized "
            "posterior is that of a conditional invertible network of 6 coupling layers, affine or for a single "
            "parameter splines, that sees the summaries of a deep set, trained on fresh simulations for every update",
        ),
        (
            {"simulations": {"source": "sims.h5"}, "network": {"summary": {"type": "none"}}},
            {"round-0": 90, "test": 10},
            "100 simulations were made elsewhere: 90 to train on, and 10 held out for the checks.",
        ),
        (
            {"simulations": {"proposal": "truncated", "observation": "school"}},
            {"round-0": 90, "round-1": 80, "test": 10},
            "180 simulations were run with parameters from the prior, after the first round truncated to the posterior "
            "of school as seen by the fit before (Deistler et al. 2022, arXiv:2210.04815): 170 in 2 rounds to train "
            "on, and 10 held out for the checks.",
        ),
        (
            {"network": {"summary": {"type": "Halves", "units": 3}}},
            {"round-0": 9, "test": 1},
            "the summaries of Halves",
        ),
    ],
)
def test_methods(changes: dict, usable: dict[str, int], says: str) -> None:
    text = methods(check_study({"study": "s", "model": "m.py", **changes}).model_dump(), usable)
    assert says in text
    assert "Checks use 1,000 posterior draws" in text
