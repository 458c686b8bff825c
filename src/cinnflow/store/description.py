"""What a store's simulations are, written once, when the first of them are committed."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from cinnflow.simulation.prior import Prior
from cinnflow.store.layout import (
    LENGTH,
    RECORDS,
    SEED,
    STATUS,
    ArraySpec,
    Store,
    StoreError,
    context_spec,
    data_spec,
    place,
    theta_spec,
)

SOURCE = "source"
"""The part of a fingerprint that tells simulations made elsewhere."""


@dataclass(frozen=True)
class Description:
    """What every batch of a store has in common; stands in the attributes of the store's root group.

    Args:
        parameters: the parameters' names.
        lower: their lower bounds, None where there is none.
        upper: their upper bounds, likewise.
        data: shape of each array that one simulation gives, by name.
        batch_size: simulations in a batch.
        fingerprint: digest of each part of what a simulation means.
        context: shape of each context of a simulation, by name.
        padded: names of the data whose first axis varies; their shape is that of the longest.
    """

    parameters: list[str]
    lower: list[float | None]
    upper: list[float | None]
    data: dict[str, list[int]]
    batch_size: int
    fingerprint: dict[str, str]
    context: dict[str, list[int]] = field(default_factory=dict)
    padded: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        prior: Prior,
        data: Mapping[str, tuple[int, ...]],
        batch_size: int,
        fingerprint: Mapping[str, str],
        context: Mapping[str, tuple[int, ...]] | None = None,
        padded: Sequence[str] = (),
    ) -> Description:
        """The description of a prior's simulations that give data, and have contexts, of these shapes."""
        return cls(
            list(prior.names),
            [float(bound) if np.isfinite(bound) else None for bound in prior.lower],
            [float(bound) if np.isfinite(bound) else None for bound in prior.upper],
            {name: list(shape) for name, shape in data.items()},
            batch_size,
            dict(fingerprint),
            {name: list(shape) for name, shape in (context or {}).items()},
            list(padded),
        )

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper bounds (parameters,), infinite where there is none."""
        lower = [-np.inf if bound is None else bound for bound in self.lower]
        upper = [np.inf if bound is None else bound for bound in self.upper]
        return np.array(lower), np.array(upper)

    @property
    def imported(self) -> bool:
        """Whether the simulations were made elsewhere, so that none of them can be run again."""
        return SOURCE in self.fingerprint

    @property
    def trained(self) -> list[ArraySpec]:
        """The arrays that training reads, and that manifests therefore list."""
        context = [context_spec(name, tuple(shape)) for name, shape in self.context.items()]
        data = [data_spec(name, tuple(shape)) for name, shape in self.data.items()]
        length = [LENGTH] if self.padded else []
        return [theta_spec(len(self.parameters)), *context, *data, *length, SEED, STATUS]

    @property
    def arrays(self) -> list[ArraySpec]:
        """All arrays of a split, the commit record last."""
        *others, status = self.trained
        return [*others, *RECORDS, status]

    @property
    def data_signature(self) -> dict[str, tuple[int, ...]]:
        """Shape of each data array by name."""
        return {name: tuple(shape) for name, shape in self.data.items()}


def read_description(store: Store) -> Description | None:
    """The description of a store, None for one without a committed batch.

    Raises:
        StoreError: when the store's zarr.json is damaged.
    """
    path = store.path / "zarr.json"
    try:
        return Description(**json.loads(path.read_text())["attributes"]["cinnflow"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path} is damaged ({error}): delete it and the commit record of one batch, "
            f"{store.path}/<split>/status/c/<batch>, and start snakemake again: that batch then writes it anew"
        ) from error


def write_description(store: Store, description: Description, temporary: Path) -> None:
    """Writes the description, unless another batch has done so: the first one holds for all."""
    store.path.mkdir(parents=True, exist_ok=True)
    place(temporary, _text(description).encode())
    with contextlib.suppress(FileExistsError):
        os.link(temporary, store.path / "zarr.json")
    temporary.unlink()


def place_description(store: Store, description: Description) -> None:
    """Puts another description in the place of a store's own; the seal adds what it tells of the arrays."""
    place(store.path / "zarr.json", _text(description).encode(), store.path / ".describing")


def _text(description: Description) -> str:
    # What a store has none of does not stand there: one without contexts reads as it did before there were any.
    optional = ("context", "padded")
    about = {name: value for name, value in asdict(description).items() if value or name not in optional}
    return json.dumps({"attributes": {"cinnflow": about}, "zarr_format": 3, "node_type": "group"}, indent=2)
