"""Derived quantities that are numbers everywhere: the others are kept from the checks and figures of the parameters."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np

from cinnflow.steps.shared.running import say

log = logging.getLogger(__name__)


def finite_everywhere(*derived: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Leaves out derived quantities that are not finite everywhere, and says so.

    Args:
        derived: the same quantities (...,) of several arrays of parameters, by name.
    """
    bad = [name for name in derived[0] if not all(np.isfinite(of[name]).all() for of in derived)]
    for name in bad:
        warning = f"{name} is not finite for some of the draws, and is left out: mend derived_quantities()"
        log.warning(warning)
        say(f"cinnflow: {warning}")
    return [{name: values for name, values in of.items() if name not in bad} for of in derived]
