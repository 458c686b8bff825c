"""Predictive checks: their rate of false alarms on posteriors that are known to be right, and what they find."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from cinnflow.diagnostics import predictive, style, verdicts

REPETITIONS, SIMULATIONS = 300, 127
NOISE = 0.5


def normal(rng: np.random.Generator, points: int, noise: float = NOISE) -> tuple[np.ndarray, Callable]:
    """An observation x ~ N(θ, noise²) with θ ~ N(0, 1), and simulations with draws from its posterior at noise 0.5."""
    x = rng.normal() + noise * rng.normal(size=points)
    variance = 1 / (1 + points / NOISE**2)
    mean = variance * x.sum() / NOISE**2

    def simulate(draws: int) -> np.ndarray:
        theta = mean + np.sqrt(variance) * rng.normal(size=(draws, 1))
        return theta + NOISE * rng.normal(size=(SIMULATIONS, points))

    return x, simulate


def counts(rng: np.random.Generator, points: int) -> tuple[np.ndarray, Callable]:
    """The same of counts x ~ Poisson(θ) with θ ~ Gamma(2, 1), many of which are equal."""
    x = rng.poisson(rng.gamma(2.0), size=points)

    def simulate(draws: int) -> np.ndarray:
        theta = rng.gamma(2.0 + x.sum(), 1 / (1 + points), size=(draws, 1))
        return rng.poisson(np.broadcast_to(theta, (SIMULATIONS, points)))

    return x, simulate


def rejected(observed: np.ndarray, simulated: np.ndarray, repeated: np.ndarray | None = None) -> bool:
    repeated = simulated if repeated is None else repeated
    table = predictive.compute({"x": simulated}, {"x": observed}, {"x": repeated})
    return predictive.verdict(table)["verdict"].item() == verdicts.FAIL


@pytest.mark.parametrize(("observe", "points"), [(normal, 2), (counts, 14)])
def test_observations_of_a_right_posterior_are_rejected_no_more_often_than_stated(
    observe: Callable, points: int
) -> None:
    rng, rejections, with_one_draw = np.random.default_rng(1), 0, 0
    for _ in range(REPETITIONS):
        x, simulate = observe(rng, points)
        table = predictive.compute({"x": simulate(SIMULATIONS)}, {"x": x}, {"x": simulate(1)})
        with_one_draw += table["one_draw"].iloc[0] <= verdicts.FALSE_ALARMS
        rejections += predictive.verdict(table)["verdict"].item() == verdicts.FAIL
    # By one draw alone it would be 5 %, with a standard error of 1.3 %.
    assert 0.01 <= with_one_draw / REPETITIONS <= 0.09
    assert rejections / REPETITIONS <= 0.02


def test_a_draw_in_a_tail_of_the_posterior_rejects_no_observation_that_all_others_expect() -> None:
    """7 of 20, with the posterior of a share under a uniform prior, and its 99.6 % quantile for the one draw."""
    rng = np.random.default_rng(0)
    simulated, repeated = rng.binomial(20, rng.beta(8, 14, 128)), rng.binomial(20, 0.63, 128)
    table = predictive.compute({"x": simulated[:, None]}, {"x": np.array([7])}, {"x": repeated[:, None]})
    assert table["one_draw"].iloc[0] <= verdicts.FALSE_ALARMS
    assert predictive.verdict(table)["verdict"].item() == verdicts.PASS


@pytest.mark.parametrize(("observed", "as_extreme"), [(100.0, "1 %"), (0.0, "100 %")])
def test_the_reason_gives_shares_as_people_write_them(observed: float, as_extreme: str) -> None:
    simulated = np.concatenate([np.linspace(-2, -1, 49), np.linspace(1, 2, 50)])[:, None]
    table = predictive.compute({"x": simulated}, {"x": np.array([observed])}, {"x": simulated}, {"x": simulated})
    assert f"the {as_extreme} most extreme of those with many" in predictive.verdict(table)["reason"].item()
    assert (
        f"the {as_extreme} most extreme of the simulations from the" in predictive.verdict_prior(table)["reason"].item()
    )


def test_failed_simulations_do_not_change_how_often_that_is() -> None:
    """Those fail that exceed a limit; the observation, and so the posterior, is of data that did not."""
    rng, rejections = np.random.default_rng(2), 0
    grid = np.linspace(-4, 4, 801)
    for _ in range(REPETITIONS):
        while True:
            theta = rng.normal()
            x = theta + NOISE * rng.normal(size=4)
            if x.max() < 1:
                break
        # The density of θ given x and success is that given x alone, since x has succeeded.
        log_density = -(grid**2) / 2 - np.sum((x - grid[:, None]) ** 2, axis=1) / (2 * NOISE**2)
        density = np.exp(log_density - log_density.max())
        draw = rng.choice(grid, p=density / density.sum())
        repeated = draw + NOISE * rng.normal(size=(SIMULATIONS, 4))
        repeated[repeated.max(axis=1) >= 1] = np.nan
        rejections += rejected(x, repeated)
    assert 0.01 <= rejections / REPETITIONS <= 0.09


def test_a_simulator_with_half_of_the_noise_is_rejected() -> None:
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(50):
        x, simulate = normal(rng, 14, noise=2 * NOISE)
        found += rejected(x, simulate(SIMULATIONS), simulate(1))
    assert found >= 30


def test_too_few_simulations_give_no_verdict() -> None:
    rng = np.random.default_rng(4)
    few, failed = rng.normal(size=(predictive.FEWEST - 1, 3)), np.full((40, 3), np.nan)
    for repeated, word, why in (
        (
            few,
            verdicts.UNINFORMATIVE,
            "18 simulations with one posterior draw, or with many draws, to.*where a verdict takes 19",
        ),
        (failed, verdicts.DOUBTFUL, "0 simulations with one posterior draw,.*40 failed simulations left out"),
    ):
        table = predictive.compute({"x": rng.normal(size=(40, 3))}, {"x": np.full(3, 100.0)}, {"x": repeated})
        judged = predictive.verdict(pd.read_csv(io.StringIO(table.to_csv(index=False))))
        assert judged["verdict"].item() == word
        assert re.search(why, judged["reason"].item())


def test_where_every_simulation_failed_the_figure_says_so(tmp_path) -> None:
    failed = {"x": np.full((40, 3), np.nan)}
    table = predictive.compute(failed, {"x": np.zeros(3)}, failed, {"x": np.random.default_rng(5).normal(size=(40, 3))})
    table = pd.read_csv(io.StringIO(table.to_csv(index=False)))
    figure = predictive.plot(table)
    assert [text.get_text() for text in figure.texts] == ["No simulation from the posterior succeeded."]
    style.save(figure, tmp_path / "predictive.png")
    assert predictive.verdict_prior(table)["verdict"].item() == verdicts.PASS


def test_one_point_far_out_is_rejected() -> None:
    simulated = np.random.default_rng(3).normal(size=(300, 14))
    observed = np.zeros(14)
    assert not rejected(observed, simulated)
    observed[4] = 6.0
    assert rejected(observed, simulated)


def test_quantiles_are_those_of_the_simulations_in_place() -> None:
    simulated = np.random.default_rng(4).normal(size=(500, 3, 2)) + np.arange(6).reshape(3, 2)
    table = predictive.compute({"x": simulated}, {"x": np.zeros((3, 2))}, {"x": simulated})
    row = table[(table["index"] == 2) & (table["column"] == 1)].iloc[0]
    assert row["q95"] == pytest.approx(np.quantile(simulated[:, 2, 1], 0.95))


@pytest.mark.parametrize("shape", [(), (1,), (14,), (200,), (30, 2), (5, 4, 3), (40, 40)])
def test_data_of_any_shape_are_drawn(shape: tuple[int, ...], tmp_path) -> None:
    rng = np.random.default_rng(5)
    simulated = {"x": rng.normal(size=(50, *shape)), "other": rng.normal(size=(50, 3))}
    table = predictive.compute(simulated, {"x": rng.normal(size=shape), "other": np.zeros(3)}, simulated)
    assert len(table) == int(np.prod(shape)) + 3
    style.save(predictive.plot(pd.read_csv(io.StringIO(table.to_csv(index=False)))), tmp_path / "predictive.png")


def test_an_image_is_drawn_as_maps() -> None:
    simulated = np.random.default_rng(5).normal(size=(100, 6, 9))
    image = np.zeros((6, 9))
    image[1, 2], image[3, 4], image[5, 6] = 9.0, -9.0, np.nan
    figure = predictive.plot(
        predictive.compute({"x": simulated}, {"x": image}, {"x": simulated}, labels={"x_0": "row"})
    )
    observed, median, outside = figure.axes[:3]
    assert observed.get_title(loc="left") == "x, observed"
    assert observed.get_ylabel() == "row"
    np.testing.assert_array_equal(np.ma.filled(observed.images[0].get_array(), np.nan), image)
    np.testing.assert_array_equal(median.images[0].get_array(), np.quantile(simulated, 0.5, axis=0))
    assert observed.images[0].get_clim() == median.images[0].get_clim() == (-9.0, 9.0)
    sides = np.zeros((6, 9))
    sides[1, 2], sides[3, 4], sides[5, 6] = 1, -1, np.nan
    np.testing.assert_array_equal(np.ma.filled(outside.images[0].get_array(), np.nan), sides)


def test_failed_simulations_and_missing_points_are_left_out_and_counted() -> None:
    simulated = np.random.default_rng(6).normal(size=(60, 5))
    simulated[:7] = np.nan
    table = predictive.compute({"x": simulated}, {"x": np.array([0, 0, np.nan, 0, 0])}, {"x": simulated})
    assert table["compared"].iloc[0] == 53
    judged = predictive.verdict(table)
    assert judged["value"].item() == 1
    assert "14 failed simulations left out" in judged["reason"].item()


def test_an_observation_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'x' is observed with the shape \(3,\), simulated with \(4,\)"):
        predictive.compute({"x": np.zeros((9, 4))}, {"x": np.zeros(3)}, {"x": np.zeros((9, 3))})
    with pytest.raises(ValueError, match=r"'y' is observed with the shape \(3,\), simulated with None"):
        predictive.compute({"x": np.zeros((9, 4))}, {"y": np.zeros(3)}, {"x": np.zeros((9, 4))})
    with pytest.raises(ValueError, match=r"'x' is observed with the shape \(3,\), simulated with \(2,\)"):
        predictive.compute({"x": np.zeros((9, 3))}, {"x": np.zeros(3)}, {"x": np.zeros((9, 2))})


@pytest.mark.parametrize(("observed", "p_value"), [(100.0, 1 / 100), (0.0, 1.0)])
def test_the_observation_counts_among_the_data_sets(observed: float, p_value: float) -> None:
    simulated = np.concatenate([np.linspace(-2, -1, 49), np.linspace(1, 2, 50)])[:, None]
    table = predictive.compute({"x": simulated}, {"x": np.array([observed])}, {"x": simulated})
    assert table["p_value"].iloc[0] == pytest.approx(p_value)


def test_the_prior_is_checked_beside_the_posterior(tmp_path) -> None:
    rng = np.random.default_rng(7)
    simulated, prior = {"x": rng.normal(size=(200, 14))}, {"x": 5 + rng.normal(size=(200, 14))}
    labels = {"x": "boys in bed", "x_0": "day"}
    table = predictive.compute(simulated, {"x": np.zeros(14)}, simulated, prior, labels)
    table = pd.read_csv(io.StringIO(table.to_csv(index=False)))
    assert predictive.verdict(table)["verdict"].item() == verdicts.PASS
    assert predictive.verdict_prior(table)["verdict"].item() == verdicts.DOUBTFUL
    figure = predictive.plot_prior(table)
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("day", "boys in bed")
    style.save(figure, tmp_path / "prior_predictive.png")


def test_without_simulations_from_the_prior_there_is_a_sentence_and_no_verdict(tmp_path) -> None:
    simulated = {"x": np.random.default_rng(8).normal(size=(20, 3))}
    table = predictive.compute(simulated, {"x": np.zeros(3)}, simulated)
    assert predictive.verdict_prior(table).empty
    style.save(predictive.plot_prior(table), tmp_path / "prior_predictive.png")


def test_the_columns_of_an_image_have_a_label_and_a_number_has_no_axis() -> None:
    rng = np.random.default_rng(0)
    simulated = {"image": rng.normal(size=(99, 12, 12)), "count": rng.normal(size=99)}
    observed = {name: values[0] for name, values in simulated.items()}
    table = predictive.compute(simulated, observed, simulated, labels={"image_1": "column, pixels"})
    *maps, number = predictive.plot(table).axes[:4]
    assert {axis.get_xlabel() for axis in maps} == {"column, pixels"}
    assert number.get_xlabel() == "" and not len(number.get_xticks())


def with_missing(count: int, rng: np.random.Generator, mean: float = 5.0) -> dict[str, np.ndarray]:
    """Series of 20 elements, of which a third are missing: zeros stand there, and a mask says which."""
    mask = rng.random((count, 20)) > 0.3
    mask[:, 7] = False
    return {"x": np.where(mask[..., None], mean + rng.normal(size=(count, 20, 2)), 0.0), "mask": mask.astype(float)}


def test_missing_elements_are_neither_shown_nor_compared() -> None:
    rng = np.random.default_rng(1)
    observed = {name: values[0] for name, values in with_missing(1, rng).items()}
    table = predictive.compute(with_missing(200, rng), observed, with_missing(200, rng), with_missing(200, rng, 3.0))
    assert set(table["array"]) == {"x"}
    missing = np.repeat(observed["mask"] == 0, 2)
    np.testing.assert_array_equal(table["observed"].isna(), missing)
    known = table[table["index"] != 7]
    assert known["q05"].min() > 2
    assert table.loc[table["index"] == 7, "q50"].isna().all()
    assert predictive.verdict(table)["verdict"].item() == verdicts.PASS
    assert predictive.verdict(table)["value"].item() > 0.7
    figure = predictive.plot(table)
    assert all(np.nanmin(line.get_ydata()) > 1 for axis in figure.axes for line in axis.lines if len(line.get_ydata()))


def test_right_data_with_missing_elements_fail_as_often_as_it_says_and_wrong_ones_more() -> None:
    share = {}
    for mean in (5.0, 6.5):
        failed = 0
        for seed in range(100):
            rng = np.random.default_rng(seed)
            observed = {name: values[0] for name, values in with_missing(1, rng, mean).items()}
            row = predictive.compute(with_missing(40, rng), observed, with_missing(40, rng)).iloc[0]
            failed += int(row["one_draw"] <= verdicts.FALSE_ALARMS)
        share[mean] = failed / 100
    assert share[5.0] <= 0.11
    assert share[6.5] > 0.4
