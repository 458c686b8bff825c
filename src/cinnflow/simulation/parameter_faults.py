"""Parameters that no continuous density can describe, told from draws of the prior."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

PRIOR_DRAWS = 1000
"""Draws that show a prior's faults before anything is simulated."""
MOST_ON_A_BOUND = 1e-3
FEW_VALUES = 0.1
"""Distinct values, as a share of the draws, below which a parameter counts as discrete."""


def parameter_faults(
    theta: np.ndarray, names: Sequence[str], lower: np.ndarray, upper: np.ndarray
) -> tuple[list[str], list[str]]:
    """What is wrong with parameters, and what is worth a remark, in lines.

    Args:
        theta: draws of the prior (n, parameters); those that are not finite do not count.
        names: the parameters' names.
        lower: their lower bounds (parameters,), -inf where there is none.
        upper: their upper bounds, likewise.
    """
    theta = theta[np.isfinite(theta).all(axis=1)]
    faults, remarks = [], []
    for name, draws, *bounds in zip(names, theta.T, lower, upper, strict=True):
        values = np.unique(draws)
        if len(draws) > 1 and len(values) == 1:
            faults.append(f"{name} is the same in all draws: leave it out of the prior")
            continue
        for word, bound, sign in zip(("lower", "upper"), bounds, (-1, 1), strict=True):
            share = np.count_nonzero(draws == bound) / max(1, len(draws))
            if share > MOST_ON_A_BOUND:
                beyond = bound + sign * (0.5 if np.all(values % 1 == 0) else float(f"{draws.std() / 10:.1g}"))
                faults.append(
                    f"{100 * share:.3g} % of the draws of {name} lie on its {word} bound {bound:g}: take the bound "
                    f"out, or set it beyond, e.g. {word}={beyond:g}"
                )
        if len(values) < FEW_VALUES * len(draws):
            remarks.append(f"{name} takes {len(values)} values only: its posterior is treated as continuous")
    return faults, remarks
