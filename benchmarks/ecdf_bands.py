"""The simultaneous band of an ECDF beside that of arviz-stats: what each covers, and where their limits differ.

pip install arviz-stats
python benchmarks/ecdf_bands.py

Both bands hold every point with the same pointwise probability, chosen so that they hold all points at once with 95 %.
cinnflow computes that choice, arviz-stats simulates it; limits are whole counts, so that a small difference in it moves
single limits by one count, which is 1/n.
"""

from __future__ import annotations

import argparse

import numpy as np
from arviz_stats import ecdf_utils

from cinnflow.diagnostics import uniformity

ALPHA = 0.05


def main() -> None:
    """Prints one line for each number of data sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=100_000, help="for the simultaneous coverage")
    args = parser.parse_args()
    print("data sets   pointwise coverage, %    simultaneous coverage, %   limits that differ   by at most")
    print("            cinnflow  arviz-stats    cinnflow  arviz-stats                          counts")
    for count in (20, 50, 100, 250, 500, 1000):
        points = uniformity.evaluation_points(count)
        own = uniformity.band(count, ALPHA)
        rng = np.random.default_rng(1)
        pointwise = ecdf_utils.simulate_confidence_bands(count, 1, points, 1 - ALPHA, 20_000, rng)
        other = ecdf_utils.get_pointwise_confidence_band(pointwise, count, points)
        apart = np.abs(np.subtract(own, other))
        each = 100 * (1 - uniformity.critical_gamma(count, ALPHA)), 100 * pointwise
        both = [inside(count, *band, args.simulations) for band in (own, other)]
        print(
            f"{count:9d}   {each[0]:<9.2f} {each[1]:<14.2f} {both[0]:<9.2f} {both[1]:<16.2f} "
            f"{np.sum(apart > 1e-9):4d} of {apart.size:<11d} {apart.max() * count:.0f}"
        )


def inside(count: int, lower: np.ndarray, upper: np.ndarray, simulations: int) -> float:
    """How often, in %, `count` uniform numbers stay inside a band everywhere."""
    cells = len(lower) + 1
    counts = np.random.default_rng(2).multinomial(count, np.full(cells, 1 / cells), size=simulations)
    share = np.cumsum(counts, axis=1)[:, :-1] / count
    return 100 * float(np.mean(np.all((share >= lower - 1e-12) & (share <= upper + 1e-12), axis=1)))


if __name__ == "__main__":
    main()
