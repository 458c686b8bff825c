"""One parameter at a time: its draws, its true values, and their ranks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Marginal:
    """Draws and true values of one parameter, over the data sets where all of them are finite.

    Args:
        name: the parameter's name.
        draws: posterior draws (data sets, draws).
        truths: values that the data were simulated with (data sets,).
        data_sets: positions of these data sets among all of them (data sets,).
        left_out: how many data sets are missing here, because a draw or the true value is not finite.
    """

    name: str
    draws: np.ndarray
    truths: np.ndarray
    data_sets: np.ndarray
    left_out: int


def check_shapes(draws: np.ndarray, truths: np.ndarray, names: Sequence[str]) -> None:
    """Refuses arrays that do not belong together.

    Raises:
        ValueError: when the shapes of draws, truths and names contradict each other, or nothing is there.
    """
    wanted = "draws take the shape (data sets, draws, parameters) and truths (data sets, parameters)"
    if draws.ndim != 3 or truths.ndim != 2:
        raise ValueError(f"{wanted}: got {draws.shape} and {truths.shape}")
    if draws.shape[0] != truths.shape[0] or draws.shape[2] != truths.shape[1] or len(names) != truths.shape[1]:
        raise ValueError(f"{wanted}, with a name for each parameter: got {draws.shape}, {truths.shape}, {list(names)}")
    if len(set(names)) != len(names):
        raise ValueError(f"parameter names must differ from each other: got {list(names)}")
    if draws.shape[0] < 2 or draws.shape[1] < 2:
        raise ValueError(f"a diagnostic needs two data sets and two draws for each at least: got {draws.shape}")


def marginals(draws: np.ndarray, truths: np.ndarray, names: Sequence[str]) -> Iterator[Marginal]:
    """Each parameter's draws and true values.

    Args:
        draws: posterior draws (data sets, draws, parameters).
        truths: values that the data were simulated with (data sets, parameters).
        names: the parameters' names.

    Raises:
        ValueError: when the shapes contradict each other, or a parameter has fewer than two usable data sets.
    """
    check_shapes(draws, truths, names)
    for index, name in enumerate(names):
        values, truth = np.ascontiguousarray(draws[:, :, index]), truths[:, index]
        usable = np.isfinite(truth) & np.isfinite(values).all(axis=1)
        if usable.sum() < 2:
            raise ValueError(
                f"parameter {name!r} has {usable.sum()} data sets of {len(truth)} with finite draws and true value;"
                " it takes two at least"
            )
        yield Marginal(name, values[usable], truth[usable], np.flatnonzero(usable), int(np.sum(~usable)))


def fractional_ranks(draws: np.ndarray, truths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Where each true value falls among its draws: (rank + u) / (draws + 1), ties broken at random.

    With u uniform, these are independent and exactly uniform on (0, 1) when the posterior is right, whatever the
    number of draws; plain rank / draws is not. (An ensemble shares its draws out evenly among its members. Where these
    differ much, a hundred draws or more are as good as independent ones.)

    Args:
        draws: posterior draws (data sets, draws).
        truths: true values (data sets,).
        rng: source of u.

    Returns:
        Fractional ranks (data sets,).
    """
    below = np.count_nonzero(draws < truths[:, None], axis=1)
    ties = np.count_nonzero(draws == truths[:, None], axis=1)
    return (below + (ties + 1) * rng.uniform(size=len(truths))) / (draws.shape[1] + 1)


def finite_data_sets(draws: np.ndarray, truths: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Which data sets (data sets,) are finite in all parameters: draws and true values.

    Args:
        draws: posterior draws (data sets, draws, parameters).
        truths: values that the data were simulated with (data sets, parameters).
        names: the parameters' names.

    Raises:
        ValueError: when the shapes contradict each other, or fewer than two data sets are finite.
    """
    check_shapes(draws, truths, names)
    usable = np.isfinite(truths).all(axis=1) & np.isfinite(draws).all(axis=(1, 2))
    if usable.sum() < 2:
        raise ValueError(
            f"{usable.sum()} data sets of {len(truths)} are finite in every parameter; it takes two at least"
        )
    return usable


def in_prior_units(draws: np.ndarray, truths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draws (data sets, draws, parameters) and true values (data sets, parameters) in standard deviations of the prior.

    The true values stand for the prior; what is the same in all of them stays as it is.
    """
    scale = truths.std(axis=0, ddof=1)
    scale[scale == 0] = 1.0
    return draws / scale, truths / scale
