"""The draws artifact: posterior draws of simulations whose parameters are known, computed once and read by every
diagnostic."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zarr
from zarr.codecs import BytesCodec, Crc32cCodec

from cinnflow.inference.errors import DrawsError


@dataclass(frozen=True)
class Draws:
    """Posterior draws of held-out simulations.

    Args:
        names: names of the parameters, and of the quantities derived from them behind.
        parameters: how many of the names are parameters.
        draws: (simulations, draws, names).
        truths: what each simulation was made with (simulations, names).
        log_prob: log density of the true parameters (simulations,).
        fits: the .keras files of the networks that drew, relative to the study's results, and the SHA-256 of each.
        latent: where the network maps the true parameters to (simulations, parameters); members of an ensemble
            follow each other along the first axis.
        summaries: what the networks have condensed each data set to (simulations, entries).
    """

    names: list[str]
    parameters: int
    draws: np.ndarray
    truths: np.ndarray
    log_prob: np.ndarray
    latent: np.ndarray
    summaries: np.ndarray
    fits: dict[str, str]


_DIMENSIONS = {
    "draws": ("simulation", "draw", "parameter"),
    "truths": ("simulation", "parameter"),
    "log_prob": ("simulation",),
    "latent": ("network_simulation", "latent"),
    "summaries": ("simulation", "entry"),
}


def write_draws(path: Path, draws: Draws) -> None:
    """Writes the artifact in one move; its zarr.json holds a digest, and so stands for all of it.

    Args:
        path: the folder to write, ending in .zarr; what stood there is replaced.
        draws: what to write.
    """
    temporary = path.with_suffix(".temporary")
    shutil.rmtree(temporary, ignore_errors=True)
    digest = hashlib.sha256()
    for name in _DIMENSIONS:
        digest.update(np.ascontiguousarray(getattr(draws, name)).tobytes())
    attributes = {
        "names": draws.names,
        "parameters": draws.parameters,
        "fits": draws.fits,
        "digest": digest.hexdigest(),
    }
    group = zarr.create_group(temporary, attributes=attributes)
    for name, dimensions in _DIMENSIONS.items():
        values = getattr(draws, name)
        chunks = (max(1, min(len(values), 2**22 // max(1, values[0].size))), *values.shape[1:])
        array = group.create_array(
            name,
            shape=values.shape,
            chunks=chunks,
            dtype=values.dtype,
            serializer=BytesCodec(),
            compressors=(Crc32cCodec(),),
            dimension_names=dimensions,
        )
        array[...] = values
    shutil.rmtree(path, ignore_errors=True)
    temporary.rename(path)


def read_draws(path: Path) -> Draws:
    """Reads the artifact; errors as for `read_fits`."""
    with _reading(path) as group:
        arrays = {name: np.asarray(group[name][...]) for name in _DIMENSIONS}  # type: ignore[index]
        attributes = {name: group.attrs[name] for name in ("names", "parameters")}
    return Draws(fits=read_fits(path), **attributes, **arrays)  # type: ignore[arg-type]


def read_summaries(path: Path) -> np.ndarray:
    """What the networks have condensed each held-out data set to (simulations, entries)."""
    with _reading(path) as group:
        return np.asarray(group["summaries"][...])  # type: ignore[index]


def read_fits(path: Path) -> dict[str, str]:
    """The .keras files that drew, relative to the study's results, and the SHA-256 of each, or "" of older draws.

    Raises:
        DrawsError: for an artifact that is damaged.
    """
    with _reading(path) as group:
        fits = group.attrs["fits"]
    # Draws of earlier versions hold the names alone.
    return fits if isinstance(fits, dict) else dict.fromkeys(fits, "")  # type: ignore[arg-type]


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[zarr.Group]:
    try:
        yield zarr.open_group(path, mode="r")
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DrawsError.of(path, error) from error


def digest_of_file(fit: Path) -> str:
    """The SHA-256 of a .keras file, by which draws know the networks that they are of."""
    with fit.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
