"""The simultaneous band of an ECDF beside that of arviz-stats: where they differ, and which keeps to its 5 %.

pip install arviz-stats
python benchmarks/ecdf_bands.py
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
    parser.add_argument("--simulations", type=int, default=100_000, help="of uniform numbers, for the last two columns")
    args = parser.parse_args()
    print("data sets  largest difference   points that differ   uniform numbers leave it, %")
    print("           share     counts                          cinnflow   arviz-stats")
    for count in (20, 50, 100, 250, 500, 1000):
        points = uniformity.evaluation_points(count)
        own = uniformity.band(count, ALPHA)
        rng = np.random.default_rng(1)
        pointwise = ecdf_utils.simulate_confidence_bands(count, 1, points, 1 - ALPHA, 20_000, rng)
        other = ecdf_utils.get_pointwise_confidence_band(pointwise, count, points)
        apart = np.abs(np.subtract(own, other))
        left = [leave(count, *band, args.simulations) for band in (own, other)]
        print(
            f"{count:9d}  {apart.max():<9.4f} {apart.max() * count:<10.0f} {np.sum(apart > 1e-9):4d} of "
            f"{apart.size:<12d} {left[0]:<10.2f} {left[1]:.2f}"
        )


def leave(count: int, lower: np.ndarray, upper: np.ndarray, simulations: int) -> float:
    """How often, in %, `count` uniform numbers leave a band somewhere."""
    cells = len(lower) + 1
    counts = np.random.default_rng(2).multinomial(count, np.full(cells, 1 / cells), size=simulations)
    share = np.cumsum(counts, axis=1)[:, :-1] / count
    return 100 * float(np.mean(np.any((share < lower - 1e-12) | (share > upper + 1e-12), axis=1)))


if __name__ == "__main__":
    main()
