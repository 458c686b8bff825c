"""What all checks of calibration have in common: error rates, power, and tables that are all a figure needs."""

from __future__ import annotations

import io
import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cinnflow.diagnostics import (
    contraction,
    coverage,
    directions,
    latent,
    log_gamma,
    recovery,
    sbc,
    scores,
    style,
    summary,
    tarp,
    verdicts,
)

CHECKS = {
    "sbc": sbc,
    "recovery": recovery,
    "contraction": contraction,
    "coverage": coverage,
    "log_gamma": log_gamma,
    "tarp": tarp,
    "directions": directions,
}
EVERY = CHECKS | {"scores": scores}


def words(check, case) -> set[str]:
    return set(check.verdict(check.compute(case.draws, case.truths, case.names))["verdict"])


def through_csv(table: pd.DataFrame) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(table.to_csv(index=False)))


def png(figure, path) -> bytes:
    style.save(figure, path)
    return path.read_bytes()


def test_each_verdict_and_their_summary_fail_right_posteriors_as_often_as_they_say(gaussian) -> None:
    repetitions = 200
    failed = dict.fromkeys([*CHECKS, "latent", "summary"], 0)
    for repetition in range(repetitions):
        case = gaussian(parameters=2, data_sets=500, draws=60, seed=repetition)
        judged = {n: c.verdict(c.compute(case.draws, case.truths, case.names)) for n, c in CHECKS.items()}
        z = np.random.default_rng([1, repetition]).normal(size=(500, 2))
        judged["latent"] = latent.verdict(latent.compute(z))
        for name, table in (judged | {"summary": summary.compute(judged, case.names)}).items():
            failed[name] += verdicts.FAIL in set(table["verdict"])
    rates = {name: count / repetitions for name, count in failed.items()}
    assert all(0.01 <= rate <= 0.09 for rate in rates.values()), rates


@pytest.mark.parametrize("fault", [{"width": 0.8}, {"width": 1.2}, {"shift": 0.2}, {"shift": -0.2}], ids=str)
def test_wrong_posteriors_are_flagged(gaussian, fault: dict[str, float]) -> None:
    flagged = [
        any(verdicts.FAIL in words(check, case) for check in CHECKS.values())
        for case in (gaussian(parameters=2, draws=100, seed=seed, **fault) for seed in range(20))
    ]
    assert np.mean(flagged) >= 0.95


@pytest.mark.parametrize("name", EVERY)
def test_a_right_posterior_passes(name: str, right) -> None:
    assert words(EVERY[name], right) == {verdicts.PASS}


@pytest.mark.parametrize("name", EVERY)
def test_the_prior_is_uninformative_not_calibrated(name: str, prior_only) -> None:
    found = [words(EVERY[name], prior_only(seed=seed)) for seed in range(40)]
    assert not any(verdicts.PASS in judged for judged in found)
    # It is calibrated, so that a check may still fail it, as rarely as any right posterior.
    assert sum(verdicts.FAIL in judged for judged in found) <= 6


@pytest.mark.parametrize("name", EVERY)
def test_a_figure_needs_its_table_alone_and_is_the_same_every_time(name: str, right, tmp_path) -> None:
    check = EVERY[name]
    table = check.compute(right.draws, right.truths, right.names)
    again = check.compute(right.draws, right.truths, right.names)
    pd.testing.assert_frame_equal(table, again)
    pd.testing.assert_frame_equal(check.verdict(table), check.verdict(through_csv(table)))
    first, second = png(check.plot(table), tmp_path / "a.png"), png(check.plot(through_csv(table)), tmp_path / "b.png")
    assert first == second
    assert first.startswith(b"\x89PNG")


@pytest.mark.parametrize("parameters", [1, 20])
@pytest.mark.parametrize("name", EVERY)
def test_one_parameter_and_twenty(name: str, parameters: int, gaussian, tmp_path) -> None:
    case = gaussian(parameters=parameters, data_sets=60, draws=20)
    table = EVERY[name].compute(case.draws, case.truths, case.names)
    assert len(EVERY[name].verdict(table)) == (1 if name in ("tarp", "directions") else parameters + (name == "scores"))
    assert png(EVERY[name].plot(table), tmp_path / "figure.png")


@pytest.mark.parametrize("name", EVERY)
def test_missing_data_sets_are_named(name: str, right) -> None:
    draws = right.draws.copy()
    draws[[3, 17], 0, 0] = np.nan
    judged = EVERY[name].verdict(EVERY[name].compute(draws, right.truths, right.names))
    assert "2 data sets left out" in judged["reason"].iloc[0]


@pytest.mark.parametrize("name", EVERY)
def test_a_constant_parameter_is_uninformative(name: str, make_case, tmp_path) -> None:
    case = make_case(np.ones((40, 30, 1)), np.ones((40, 1)), ["a"])
    assert words(EVERY[name], case) == {verdicts.UNINFORMATIVE}
    assert png(EVERY[name].plot(EVERY[name].compute(case.draws, case.truths, case.names)), tmp_path / "figure.png")


def test_counts_and_indicators_pass_as_often_as_what_they_are_made_of(gaussian) -> None:
    quantities = {
        "above": lambda theta: (theta > 1) * 1.0,
        "excess": lambda theta: np.maximum(0, theta - 0.5),
        "count": lambda theta: np.floor(np.exp(theta)),
    }
    failed = dict.fromkeys(["recovery", "sbc"], 0)
    for seed in range(40):
        case = gaussian(parameters=1, seed=seed)
        draws, truths = (np.concatenate([f(a) for f in quantities.values()], -1) for a in (case.draws, case.truths))
        for name in failed:
            table = CHECKS[name].compute(draws, truths, list(quantities), seed=seed)
            failed[name] += verdicts.FAIL in set(CHECKS[name].verdict(table)["verdict"])
    assert all(count <= 7 for count in failed.values()), failed


def test_joint_coverage_is_judged_alike_where_true_values_come_several_times(gaussian) -> None:
    failed, found = 0, 0
    for seed in range(40):
        case = gaussian(parameters=2, data_sets=60, draws=100, noise=0.1, seed=seed)
        rng = np.random.default_rng([1, seed])
        truths = np.repeat(case.truths, 8, axis=0)
        means = (truths + 0.1 * rng.normal(size=truths.shape)) / 1.01
        spread = 0.1 / np.sqrt(1.01) * rng.normal(size=(len(truths), 100, 2))
        failed += verdicts.FAIL in words(tarp, type(case)(means[:, None] + spread, truths, case.names))
        found += verdicts.FAIL in words(tarp, type(case)(means[:, None] + 0.7 * spread, truths, case.names))
    assert failed <= 7
    assert found >= 38


@pytest.mark.parametrize("values", [2, 8])
def test_tarp_passes_exact_posteriors_of_few_values_as_often_as_it_says(values: int) -> None:
    failed = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        truths = rng.integers(values, size=(300, 1)).astype(float)
        logits = -0.5 * (truths + rng.normal(size=(300, 1)) - np.arange(values)) ** 2
        posterior = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        draws = (rng.random((300, 200, 1)) > np.cumsum(posterior, axis=1)[:, None]).sum(axis=2, keepdims=True) * 1.0
        # A seed of its own, since what breaks ties decides most ranks.
        failed += tarp.verdict(tarp.compute(draws, truths, ["a"], seed=seed))["verdict"].item() == verdicts.FAIL
    assert failed <= 8


def test_contraction_says_what_is_wrong(gaussian) -> None:
    def reason(**fault: float) -> str:
        case = gaussian(parameters=1, data_sets=2000, **fault)
        return contraction.verdict(contraction.compute(case.draws, case.truths, case.names))["reason"].iloc[0]

    assert re.search("(18|19|20|21|22)% too narrow", reason(width=0.8))
    assert "too wide" in reason(width=1.25)
    assert "sd too high" in reason(shift=0.3)
    assert "sd too low" in reason(shift=-0.3)


def test_coverage_says_what_is_wrong(gaussian) -> None:
    def reason(width: float) -> str:
        case = gaussian(parameters=1, data_sets=2000, width=width)
        return coverage.verdict(coverage.compute(case.draws, case.truths, case.names))["reason"].iloc[0]

    assert "too narrow" in reason(0.7)
    assert "too wide" in reason(1.4)


def test_coverage_is_that_of_the_interval(gaussian) -> None:
    case = gaussian(parameters=1, data_sets=4000, draws=999, width=0.8)
    table = coverage.compute(case.draws, case.truths, case.names)
    for nominal in (0.5, 0.9):
        found = table.loc[np.isclose(table["nominal"], nominal), "coverage"].iloc[0]
        expected = 2 * stats.norm.cdf(0.8 * stats.norm.ppf((1 + nominal) / 2)) - 1
        assert found == pytest.approx(expected, abs=0.03)


def test_numbers_of_recovery_and_contraction_have_their_closed_form(gaussian) -> None:
    case = gaussian(parameters=1, data_sets=4000, draws=400, noise=0.5)
    table = recovery.compute(case.draws, case.truths, case.names)
    assert table["r2"].iloc[0] == pytest.approx(0.8, abs=0.02)
    assert table["r"].iloc[0] == pytest.approx(np.sqrt(0.8), abs=0.02)
    assert table["mad"].mean() == pytest.approx(stats.norm.ppf(0.75) * np.sqrt(0.2), rel=0.02)
    assert table["nrmse"].iloc[0] == pytest.approx(np.sqrt(0.2) / np.ptp(case.truths), rel=0.05)
    assert contraction.compute(case.draws, case.truths, case.names)["median_contraction"].iloc[0] == pytest.approx(
        0.8, abs=0.02
    )


@pytest.mark.parametrize(
    ("data_sets", "draws", "bins"), [(500, 999, 20), (500, 1000, 13), (512, 1008, 20), (60, 99, 4)]
)
def test_bins_divide_the_ranks_where_they_can(data_sets: int, draws: int, bins: int) -> None:
    assert sbc.default_bins(data_sets, draws) == bins


def test_histogram_counts_every_data_set_in_the_bins_asked_for(right) -> None:
    table = sbc.compute(right.draws, right.truths, right.names, bins=10)
    counts = table[table["view"] == "histogram"].groupby("parameter")["value"]
    assert counts.sum().eq(500).all()
    assert counts.size().eq(10).all()


def test_tarp_sees_a_dependence_that_marginals_do_not() -> None:
    rng = np.random.default_rng(0)
    factor = np.linalg.cholesky([[1, 0.95], [0.95, 1]])
    truths = rng.normal(size=(1000, 2)) * 3
    means = truths + rng.normal(size=(1000, 2)) @ factor.T
    # The posterior is right in each parameter and lacks the correlation between them.
    draws = means[:, None] + rng.normal(size=(1000, 100, 2))
    prior_width = 9 / (9 + 1)
    draws = draws * prior_width + (np.sqrt(prior_width) - prior_width) * rng.normal(size=draws.shape)
    assert tarp.verdict(tarp.compute(draws, truths, ["a", "b"]))["verdict"].item() == verdicts.FAIL


def test_scores_refuse_log_densities_of_another_length(right) -> None:
    with pytest.raises(ValueError, match=r"log_prob takes the shape \(500,\), got \(3,\)"):
        scores.compute(right.draws, right.truths, right.names, log_prob=np.zeros(3))


def test_mean_log_density_is_kept_with_its_error(right) -> None:
    log_prob = np.random.default_rng(0).normal(size=500)
    table = scores.compute(right.draws, right.truths, right.names, log_prob=log_prob).set_index("score")
    assert table.loc["log density", "value"] == pytest.approx(log_prob.mean())
    assert table.loc["log density", "standard_error"] == pytest.approx(stats.sem(log_prob))


def test_few_posteriors_that_are_much_wider_than_the_prior_do_not_set_the_scale() -> None:
    rng = np.random.default_rng(0)
    truths = rng.normal(size=(300, 1))
    draws = truths[:, None] + 0.3 * rng.normal(size=(300, 100, 1))
    draws[:9] *= 1000
    (axis,) = contraction.plot(contraction.compute(draws, truths, ["half_life"])).axes
    assert axis.get_xlim()[0] == -1
    assert "9 more on the left" in {text.get_text() for text in axis.texts}
    draws *= 1000
    (axis,) = contraction.plot(contraction.compute(draws, truths, ["half_life"])).axes
    low, high = axis.get_xlim()
    assert all(low < line.get_xdata()[0] < high for line in axis.lines[1:])
