"""How well a ridge regression predicts parameters from raw data: what their entries say, and what their spread says."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from scipy import stats

_FOLDS = 5
_MOST_ENTRIES = 2000
_PENALTIES = np.logspace(-8, 2, 41)
"""Of the ridge, relative to the largest squared singular value: from hardly any to one that leaves the mean alone."""
_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_FEWEST_ELEMENTS = 3
_MOST_CORRELATED = 8
"""Channels, for each pair of which there is a correlation."""


def spread_out(count: int, most: int) -> np.ndarray:
    """Positions of all of them, or of as many as may be, evenly spaced."""
    return np.arange(count) if count <= most else np.linspace(0, count - 1, most).round().astype(int)


def normal_scores(values: np.ndarray) -> np.ndarray:
    """Normal scores of the finite values of each column (n, columns), and 0, the middle, for the others."""
    finite = np.isfinite(values)
    ranks = stats.rankdata(np.where(finite, values, np.nan), axis=0, nan_policy="omit")
    return np.nan_to_num(stats.norm.ppf((ranks - 0.5) / np.maximum(1, finite.sum(axis=0))))


def entries_of(data: Mapping[str, np.ndarray]) -> np.ndarray:
    """Every number of the data as it is (data sets, entries)."""
    return np.concatenate([array.reshape(len(array), -1) for array in data.values()], axis=1)


def statistics_of(data: Mapping[str, np.ndarray]) -> np.ndarray:
    """What the numbers of each array say together, in whatever order they stand (data sets, statistics).

    Args:
        data: arrays by name, first axis the data sets, second axis the elements, and channels behind. Arrays of as many
            elements are channels of one, as for the networks. What is not finite is not there.

    Returns:
        Of each channel, and of all of them together: mean, variance, mean step from one element to the next, and
        quantiles; the correlations of a few channels; and as they are, arrays that are a number each.
    """
    sets: dict[int, list[np.ndarray]] = {}
    columns = []
    for array in data.values():
        if array.ndim > 1 and array.shape[1] >= _FEWEST_ELEMENTS:
            sets.setdefault(array.shape[1], []).append(array.reshape(*array.shape[:2], -1))
        else:
            columns.append(array.reshape(len(array), -1))
    for arrays in sets.values():
        channels = np.concatenate(arrays, axis=2)
        channels = channels[:, :, spread_out(channels.shape[2], _MOST_ENTRIES // 10)]
        channels = np.where(np.isfinite(channels), channels, np.nan)
        columns.append(_of_each_channel(channels))
        if channels.shape[2] > 1:
            columns.append(_of_each_channel(channels.reshape(len(channels), -1, 1)))
        if channels.shape[2] <= _MOST_CORRELATED:
            each = np.moveaxis(channels, 2, 0)
            columns += [_correlation(one, other) for one, other in combinations(each, 2)]
    return np.concatenate(columns, axis=1)


def predictions(columns: np.ndarray, scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a ridge regression on normal scores predicts for data sets that it was not fitted to.

    Args:
        columns: what it predicts from (data sets, columns).
        scores: what it predicts (data sets, parameters).
        rng: shares the data sets out between fitting and predicting.

    Returns:
        Predicted scores (data sets, parameters), each by a fit to four fifths of the other data sets.
    """
    varying = np.flatnonzero((columns != columns[:1]).any(axis=0))
    x = normal_scores(columns[:, varying[spread_out(len(varying), _MOST_ENTRIES)]])
    folds = rng.permutation(np.arange(len(scores)) % _FOLDS)
    predicted = np.empty_like(scores)
    for fold in range(_FOLDS):
        held_out = folds == fold
        predicted[held_out] = _ridge(x[~held_out], scores[~held_out], x[held_out])
    return predicted


def _of_each_channel(channels: np.ndarray) -> np.ndarray:
    """Statistics (data sets, statistics) of each channel of (data sets, elements, channels); NaN is not there."""
    count = np.isfinite(channels).sum(axis=1)
    mean = np.nansum(channels, axis=1) / np.maximum(1, count)
    variance = np.nansum((channels - mean[:, None]) ** 2, axis=1) / np.maximum(1, count)
    step = np.nansum(np.abs(np.diff(channels, axis=1)), axis=1) / np.maximum(1, count - 1)
    in_order = np.sort(channels, axis=1)  # NaN last
    places = [np.round(share * np.maximum(0, count - 1)).astype(int)[:, None] for share in _QUANTILES]
    quantiles = [np.take_along_axis(in_order, place, axis=1)[:, 0] for place in places]
    return np.concatenate([mean, variance, step, *quantiles], axis=1)


def _correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Correlations (data sets, 1) of (data sets, elements) each; 0 where one of the two does not vary."""
    both = np.isfinite(x) & np.isfinite(y)
    x, y = (np.where(both, values, 0.0) for values in (x, y))
    count = np.maximum(1, both.sum(axis=1, keepdims=True))
    x, y = (np.where(both, values - values.sum(axis=1, keepdims=True) / count, 0.0) for values in (x, y))
    size = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    return np.divide((x * y).sum(axis=1), size, out=np.zeros(len(x)), where=size > 0)[:, None]


def _ridge(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Ridge regression of y (n, parameters) on x (n, entries), each by the penalty that generalized cross-validation
    likes best, at new x (m, entries).
    """
    centre, mean = x.mean(axis=0), y.mean(axis=0)
    left, sizes, right = np.linalg.svd(x - centre, full_matrices=False)
    along = left.T @ (y - mean)
    penalties = (sizes.max(initial=0) ** 2 or 1.0) * _PENALTIES[:, None]
    lost = penalties / (sizes**2 + penalties)
    error = np.sum((y - mean - left @ along) ** 2, axis=0) + lost**2 @ along**2
    freedom = len(x) - 1 - len(sizes) + lost.sum(axis=1, keepdims=True)
    best = np.argmin(error / freedom**2, axis=0)
    weights = sizes / (sizes**2 + penalties[best])
    return mean + (new - centre) @ (right.T @ (weights.T * along))
