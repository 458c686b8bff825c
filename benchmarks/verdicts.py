"""How often each verdict fails: posteriors that are right, wrong in a known way, or no more than the prior.

    python benchmarks/verdicts.py --repetitions 200

Every repetition draws 500 data sets of a conjugate Gaussian, theta ~ N(0, 1) and x ~ N(theta, 0.5²) in each of three
parameters, so that the posterior is known, and judges 200 draws of it for each. A second table is of the posterior
predictive check alone: 20 points N(theta, 0.5²) of one parameter, or what a simulator that is wrong takes for that.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd

from cinnflow.diagnostics import (
    contraction,
    coverage,
    directions,
    latent,
    local_calibration,
    log_gamma,
    misspecification,
    predictive,
    recovery,
    sbc,
    scores,
    summary,
    tarp,
)
from cinnflow.diagnostics.verdicts import FAIL, FALSE_ALARMS, UNINFORMATIVE

OF_DRAWS = {
    "sbc": sbc, "recovery": recovery, "contraction": contraction, "coverage": coverage, "log_gamma": log_gamma,
    "tarp": tarp, "directions": directions, "local_calibration": local_calibration, "scores": scores,
}  # fmt: skip
POSTERIORS = {
    "right": {},
    "20 % too narrow": {"width": 0.8},
    "20 % too wide": {"width": 1.2},
    "0.2 sd too high": {"shift": 0.2},
    "20 % too narrow or wide": {"uneven": 0.2},
    "the prior": {"informed": False},
}
NOISE, PARAMETERS = 0.5, 3
POINTS = 20
TRUE_DATA: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "right": lambda rng: NOISE * rng.normal(size=POINTS),
    "noise x 1.5": lambda rng: 1.5 * NOISE * rng.normal(size=POINTS),
    "noise x 2": lambda rng: 2 * NOISE * rng.normal(size=POINTS),
    "noise / 2": lambda rng: NOISE / 2 * rng.normal(size=POINTS),
    "one point 4 sd off": lambda rng: NOISE * (rng.normal(size=POINTS) + 4 * (np.arange(POINTS) == 7)),
    "a trend, -1.5 to 1.5 sd": lambda rng: NOISE * (rng.normal(size=POINTS) + np.linspace(-1.5, 1.5, POINTS)),
    "heavy tails, t(2)": lambda rng: NOISE * rng.standard_t(2, size=POINTS),
}
"""What data are, less their theta, where the simulator takes them to be N(0, 0.5²)."""
FAMILY, ANY, ALL_UNINFORMATIVE = "summary (beyond chance)", "any of them", "says uninformative"


def main() -> None:
    """Prints one table: a row for each verdict, a column for each posterior."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--data-sets", type=int, default=500)
    parser.add_argument("--draws", type=int, default=200)
    args = parser.parse_args()
    shares = {
        name: rates(args.repetitions, args.data_sets, args.draws, **posterior) for name, posterior in POSTERIORS.items()
    }
    print(f"{args.repetitions} repetitions of {args.data_sets} data sets, {args.draws} draws each; share that fails, %")
    print((100 * pd.DataFrame(shares)).round(1).fillna("").to_string())
    found = {name: misfits(args.repetitions, args.draws, data) for name, data in TRUE_DATA.items()}
    print("\nPosterior predictive check, right posterior of a simulator that is right, or not; share that fails, %")
    print((100 * pd.DataFrame(found).T).round(1).to_string())


def rates(
    repetitions: int,
    data_sets: int,
    draws: int,
    *,
    width: float = 1.0,
    shift: float = 0.0,
    uneven: float = 0.0,
    informed: bool = True,
) -> dict[str, float]:
    """Share of the repetitions in which each verdict fails.

    Args:
        repetitions: how many.
        data_sets: data sets in each.
        draws: posterior draws for each data set.
        width: factor on the posterior's sd.
        shift: of its mean, in sd.
        uneven: by how much it is too narrow where its mean is below 0, and too wide where it is above.
        informed: whether the posterior has seen the data; else it is the prior.
    """
    failed: Counter[str] = Counter()
    names = [f"theta_{index}" for index in range(PARAMETERS)]
    for repetition in range(repetitions):
        rng = np.random.default_rng(repetition)
        truths = rng.normal(size=(data_sets, PARAMETERS))
        data = truths + NOISE * rng.normal(size=truths.shape)
        mean, sd = data / (1 + NOISE**2), NOISE / np.sqrt(1 + NOISE**2)
        if not informed:
            mean, sd = np.zeros_like(mean), 1.0
        mean, sd = mean + shift * sd, width * sd * (1 + uneven * np.sign(mean))
        values = mean[:, None] + sd[:, None] * rng.normal(size=(data_sets, draws, PARAMETERS))
        judged = {name: check.verdict(check.compute(values, truths, names)) for name, check in OF_DRAWS.items()}
        judged["latent"] = latent.verdict(latent.compute((truths - mean) / sd))
        observed, noise = truths[0] + NOISE * rng.normal(size=PARAMETERS), NOISE * rng.normal(size=(draws, PARAMETERS))
        prior = rng.normal(size=(draws, PARAMETERS)) + NOISE * rng.normal(size=(draws, PARAMETERS))
        # The posterior of the first data set for its own data, the prior's for data of its own.
        table = predictive.compute({"x": values[0] + noise}, {"x": data[0]}, {"x": values[0, 0] + noise})
        words = {name: set(table["verdict"]) for name, table in judged.items()}
        words["predictive"] = set(predictive.verdict(table)["verdict"])
        table = predictive.compute({"x": prior}, {"x": observed}, {"x": prior})
        words["prior predictive"] = set(predictive.verdict(table)["verdict"])
        table = misspecification.compute(observed[None], prior, resamples=199, seed=repetition)
        words["misspecification"] = set(misspecification.verdict(table)["verdict"])
        whole = summary.compute(judged, names)["verdict"]
        failed.update(name for name, found in words.items() if FAIL in found)
        failed[FAMILY] += int(FAIL in set(whole))
        failed[ANY] += int(any(FAIL in words[name] for name in judged))
        failed[ALL_UNINFORMATIVE] += int(UNINFORMATIVE in set(whole))
    order = [*OF_DRAWS, "latent", "predictive", "prior predictive", "misspecification", FAMILY, ANY, ALL_UNINFORMATIVE]
    return {name: failed[name] / repetitions for name in order}


def misfits(repetitions: int, draws: int, deviations: Callable[[np.random.Generator], np.ndarray]) -> dict[str, float]:
    """Share of the repetitions in which the posterior predictive check fails.

    Args:
        repetitions: how many, each one observation.
        draws: posterior predictive simulations for each kind of check.
        deviations: draws the observed data, less their theta.

    Returns:
        That share where simulations of one posterior draw decide, where those with one of every draw do, and where both
        have to, as in the check.
    """
    failed = {"one draw": 0, "many draws": 0, "both": 0}
    variance = 1 / (1 + POINTS / NOISE**2)
    for repetition in range(repetitions):
        rng = np.random.default_rng(repetition)
        x = rng.normal() + deviations(rng)
        theta = variance * x.sum() / NOISE**2 + np.sqrt(variance) * rng.normal(size=(draws, 1))
        noise = NOISE * rng.normal(size=(draws, POINTS))
        repeated = theta[0] + NOISE * rng.normal(size=(draws, POINTS))
        row = predictive.compute({"x": theta + noise}, {"x": x}, {"x": repeated}).iloc[0]
        for kind, column in (("one draw", "one_draw"), ("many draws", "all_draws"), ("both", "p_value")):
            failed[kind] += int(row[column] <= FALSE_ALARMS)
    return {kind: count / repetitions for kind, count in failed.items()}


if __name__ == "__main__":
    main()
