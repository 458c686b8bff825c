"""Which part of the data goes where: from a simulator's arrays to what the networks take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

CONFIGURED = ("parameters", "summary_conditions", "summary_mask", "direct_conditions")

Data = np.ndarray | Mapping[str, np.ndarray]


def as_dict(data: Data) -> dict[str, np.ndarray]:
    """Data by name; an array alone is called "x"."""
    return {name: np.asarray(array) for name, array in (data if isinstance(data, Mapping) else {"x": data}).items()}


def is_configured(data: Data) -> bool:
    """Whether data are already what the networks take."""
    return isinstance(data, Mapping) and bool(data) and set(data) <= set(CONFIGURED)


class Configurator:
    """Arranges raw data, a dict of arrays whose first axis is the data set, as conditions of the networks.

    The first array with an axis beside the data sets sets the number of elements (of a set) or of time steps. It and
    every other array of that length are stacked as channels of the summary conditions (data sets, elements, channels).
    Everything else (numbers, and vectors of other lengths) goes to the direct conditions (data sets, entries). Without a
    summary network everything does. A boolean array named "mask" (data sets, elements) says which elements are there;
    it makes the number of elements free.

    Args:
        shapes: shape of one data set's array, by name, in the order of the channels.
        summary: whether there is a summary network.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], summary: bool = True) -> None:
        self.shapes = {name: tuple(int(size) for size in shape) for name, shape in shapes.items()}
        self.summary = summary
        arrays = {name: shape for name, shape in self.shapes.items() if name != "mask"}
        elements = next((shape[0] for shape in arrays.values() if shape), None) if summary else None
        self.to_summary = [name for name, shape in arrays.items() if shape and shape[0] == elements]
        self.to_direct = [name for name in arrays if name not in self.to_summary]
        if summary and not self.to_summary:
            raise ValueError(
                f"a summary network takes data with at least one array for each data set, got only numbers: {self!s}; "
                "set the summary network to none"
            )

    @classmethod
    def from_data(cls, data: Data, summary: bool = True) -> Configurator:
        """The configurator for data shaped like these."""
        return cls({name: array.shape[1:] for name, array in as_dict(data).items()}, summary)

    def __call__(self, data: Data) -> dict[str, np.ndarray]:
        """Arranges data of the same names and shapes.

        Returns:
            summary_conditions (data sets, elements, channels), summary_mask (data sets, elements) and
            direct_conditions (data sets, entries); each only where there is something to put in.

        Raises:
            ValueError: for a missing or unknown name, or another shape.
        """
        arrays = self._checked(as_dict(data))
        configured = {}
        if self.to_summary:
            stacked = [arrays[name].reshape(*arrays[name].shape[:2], -1) for name in self.to_summary]
            configured["summary_conditions"] = np.concatenate(stacked, axis=-1)
        if "mask" in self.shapes and self.summary:
            configured["summary_mask"] = arrays["mask"].astype(bool)
        if self.to_direct:
            flat = [arrays[name].reshape(len(arrays[name]), -1) for name in self.to_direct]
            configured["direct_conditions"] = np.concatenate(flat, axis=-1)
        return configured

    def _checked(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if set(arrays) != set(self.shapes):
            raise ValueError(
                f"the data take the names {', '.join(self.shapes)}, got {', '.join(arrays) or 'none'}; expected {self!s}"
            )
        elements = {array.shape[1:2] for name, array in arrays.items() if name in self.to_summary or name == "mask"}
        for name, array in arrays.items():
            free = "mask" in self.shapes and (name in self.to_summary or name == "mask")
            if array.ndim == 0 or array.shape[1 + free :] != self.shapes[name][free:] or (free and len(elements) > 1):
                raise ValueError(
                    f"data {name!r} takes the shape (data sets{''.join(f', {size}' for size in self.shapes[name])}), "
                    f"got {array.shape}; one data set alone needs a first axis of length 1"
                )
        if len({len(array) for array in arrays.values()}) > 1:
            counts = ", ".join(f"{name} {len(array)}" for name, array in arrays.items())
            raise ValueError(f"all data take the same number of data sets along their first axis, got {counts}")
        return arrays

    def __str__(self) -> str:
        return ", ".join(f"{name} {shape}" for name, shape in self.shapes.items())

    def get_config(self) -> dict[str, Any]:
        return {"shapes": {name: list(shape) for name, shape in self.shapes.items()}, "summary": self.summary}
