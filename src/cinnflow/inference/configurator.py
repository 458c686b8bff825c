"""Which part of the data goes where: from a simulator's arrays to what the networks take."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow.experimental.numpy as tnp

from cinnflow.inference.configured import check_finite, first_of
from cinnflow.inference.raw_data import Data, as_dict, is_tensor
from cinnflow.simulation.padding import MASK, check_mask


class Configurator:
    """Arranges raw data, a dict of arrays whose first axis is the data set, as conditions of the networks.

    The first array whose number of elements varies sets the elements (of a set) or time steps; where none varies, the
    first array with an axis beside the data sets does. It and every other array of that length are stacked as channels
    of the summary conditions (data sets, elements, channels). Everything else (numbers, as most contexts are, and
    vectors of other lengths) goes to the direct conditions (data sets, entries), as does all of it without a summary
    network. A boolean array named "mask" (data sets, elements) may say which elements are there.

    Args:
        shapes: shape of one data set's array, by name, in the order of the channels; None in place of a number of
            elements that varies.
        summary: whether there is a summary network.
        lengths: names of numbers that are the number of elements, such as a context n_obs: they are direct conditions
            too, and need not be given.
        longest: the most elements that a data set of the training data could have, where that was declared.

    Raises:
        ValueError: where a summary network gets numbers alone, or what varies in size would go to none.
    """

    def __init__(
        self,
        shapes: Mapping[str, Sequence[int | None]],
        summary: bool = True,
        lengths: Sequence[str] = (),
        longest: int | None = None,
    ) -> None:
        self.shapes = {name: tuple(shape) for name, shape in shapes.items()}
        self.summary = summary
        self.lengths = list(lengths)
        self.longest = longest
        varying = sorted(name for name, shape in self.shapes.items() if None in shape)
        if varying and not summary:
            raise ValueError(f"the number of elements of {', '.join(varying)} varies, which takes a summary network")
        firsts = [shape[:1] for shape in self.shapes.values() if shape] if summary else []
        first = (None,) if (None,) in firsts else next(iter(firsts), None)
        self.to_summary = [name for name, shape in self.shapes.items() if shape and shape[:1] == first]
        self.to_direct = [name for name in self.shapes if name not in self.to_summary]
        if summary and not self.to_summary:
            raise ValueError(
                "a summary network takes at least one array for each data set, got only numbers: "
                f"{', '.join(self.shapes)}; leave the summary network out (in a study, network.summary.type: none)"
            )

    @classmethod
    def from_data(cls, *batches: Data, summary: bool = True, varying: bool = False) -> Configurator:
        """The configurator for data shaped like these.

        Args:
            batches: data, in one batch or several.
            summary: whether there is a summary network.
            varying: whether the number of elements may vary even if it does not here. It may where it does, or where
                there is a mask.

        Raises:
            ValueError: for an array called mask that is none.
        """
        arrays = [as_dict(batch) for batch in batches]
        for batch in arrays:
            check_mask(batch)
        shapes = {name: array.shape[1:] for name, array in arrays[0].items() if name != MASK}
        elements = arrays[0][MASK].shape[1:] if MASK in arrays[0] else None
        if varying and summary and elements is None:
            elements = next((shape[:1] for shape in shapes.values() if shape), None)
        for name, shape in shapes.items():
            if shape and (shape[:1] == elements or len({batch[name].shape[1] for batch in arrays}) > 1):
                shapes[name] = (None, *shape[1:])
        configurator = cls(shapes, summary)
        if summary:
            counts = [configurator._counts(batch) for batch in arrays]
            configurator.lengths = [
                name
                for name, shape in shapes.items()
                if not shape
                and all(np.array_equal(batch[name], count) for batch, count in zip(arrays, counts, strict=True))
            ]
        configurator.admit(*arrays)
        return configurator

    def admit(self, *batches: Data) -> None:
        """Lets data sets be as long as those of training data, whose mask is as long as any of them can be."""
        masks = [batch[MASK] for batch in batches if isinstance(batch, Mapping) and MASK in batch]
        self.longest = max([self.longest or 0, *(mask.shape[1] for mask in masks)]) or None

    def _counts(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Number of elements (data sets,) of each data set."""
        if MASK in arrays:
            return _numpy_for(arrays).sum(arrays[MASK], axis=1)
        simulations, elements = arrays[self.to_summary[0]].shape[:2]
        return np.full(simulations, elements)

    def __call__(self, data: Data) -> dict[str, np.ndarray]:
        """Arranges data of the same names and shapes; where there is one name, an array alone needs none.

        Tensors become tensors, also inside a compiled function.

        Returns:
            summary_conditions (data sets, elements, channels), summary_mask (data sets, elements) and
            direct_conditions (data sets, entries); each only where there is something to put in.

        Raises:
            ValueError: for a missing or unknown name, or another shape.
        """
        arrays = self._named(data)
        self._check_shapes(arrays)
        arrays = {name: self._counts(arrays) for name in self.lengths} | arrays
        xp = _numpy_for(arrays)
        configured = {}
        # Channels and entries are counted, since -1 is no number of them where a batch has no data sets or no elements.
        if self.to_summary:
            channels = {name: math.prod(self.shapes[name][1:]) for name in self.to_summary}
            flat = [xp.reshape(arrays[name], (*arrays[name].shape[:2], channels[name])) for name in self.to_summary]
            stacked = xp.concatenate(flat, axis=-1)
            if MASK in arrays:
                there = configured["summary_mask"] = xp.asarray(arrays[MASK], dtype=bool)
                stacked = xp.where(there[..., None], stacked, 0)  # where nothing is, NaN may stand
            configured["summary_conditions"] = stacked
        if self.to_direct:
            entries = {name: math.prod(self.shapes[name]) for name in self.to_direct}
            flat = [xp.reshape(arrays[name], (arrays[name].shape[0], entries[name])) for name in self.to_direct]
            configured["direct_conditions"] = xp.concatenate(flat, axis=-1)
        return configured

    def check(self, data: Data) -> None:
        """Checks data that a posterior is asked about, arranged before, beyond their names and shapes.

        Raises:
            ValueError: for values that are not finite, a length that is not the data's own, or data longer than those
                in training.
        """
        arrays = self._named(data)
        check_finite(arrays, dict.fromkeys(self.to_summary, arrays[MASK]) if MASK in arrays else {})
        if not self.to_summary:
            return
        counts = np.asarray(self._counts(arrays))
        for name in (name for name in self.lengths if name in arrays):
            given = np.asarray(arrays[name])
            if (differs := given != counts).any():
                first = first_of(differs)
                raise ValueError(
                    f"data {name!r} is {given[first]:g} in data set {first}, whose data are {counts[first]:g} long: "
                    "say in a mask which elements are there"
                )
        if self.longest and (longer := counts > self.longest).any():
            raise ValueError(
                f"data set {first_of(longer)} is {counts[first_of(longer)]:g} long, and those in training were at most "
                f"{self.longest} long: train with longer ones"
            )

    @property
    def _needed(self) -> list[str]:
        return [name for name in self.shapes if name not in self.lengths]

    def _named(self, data: Data) -> dict[str, np.ndarray]:
        return as_dict(data, *self._needed) if len(self._needed) == 1 else as_dict(data)

    def _check_shapes(self, arrays: dict[str, np.ndarray]) -> None:
        needed = self._needed
        optional = {*self.lengths, *([MASK] if self.to_summary else [])}
        if set(arrays) - optional != set(needed):
            raise ValueError(
                f"data take the name{'s' if len(needed) > 1 else ''} {', '.join(needed)}, got "
                f"{', '.join(arrays) or 'none'}"
            )
        first = arrays[needed[0]]
        sizes = {
            "data sets": tuple(first.shape[:1]),
            "elements": tuple(arrays[self.to_summary[0]].shape[1:2]) if self.to_summary else (),
        }
        for name, array in arrays.items():
            shape = self.shapes.get(name, sizes["elements"])
            expected = sizes["data sets"] + tuple(
                size if size is not None else next(iter(sizes["elements"]), None) for size in shape
            )
            if tuple(array.shape) != expected or array.ndim == 0:
                wanted = ", ".join(["data sets", *("elements" if size is None else str(size) for size in shape)])
                hint = ""
                if array.ndim == len(expected) - 1:
                    hint = "; one data set alone needs a first axis of length 1"
                elif name in self.to_summary and array.shape == (*expected[:1], *array.shape[1:2], *expected[2:]):
                    hint = f"; the first simulations of training had {shape[0]} elements each: let sizes vary there"
                raise ValueError(
                    f"data {name!r} take the shape ({wanted}), the same number of data sets for each name, got "
                    f"{array.shape}{hint}"
                )

    def get_config(self) -> dict[str, Any]:
        shapes = {name: list(shape) for name, shape in self.shapes.items()}
        return {"shapes": shapes, "summary": self.summary, "lengths": self.lengths, "longest": self.longest}


def _numpy_for(arrays: Mapping[str, Any]) -> Any:
    """NumPy, or its like for tensors."""
    return tnp if any(is_tensor(array) for array in arrays.values()) else np
