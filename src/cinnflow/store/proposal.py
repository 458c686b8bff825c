"""Where the parameters of a truncated round come from: a region of the prior, and what was drawn in it.

results/simulations/<model>-<fingerprint>.proposal/      beside the store whose simulations it is of
    member-<k>.keras            the fit that the region is of
    region.npz                  the data that it is around, and how low the fit's density may be
    proposal.json               what the store's simulations mean; written last
    <split>-<n>.npy             parameters of the first n simulations of a split (n, parameters)

All of it is written once and never changed: simulations that are in the store have been drawn there.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from cinnflow.store.layout import Store, StoreError


@dataclass(frozen=True)
class Proposal:
    """What a store's simulations are drawn from, where that is not the whole prior.

    Args:
        prior: name of the store of simulations from the whole prior.
        wider: name of the store whose region this one lies in; None where that is the whole prior.
        fingerprint: digest of each part of what this store's simulations mean.
    """

    prior: str
    wider: str | None
    fingerprint: dict[str, str]

    def text(self) -> str:
        """The proposal as it stands in its file."""
        return json.dumps(asdict(self), indent=1) + "\n"


def proposal_folder(store: Store) -> Path:
    """Where a store's proposal stands, if it has one."""
    return store.path.with_suffix(".proposal")


def proposal_path(store: Store) -> Path:
    """The file that says that a store's proposal is there."""
    return proposal_folder(store) / "proposal.json"


def theta_path(store: Store, split: str, simulations: int) -> Path:
    """The file of the parameters of a split's first simulations."""
    return proposal_folder(store) / f"{split}-{simulations}.npy"


def read_proposal(store: Store) -> Proposal | None:
    """A store's proposal; None where that is the whole prior.

    Raises:
        StoreError: when its file is damaged.
    """
    path = proposal_path(store)
    try:
        return Proposal(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise StoreError(
            f"{path} is damaged ({error}): delete {store.path} and {path.parent}, and start snakemake again, which "
            "draws and runs that round anew"
        ) from error


def has_theta(store: Store, split: str, indices: range) -> bool:
    """Whether parameters of some simulations of a split have been drawn."""
    return any(count >= indices.stop for count in _drawn(store, split))


def read_theta(store: Store, split: str, indices: range) -> np.ndarray:
    """The parameters (indices, parameters) that were drawn for some simulations of a split.

    Raises:
        StoreError: when there are none, or their file is damaged.
    """
    drawn = _drawn(store, split)
    # The first file that has them: a later one, made for a larger budget, only repeats them.
    count = min((count for count in drawn if count >= indices.stop), default=None)
    if count is None:
        raise StoreError(
            f"{proposal_folder(store)} holds no parameters of {split}: start snakemake again, which draws them"
        )
    try:
        return np.load(drawn[count])[indices.start : indices.stop]
    except (ValueError, OSError, EOFError) as error:
        raise StoreError(
            f"{drawn[count]} is damaged ({error}): delete it and start snakemake again, which draws it anew"
        ) from error


def _drawn(store: Store, split: str) -> dict[int, Path]:
    """The files of a split's parameters, by how many there are in each."""
    names = re.compile(rf"{re.escape(split)}-(\d+)\.npy")
    found = [(names.fullmatch(path.name), path) for path in proposal_folder(store).glob("*.npy")]
    return {int(match[1]): path for match, path in found if match}
