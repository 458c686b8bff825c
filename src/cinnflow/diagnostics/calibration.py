"""What checks of calibration have in common: ranks of true values among draws, and what a verdict takes beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from cinnflow.diagnostics import uniformity, verdicts
from cinnflow.diagnostics.marginals import Marginal, fractional_ranks, marginals
from cinnflow.diagnostics.proper_scores import Skill, marginal_skill


def ranked(
    draws: np.ndarray, truths: np.ndarray, names: Sequence[str], seed: int
) -> Iterator[tuple[Marginal, np.ndarray]]:
    """Each parameter with the fractional ranks (data sets,) of its true values; errors as for `marginals`.

    Args:
        draws: posterior draws (data sets, draws, parameters).
        truths: values that the data were simulated with (data sets, parameters).
        names: the parameters' names.
        seed: seed of what breaks ties between ranks.
    """
    for index, marginal in enumerate(marginals(draws, truths, names)):
        yield marginal, fractional_ranks(marginal.draws, marginal.truths, np.random.default_rng([seed, index]))


def judged_by(marginal: Marginal, p_value: float) -> dict[str, object]:
    """The columns that `verdicts.calibration_verdict` takes: the last ones of the parameter's table."""
    known = marginal_skill(marginal.draws, marginal.truths)
    return {
        "p_value": p_value,
        "skill": known.value,
        "informative": known.informative,
        "data_sets": len(marginal.truths),
        "left_out": marginal.left_out,
    }


def joint_coverage(ranks: np.ndarray, tests: int, known: Skill, left_out: int) -> dict[str, object]:
    """Columns of a table of one joint quantity: its coverage at many nominal shares, and what a verdict takes.

    Args:
        ranks: fractional ranks (data sets,), uniform where the posterior is right.
        tests: quantities that are looked at together.
        known: how much the posterior knows of all parameters.
        left_out: data sets that are not finite.
    """
    lower, upper = uniformity.band(len(ranks), verdicts.threshold(tests))
    return {
        "nominal": uniformity.evaluation_points(len(ranks)),
        "coverage": uniformity.ecdf(ranks),
        "lower": lower,
        "upper": upper,
        "p_value": uniformity.p_value(ranks),
        "skill": known.value,
        "informative": known.informative,
        "data_sets": len(ranks),
        "left_out": left_out,
    }
