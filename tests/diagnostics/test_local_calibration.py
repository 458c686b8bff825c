"""What local calibration sees of posteriors that are right on average alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cinnflow.diagnostics import local_calibration, sbc, style, verdicts

LENGTH = "number of elements"
NOISE = 2.0
FAULTS = {
    "": lambda _: (0.0, 1.0),
    "width by length": lambda share: (0.0, 1.3 - 0.56 * share),
    "bias by length": lambda share: (0.8 * share - 0.4, 1.0),
    "bias in the middle": lambda share: (3.5 * (share - 0.5) ** 2 - 0.29, 1.0),
}
"""Bias and width, in posterior standard deviations, by how long the data are, from 0 to 1."""


def means_of_normal_data(fault: str, seed: int = 1, count: int = 512) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws, true values and lengths: the exact posterior of a mean, of 3 to 40 points, or one with a fault."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 41, count)
    truths = rng.normal(size=(count, 2))
    precision = lengths[:, None] / NOISE**2
    seen = truths + rng.normal(size=truths.shape) / np.sqrt(precision)
    mean, sd = seen * precision / (1 + precision), 1 / np.sqrt(1 + precision)
    bias, width = FAULTS[fault]((lengths[:, None] - 3) / 37)
    mean, sd = mean + bias * sd, width * sd
    return mean[:, None] + sd[:, None] * rng.normal(size=(count, 200, 2)), truths, lengths


def judged(fault: str, seed: int = 1) -> pd.DataFrame:
    draws, truths, lengths = means_of_normal_data(fault, seed)
    return local_calibration.verdict(
        local_calibration.compute(draws, truths, ["a", "b"], contexts={LENGTH: lengths}, seed=seed)
    )


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("width by length", "the posterior is too"),
        ("bias by length", "the posterior is too high near"),
        ("bias in the middle", "the posterior is too"),
    ],
)
def test_what_is_right_on_average_alone_fails(fault: str, says: str) -> None:
    found = [judged(fault, seed) for seed in range(10)]
    reasons = [reason for table in found for reason in table.loc[table["verdict"] == verdicts.FAIL, "reason"]]
    assert sum(verdicts.FAIL in set(table["verdict"]) for table in found) >= 8
    # The posterior is the narrower, the longer the data are.
    assert all(f"with {LENGTH}" in reason or "with posterior sd" in reason for reason in reasons)
    assert sum(says in reason for reason in reasons) >= len(reasons) / 2
    on_average = []
    for seed in range(10):
        draws, truths, _ = means_of_normal_data(fault, seed)
        on_average.append(set(sbc.verdict(sbc.compute(draws, truths, ["a", "b"]))["verdict"]))
    assert sum(verdicts.FAIL in words for words in on_average) <= 4


def test_right_posteriors_fail_as_often_as_it_says() -> None:
    failed = [verdicts.FAIL in set(judged("", seed)["verdict"]) for seed in range(100)]
    assert sum(failed) <= 11


def test_the_whole_posterior_that_is_too_narrow_is_not_its_business() -> None:
    draws, truths, lengths = means_of_normal_data("")
    centre = draws.mean(axis=1, keepdims=True)
    table = local_calibration.compute(centre + 0.6 * (draws - centre), truths, ["a", "b"], contexts={LENGTH: lengths})
    assert set(local_calibration.verdict(table)["verdict"]) == {verdicts.PASS}
    assert verdicts.FAIL in set(
        sbc.verdict(sbc.compute(centre + 0.6 * (draws - centre), truths, ["a", "b"]))["verdict"]
    )


def test_a_posterior_that_is_its_prior_knows_nothing() -> None:
    """Where draws lie is then chance alone, on which ranks among the same draws would depend."""
    rng = np.random.default_rng(4)
    found = [
        local_calibration.verdict(
            local_calibration.compute(rng.normal(size=(2000, 20, 1)), rng.normal(size=(2000, 1)), ["a"])
        )["verdict"].item()
        for _ in range(20)
    ]
    assert found.count(verdicts.UNINFORMATIVE) >= 17


def test_where_the_posterior_lies_and_how_wide_it_is_count_without_contexts() -> None:
    rng = np.random.default_rng(1)
    truths = rng.normal(size=(512, 1))
    mean = (truths + 0.5 * rng.normal(size=truths.shape)) / 1.25
    sd = np.sqrt(0.2)
    bias = 0.5 * np.tanh(2 * mean)
    table = local_calibration.compute(
        (mean + bias * sd)[:, None] + sd * rng.normal(size=(512, 100, 1)), truths, ["a"], contexts={}
    )
    found = local_calibration.verdict(table)
    assert found["verdict"].item() == verdicts.FAIL
    assert "posterior mean" in found["reason"].item()
    assert set(table["by"]) == {"posterior mean", "posterior sd"}


def test_contexts_are_looked_at_entry_by_entry_and_once() -> None:
    draws, truths, lengths = means_of_normal_data("")
    rng = np.random.default_rng(0)
    contexts = {
        LENGTH: lengths,
        "same": lengths.astype(float)[:, None],
        "constant": np.ones(512),
        "pair": rng.normal(size=(512, 2)),
        "times": rng.normal(size=(512, 9)),
        "kind": rng.integers(2, size=512),
    }
    table = local_calibration.compute(draws, truths, ["a", "b"], contexts=contexts)
    expected = ["posterior mean", "posterior sd", LENGTH, "pair[0]", "pair[1]", "mean of times", "kind"]
    assert list(table["by"].unique()) == expected
    kinds = table[(table["by"] == "kind") & (table["parameter"] == "a")]
    assert list(kinds["at"]) == [0, 1], "data sets that are alike are in one group"


def test_a_context_of_other_data_sets_is_refused() -> None:
    draws, truths, lengths = means_of_normal_data("")
    with pytest.raises(ValueError, match="context 'n' is of 511 data sets"):
        local_calibration.compute(draws, truths, ["a", "b"], contexts={"n": lengths[1:]})


def test_few_data_sets_and_values_that_are_not_finite() -> None:
    draws, truths, lengths = means_of_normal_data("width by length")
    few = local_calibration.compute(draws[:3], truths[:3], ["a", "b"], contexts={LENGTH: lengths[:3]})
    assert verdicts.FAIL not in set(local_calibration.verdict(few)["verdict"])
    draws[:100, 0, 0] = np.nan
    table = local_calibration.compute(draws, truths, ["a", "b"], contexts={LENGTH: lengths})
    found = local_calibration.verdict(table)
    assert "100 data sets left out" in found["reason"][0] and "left out" not in found["reason"][1]
    assert found["verdict"][0] == verdicts.FAIL


def test_figure_and_verdict_are_those_of_the_table_file(tmp_path: Path) -> None:
    draws, truths, lengths = means_of_normal_data("width by length")
    table = local_calibration.compute(draws, truths, ["a", "b"], contexts={LENGTH: lengths})
    table.to_csv(tmp_path / "table.csv", index=False)
    read = pd.read_csv(tmp_path / "table.csv")
    pd.testing.assert_frame_equal(local_calibration.verdict(table), local_calibration.verdict(read))
    for name, shown in (("a.png", table), ("b.png", read)):
        style.save(local_calibration.plot(shown), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
