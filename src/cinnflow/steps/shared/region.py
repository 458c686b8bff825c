"""The region of the prior that a store's simulations come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cinnflow.store.layout import Store
from cinnflow.store.proposal import proposal_folder, read_proposal

if TYPE_CHECKING:
    from cinnflow.inference.region import Region


def read_region(store: Store) -> Region | None:
    """The region that a store's simulations come from; None for the whole prior.

    Raises:
        StoreError, PosteriorFileError: when one of its files is damaged.
    """
    from cinnflow.inference.region import Region

    proposal = read_proposal(store)
    if proposal is None:
        return None
    wider = read_region(Store(store.path.with_name(f"{proposal.wider}.zarr"))) if proposal.wider else None
    return Region.load(proposal_folder(store), wider)
