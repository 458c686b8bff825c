"""Parameters that no continuous density can describe."""

import re

import numpy as np
import pytest

from cinnflow.simulation.parameter_faults import parameter_faults

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("draws", "bounds", "fault", "remark"),
    [
        (RNG.normal(size=1000), (-np.inf, np.inf), None, None),
        (RNG.uniform(size=1000), (0, 1), None, None),
        (RNG.poisson(2, 1000), (0, np.inf), "of the draws of k lie on its lower bound 0: .* e.g. lower=-0.5", "values"),
        (np.clip(RNG.normal(size=1000), None, 2), (-9, 2), "2.. % .* its upper bound 2: .* e.g. upper=2.1", None),
        (RNG.poisson(2, 1000), (-0.5, np.inf), None, "k takes 9 values only: its posterior is treated as continuous"),
        (np.full(1000, 3.0), (0, np.inf), "k is the same in all draws: leave it out of the prior", None),
    ],
)
def test_what_is_said_of_a_parameter(draws, bounds, fault, remark):
    found = parameter_faults(np.append(draws, np.nan)[:, None], ["k"], *np.array(bounds, float)[:, None])
    for lines, says in zip(found, (fault, remark), strict=True):
        assert len(lines) == (says is not None)
        assert says is None or re.search(says, lines[0])
