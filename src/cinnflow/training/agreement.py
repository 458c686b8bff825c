"""Whether a posterior and the prior that it is trained on speak of the same parameters."""

from __future__ import annotations

import logging

from cinnflow.inference.amortized_posterior import AmortizedPosterior
from cinnflow.simulation.prior import Prior

log = logging.getLogger(__name__)


def check_agreement(posterior: AmortizedPosterior, prior: Prior) -> None:
    """Refuses a posterior whose names contradict the prior's, and warns of one that reaches beyond the prior's bounds.

    Names of its own, such as labels, a posterior may have.

    Raises:
        ValueError: where the posterior calls one parameter by another's name.
    """
    for drawn, name in zip(prior.names, posterior.names, strict=False):
        if drawn != name and drawn in posterior.names:
            raise ValueError(
                f"the posterior's names are {', '.join(posterior.names)}, and the prior draws "
                f"{', '.join(prior.names)}: give the posterior names=prior.names, in the prior's order"
            )
    if len(prior.names) != len(posterior.names):
        return  # which the first simulations are refused for
    beyond = (prior.lower > posterior.lower) | (prior.upper < posterior.upper)
    if beyond.any():
        log.warning(
            "the prior declares bounds of %s that the posterior does not have, so that draws may lie beyond them: give "
            "the posterior lower=prior.lower, upper=prior.upper",
            ", ".join(name for name, far in zip(posterior.names, beyond, strict=True) if far),
        )
