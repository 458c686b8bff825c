"""The prior: where parameters come from, what they are called, and where they can lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cinnflow.arguments import function_of
from cinnflow.errors import PlainError, in_one_line
from cinnflow.simulation.context import Context, ContextGenerator
from cinnflow.simulation.names import AXES_OF_DRAWS
from cinnflow.simulation.numbers import unmasked


class PriorError(PlainError, ValueError):
    """A prior whose draws contradict what it declares."""


class Prior:
    """A distribution of parameter vectors, given by a function that draws from it.

    Args:
        draw: `draw(rng)` returns one parameter vector of shape (parameters,); with `batched`, `draw(rng, batch_size)`
            returns (batch_size, parameters). All its randomness comes from `rng`. Where there is a context generator,
            contexts follow behind these arguments, as `ContextGenerator` says.
        names: the parameters' names; theta_0, theta_1, ... without.
        lower: lower bounds of the support, one each or one for all; -inf, or None, where there is none.
        upper: upper bounds, likewise.
        batched: whether `draw` gives a batch at a time.
        context_generator: what the prior depends on, such as a scale that is known for each data set; or None.
        param_names: the same as `names`, by BayesFlow's word.

    Raises:
        PriorError: when bounds and names disagree in number, bounds cross, a name is not an identifier, `draw`
            fails, or what is drawn is not numbers.
        TypeError: for a `draw` that is no function, or none of these arguments.
    """

    def __init__(
        self,
        draw: Callable[..., ArrayLike],
        names: Sequence[str] | None = None,
        lower: ArrayLike = -np.inf,
        upper: ArrayLike = np.inf,
        batched: bool = False,
        context_generator: ContextGenerator | None = None,
        param_names: Sequence[str] | None = None,
    ) -> None:
        function_of("draw", draw, "rng", *(["batch_size"] if batched else []))
        self._draw = draw
        self.batched = batched
        self.context_generator = context_generator or ContextGenerator()
        if names is not None and param_names is not None:
            raise PriorError("names and param_names are the same: give one of them")
        names = param_names if names is None else names
        if names is None:
            rng = np.random.default_rng(0)
            names = [f"theta_{i}" for i in range(self._raw(rng, 1, self.context_generator.draw(1, rng)).shape[-1])]
        if isinstance(names, str):
            raise PriorError(f"names takes a list of names, got {names!r}")
        self.names = list(names)
        self.lower, self.upper = checked_support(self.names, lower, upper)

    @property
    def param_names(self) -> list[str]:
        """The parameters' names, by BayesFlow's word."""
        return self.names

    def __call__(self, batch_size: int, rng: np.random.Generator, context: Context | None = None) -> np.ndarray:
        """Draws `batch_size` parameter vectors.

        Args:
            batch_size: how many.
            rng: where all randomness comes from.
            context: theirs; without it, they get a fresh one.

        Returns:
            Parameters (batch_size, parameters).

        Raises:
            PriorError: when they are not of that shape, or lie outside the support that the prior declares.
        """
        if context is None:
            context = self.context_generator.draw(batch_size, rng)
        theta = self._raw(rng, batch_size, context)
        expected = (batch_size, len(self.names))
        if theta.shape != expected:
            raise PriorError(f"the prior drew an array of shape {theta.shape}; its names make that {expected}")
        outside = ~(np.isfinite(theta) & (theta >= self.lower) & (theta <= self.upper))
        if outside.any():
            row, column = np.argwhere(outside)[0]
            raise PriorError(
                f"the prior drew {self.names[column]} = {float(theta[row, column])!r}, outside the support that it "
                f"declares, {self.lower[column]} to {self.upper[column]}: mend draw(), lower or upper"
            )
        return theta

    def check_repeatable(self, within: Callable[[], AbstractContextManager] = nullcontext) -> None:
        """Checks that the same seed gives the same parameters.

        A generator of the model file's own is the same anew in each process: all of them would make the same
        simulations, and those held out would be those trained on.

        Args:
            within: what surrounds each of two draws.

        Raises:
            PriorError: where it does not.
        """
        draws = []
        for _ in range(2):
            with within():
                draws.append(self(1, np.random.default_rng(0)))
        if not np.array_equal(*draws):
            raise PriorError(
                "the prior drew other parameters from the same seed: draw() takes random numbers from elsewhere than "
                "its argument rng, and each process would make the same simulations: take all of them from rng"
            )

    def estimate_means_and_stds(
        self, n_draws: int = 1000, *, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations (1, parameters) each, from this many draws."""
        theta = self(n_draws, rng)
        return theta.mean(axis=0, keepdims=True), theta.std(axis=0, ddof=1, keepdims=True)

    def _raw(self, rng: np.random.Generator, batch_size: int, context: Context) -> np.ndarray:
        if self.batched:
            positional, named = context.arguments()
            drawn = self._called(rng, batch_size, *positional, **named)
        else:
            drawn = []
            for row in range(batch_size):
                positional, named = context.arguments(row)
                one = self._called(rng, *positional, **named)
                # A function may draw into one array again and again.
                drawn.append(one.copy() if isinstance(one, np.ndarray | list) else one)
        if drawn is None or (not self.batched and any(each is None for each in drawn)):
            raise PriorError("draw() must return numbers, and it returned None: is there a return in it?")
        try:
            theta = np.array(unmasked(drawn), dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise PriorError(f"draw() must return numbers: {error}") from error
        # One parameter may come as a plain number.
        return theta[:, None] if theta.ndim == 1 else theta

    def _called(self, *arguments: Any, **contexts: Any) -> Any:
        try:
            return self._draw(*arguments, **contexts)
        except Exception as error:  # whatever a user's function raises
            takes = "draw(rng, batch_size)" if self.batched else "draw(rng)"
            raise PriorError(
                f"the prior failed: {in_one_line(error)}. It is called as {takes}, rng a numpy.random.Generator, and "
                "any contexts behind"
            ) from error


def checked_support(names: Sequence[str], lower: ArrayLike, upper: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds (parameters,) of named parameters, given one each or one for all.

    Raises:
        PriorError: when bounds and names disagree in number, bounds cross, or a name is no identifier or is taken.
    """
    for name in names:
        if not name.isidentifier():
            raise PriorError(f"parameter name {name!r}: takes letters, digits and '_', not a digit first")
        if name in AXES_OF_DRAWS:
            raise PriorError(f"parameter name {name!r}: an axis of the posterior's draws is called so, take another")
    if len(set(names)) != len(names):
        raise PriorError(f"parameter names must differ from each other, got {names}")
    try:
        low, up = (
            np.broadcast_to(_with_bounds(bound, without), (len(names),)).copy()
            for bound, without in ((lower, -np.inf), (upper, np.inf))
        )
    except ValueError as error:
        raise PriorError(f"bounds take one value for each of {names}, or one for all: {error}") from error
    unclear = [name for name, *both in zip(names, low, up, strict=True) if np.isnan(both).any()]
    if unclear:
        raise PriorError(
            f"a bound of {', '.join(unclear)} is not a number: takes None, or infinity, where there is none"
        )
    crossed = [name for name, below, above in zip(names, low, up, strict=True) if not below < above]
    if crossed:
        raise PriorError(f"the lower bound lies above the upper one for {', '.join(crossed)}")
    return low, up


def _with_bounds(bounds: ArrayLike, without: float) -> np.ndarray:
    """Bounds as numbers; `without` in place of None."""
    given = np.asarray(bounds, dtype=object)
    return np.array([without if bound is None else bound for bound in given.ravel()], np.float64).reshape(given.shape)
