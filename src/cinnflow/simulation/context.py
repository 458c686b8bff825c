"""Context: what a simulation depends on beside its parameters, and what is known when its posterior is asked for.

A number of observations, a dose, the times at which something was measured: a network that is trained on varying
contexts gives the posterior under any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cinnflow.errors import PlainError
from cinnflow.simulation.names import AXES_OF_DRAWS
from cinnflow.simulation.numbers import unmasked

Values = np.ndarray | dict[str, np.ndarray] | None

_TAKEN = ("mask", "simulation", "parameter", "parameters", *AXES_OF_DRAWS)
"""Names that arrays beside the contexts have, in a store or for the networks."""


class ContextError(PlainError, ValueError):
    """A context that functions and networks could not take; the message says what is wrong with it."""


@dataclass(frozen=True)
class Context:
    """The context of a batch of simulations.

    Args:
        batchable: one for each simulation: an array (batch_size, ...), a dict of such arrays, or None.
        non_batchable: one that all of them share: an array (...), a dict of arrays, or None.
    """

    batchable: Values = None
    non_batchable: Values = None

    def arguments(self, row: int | None = None) -> tuple[list[Any], dict[str, Any]]:
        """What a function of one simulation, or of the whole batch, gets behind its own arguments.

        A context by name goes to the argument of that name. One without a name goes behind the other arguments, the
        batchable one first.
        """
        # Copies, since a function may write into them.
        own = each_array(self.batchable, lambda values: (values if row is None else values[row]).copy())
        shared = each_array(self.non_batchable, lambda value: value[()].copy())
        positional = [value for value in (own, shared) if value is not None and not isinstance(value, Mapping)]
        named = {name: value for part in (own, shared) if isinstance(part, Mapping) for name, value in part.items()}
        return positional, named

    def named(self, prefix: str, batch_size: int) -> dict[str, np.ndarray]:
        """All of it by name, (batch_size, ...) each: what is shared stands there once for each simulation.

        Args:
            prefix: `prior` or `sim`: a context without a name has the one that a GenerativeModel's output gives it,
                such as sim_batchable_context.
            batch_size: simulations in the batch.
        """
        shared = each_array(self.non_batchable, lambda value: np.broadcast_to(value, (batch_size, *value.shape)))
        return {
            **_by_name(self.batchable, f"{prefix}_batchable_context"),
            **_by_name(shared, f"{prefix}_non_batchable_context"),
        }


class ContextGenerator:
    """Draws the context of simulations.

    The functions return a number, an array or a dict of them. Entries of a dict are passed on by name, to
    `simulate(theta, rng, n_obs=...)`; anything else by position, to
    `simulate(theta, rng, batchable_context, non_batchable_context)`.

    In a GenerativeModel that is called with a batch size, a batch shares its non-batchable context. A store has no
    batches in that sense: every simulation draws both kinds from its own seed, so that what it gives depends on nothing
    else; and each context has one shape.

    Args:
        batchable_context_fun: `batchable_context_fun(rng)` returns the context of one simulation; or None.
        non_batchable_context_fun: `non_batchable_context_fun(rng)` returns a context for a whole batch, such as a
            number of observations; or None.
        use_non_batchable_for_batchable: whether batchable contexts depend on the non-batchable one:
            `batchable_context_fun(rng, non_batchable_context)`.

    Raises:
        ContextError: when a function fails, what it returns is not numbers, or a name cannot be one of an argument.
    """

    def __init__(
        self,
        batchable_context_fun: Callable[..., Any] | None = None,
        non_batchable_context_fun: Callable[..., Any] | None = None,
        use_non_batchable_for_batchable: bool = False,
    ) -> None:
        self.batchable_context_fun = batchable_context_fun
        self.non_batchable_context_fun = non_batchable_context_fun
        self.use_non_batchable_for_batchable = use_non_batchable_for_batchable
        if use_non_batchable_for_batchable and None in (batchable_context_fun, non_batchable_context_fun):
            raise ContextError("use_non_batchable_for_batchable takes both a batchable and a non-batchable function")
        self._example = self.draw(1, np.random.default_rng(0))

    @property
    def empty(self) -> bool:
        """Whether there is no context at all."""
        return self.batchable_context_fun is None and self.non_batchable_context_fun is None

    def __call__(self, batch_size: int, rng: np.random.Generator) -> dict[str, Values]:
        """The contexts of a batch under BayesFlow's keys, batchable_context and non_batchable_context."""
        context = self.draw(batch_size, rng)
        return {"batchable_context": context.batchable, "non_batchable_context": context.non_batchable}

    def draw(self, batch_size: int, rng: np.random.Generator) -> Context:
        """Draws the context of a batch: the non-batchable one, then one for each simulation.

        Raises:
            ContextError: as above, or where the names or shapes of batchable contexts differ within the batch.
        """
        shared = own = None
        arguments: list[Any] = []
        if self.non_batchable_context_fun is not None:
            drawn = _drawn("non_batchable_context_fun", self.non_batchable_context_fun, rng)
            shared = each_array(drawn, lambda value: value[()])  # a number, not an array without an axis
            arguments = [shared] if self.use_non_batchable_for_batchable else []
        if self.batchable_context_fun is not None:
            each = [
                _drawn("batchable_context_fun", self.batchable_context_fun, rng, *arguments) for _ in range(batch_size)
            ]
            own = _stacked(each)
        return Context(own, shared)

    def draw_one(self, rng: np.random.Generator) -> Context:
        """Draws the context (of a batch of one) of a simulation that goes into a store.

        Raises:
            ContextError: as above, or for names or shapes other than those of a first trial.
        """
        context = self.draw(1, rng)
        _check_same(context.named("", 1), self._example.named("", 1))
        return context

    def example(self, prefix: str) -> dict[str, np.ndarray]:
        """A simulation's context by name; in a store, all have its names and shapes, and integers where it has."""
        return {name: values[0] for name, values in self._example.named(prefix, 1).items()}

    def given(self, named: Mapping[str, np.ndarray], prefix: str) -> Context:
        """The context (of a batch of one) that these values are, such as those of an observation.

        Args:
            named: one simulation's context, by the names that `example(prefix)` has.
            prefix: `prior` or `sim`.

        Raises:
            ContextError: for a missing name, another shape, or a fraction where contexts are integers.
        """
        values = {name: _like(name, named.get(name), wanted) for name, wanted in self.example(prefix).items()}

        def filled(part: Values, key: str) -> Values:
            return {name: values[name] for name in part} if isinstance(part, dict) else values.get(key)

        own = filled(self._example.batchable, f"{prefix}_batchable_context")
        shared = filled(self._example.non_batchable, f"{prefix}_non_batchable_context")
        return Context(each_array(own, lambda value: value[None]), shared)


def each_array(values: Any, function: Callable[[np.ndarray], Any]) -> Any:
    """An array, a dict of arrays or None, with a function of each array in its place."""
    if isinstance(values, Mapping):
        return {name: function(value) for name, value in values.items()}
    return None if values is None else function(values)


def _by_name(values: Values, alone: str) -> dict[str, np.ndarray]:
    if values is None:
        return {}
    return values if isinstance(values, dict) else {alone: values}


def _drawn(name: str, function: Callable[..., Any], *arguments: Any) -> np.ndarray | dict[str, np.ndarray]:
    """What a user's function returns, as arrays."""
    try:
        value = function(*arguments)
    except Exception as error:
        raise ContextError(
            f"{name} failed: {type(error).__name__}: {error}; it is called with rng, a numpy.random.Generator, and "
            "with use_non_batchable_for_batchable=True with the non-batchable context behind it"
        ) from error
    if not isinstance(value, Mapping):
        return _numbers(name, value)
    for key in value:
        if not isinstance(key, str) or not key.isidentifier() or key in _TAKEN:
            raise ContextError(
                f"{name} names a context {key!r}: takes letters, digits and '_', not a digit first, other than "
                f"{', '.join(_TAKEN)}"
            )
    return {key: _numbers(f"{name}: {key}", entry) for key, entry in value.items()}


def _numbers(name: str, value: Any) -> np.ndarray:
    try:
        array = unmasked(value)
        numbers = array.dtype.kind in "biuf" and np.isfinite(array).all() and array.size > 0
    except ValueError as error:
        raise ContextError(f"{name} must return numbers: {error}") from error
    if not numbers:
        raise ContextError(f"{name} must return finite numbers, a dict of them or of arrays, got {value!r}")
    return array.copy()  # a function may use one array again and again


def _stacked(drawn: list[Any]) -> np.ndarray | dict[str, np.ndarray]:
    """One array, or one for each name, with the simulations as first axis."""
    parts = [_by_name(values, "") for values in drawn]
    for other in parts[1:]:
        _check_same(other, parts[0])
    stacked = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
    return stacked if isinstance(drawn[0], dict) else stacked[""]


def _check_same(context: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> None:
    """Checks that one simulation's context has the names and shapes of another's."""
    got, expected = ({name: values.shape for name, values in part.items()} for part in (context, other))
    if got != expected:
        raise ContextError(
            f"the contexts of simulations have the same names and shapes, got {got} after {expected}; what varies in "
            "length goes into the data that the simulator returns"
        )


def _like(name: str, value: Any, example: np.ndarray) -> np.ndarray:
    """A given value with the shape and the type of an example."""
    if value is None:
        raise ContextError(f"no context {name}: simulations depend on it")
    array = np.asarray(value)
    cast = array.astype(example.dtype)
    if array.shape != example.shape or not np.array_equal(cast, array):
        kind = "whole numbers" if example.dtype.kind in "biu" else "numbers"
        raise ContextError(f"context {name} takes {kind} of shape {example.shape}, got {array.tolist()}")
    return cast
