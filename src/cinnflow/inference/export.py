"""The posterior of observed data as files that others open: ArviZ InferenceData and a table."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import xarray as xr

from cinnflow.inference.errors import DrawsError

FEWEST_DRAWS = 100
"""Draws that each data set gets at least, however many data sets there are."""

SUMMARIES = "summaries"
"""Group of a file of draws that InferenceData does not know."""

_ENGINE = "h5netcdf"


def draws_each(data_sets: int, draws: int, in_all: int) -> int:
    """Posterior draws of each of many data sets: as many as asked for, or as `in_all` together allow."""
    return min(draws, max(FEWEST_DRAWS, in_all // data_sets))


def posterior_table(draws: Mapping[str, np.ndarray], prior: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Summary of the posterior of one or many observed data sets.

    Args:
        draws: posterior draws (data sets, draws) of each parameter and derived quantity, by name.
        prior: prior draws (n,), by the same names.

    Returns:
        One row a data set and parameter: data_set (where there are many), parameter, mean, sd, q05, q50, q95, and
        contraction, 1 - var(posterior) / var(prior); NaN where draws are not finite.
    """
    tables = []
    for name, values in draws.items():
        values = np.where(np.isfinite(values).all(axis=1, keepdims=True), values, np.nan)
        low, median, high = np.quantile(values, [0.05, 0.5, 0.95], axis=1)
        sd = values.std(axis=1, ddof=1)
        variance = prior[name].var(ddof=1) if np.isfinite(prior[name]).all() else np.nan
        contraction = np.zeros(len(sd)) if variance == 0 else 1 - sd**2 / variance
        columns = {"mean": values.mean(axis=1), "sd": sd, "q05": low, "q50": median, "q95": high}
        tables.append(pd.DataFrame({"parameter": name, **columns, "contraction": contraction}))
    table = pd.concat(tables).rename_axis("data_set").reset_index().sort_values("data_set", kind="stable")
    if table["data_set"].nunique() == 1:
        table = table.drop(columns="data_set")
    return table.reset_index(drop=True)


def write_draws(
    path: Path,
    draws: Mapping[str, np.ndarray],
    prior: Mapping[str, np.ndarray],
    prior_predictive: tuple[np.ndarray, Mapping[str, np.ndarray]],
    observed: Mapping[str, np.ndarray],
    summaries: np.ndarray,
    attributes: Mapping[str, str],
    contexts: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Writes posterior, prior and observed data, all but the posterior predictive data; the same input, the same bytes.

    Args:
        path: the .nc file.
        draws: posterior draws (data sets, draws) of each parameter, by name.
        prior: prior draws (n,), by name.
        prior_predictive: numbers (m,) of prior draws, and arrays simulated from these (m, ...), by name.
        observed: observed arrays (data sets, ...), by name.
        summaries: what the networks have condensed each data set to (data sets, entries).
        attributes: what to say of the posterior: study, model, fingerprint.
        contexts: the contexts of the observed data (data sets, ...), by name; the group constant_data holds them.
    """
    many = len(next(iter(draws.values()))) > 1
    rows, simulated = prior_predictive
    groups = {
        "posterior": {
            name: (("chain", "draw", "data_set"), values.T[None]) if many else (("chain", "draw"), values)
            for name, values in draws.items()
        },
        "prior": {name: (("chain", "draw"), values[None]) for name, values in prior.items()},
        "prior_predictive": {
            name: (("chain", "draw", *_dims(name, values)), values[None]) for name, values in simulated.items()
        },
        "observed_data": _by_data_set(observed, many),
        SUMMARIES: {"summaries": (("data_set", "entry") if many else ("entry",), summaries if many else summaries[0])},
    }
    if contexts:
        groups["constant_data"] = _by_data_set(contexts, many)
    temporary = path.with_suffix(".temporary")
    _create(temporary, tuple(groups))
    for group, variables in groups.items():
        dataset = xr.Dataset(variables, attrs=dict(attributes) if group == "posterior" else {})
        coords = {name: np.arange(size) for name, size in dataset.sizes.items()}
        if group == "prior_predictive":
            coords["draw"] = rows
        dataset.assign_coords(coords).to_netcdf(temporary, mode="a", group=group, engine=_ENGINE)
    temporary.rename(path)


def write_inference_data(
    path: Path,
    draws: Path,
    predictive: tuple[np.ndarray, Mapping[str, np.ndarray]] | None = None,
    labels: Mapping[str, str] | None = None,
) -> None:
    """Writes the whole posterior so that `arviz.from_netcdf` opens it; the same input, the same bytes.

    Args:
        path: the .nc file.
        draws: what `write_draws` has written.
        predictive: numbers (n,) of draws of the first data set, none twice, and arrays simulated from these (n, ...),
            by name; None where there is no simulator, or every simulation has failed.
        labels: what parameters, arrays and their axes (`<array>_0`, ...) are called, with their units.
    """
    temporary = path.with_suffix(".temporary")
    with h5py.File(draws) as file:
        groups = [group for group in file if group != SUMMARIES]
    _create(temporary, [*groups, *(["posterior_predictive"] if predictive else [])])
    many = False
    for group in groups:
        with xr.open_dataset(draws, group=group, engine=_ENGINE) as dataset:
            many |= "data_set" in dataset.dims
            _labelled(dataset.load(), labels or {}).to_netcdf(temporary, mode="a", group=group, engine=_ENGINE)
    if predictive:
        rows, simulated = predictive
        variables = {
            name: (("chain", "draw", *(["data_set"] if many else []), *_dims(name, values)),
                   values[None, :, None] if many else values[None])
            for name, values in simulated.items()
        }  # fmt: skip
        dataset = xr.Dataset(variables)
        coords = {name: np.arange(size) for name, size in dataset.sizes.items()} | {"draw": rows}
        dataset = _labelled(dataset.assign_coords(coords), labels or {})
        dataset.to_netcdf(temporary, mode="a", group="posterior_predictive", engine=_ENGINE)
    temporary.rename(path)


def read_first(path: Path, group: str) -> dict[str, np.ndarray]:
    """Arrays of one group of a file of draws, those of the first data set where there are many.

    Args:
        path: what `write_draws` or `write_inference_data` has written.
        group: "posterior", "prior", ...

    Returns:
        Arrays with the draws along their first axis, where the group has draws, by name.

    Raises:
        DrawsError: for a file that is damaged.
    """
    with _reading(path, group) as dataset:
        first = dataset.isel(chain=0, data_set=0, missing_dims="ignore")
        return {str(name): values.to_numpy() for name, values in first.data_vars.items()}


def read_observed_summaries(path: Path) -> np.ndarray:
    """What the networks have condensed each observed data set to (data sets, entries); `path` as for `read_first`."""
    with _reading(path, SUMMARIES) as dataset:
        summaries = dataset["summaries"].to_numpy()
    return np.atleast_2d(summaries)


@contextlib.contextmanager
def _reading(path: Path, group: str) -> Iterator[xr.Dataset]:
    try:
        with xr.open_dataset(path, group=group, engine=_ENGINE) as dataset:
            yield dataset.load()
    except (OSError, ValueError, LookupError, TypeError, RuntimeError) as error:
        raise DrawsError.of(path, error) from error


def _create(path: Path, groups: Sequence[str]) -> None:
    """A file of empty groups that, unlike those that h5netcdf creates by itself, hold no time of day."""
    path.unlink(missing_ok=True)
    order = h5py.h5p.CRT_ORDER_TRACKED | h5py.h5p.CRT_ORDER_INDEXED  # netCDF-4 asks for it
    of_file, of_group = h5py.h5p.create(h5py.h5p.FILE_CREATE), h5py.h5p.create(h5py.h5p.GROUP_CREATE)
    for properties in (of_file, of_group):
        properties.set_obj_track_times(False)
        properties.set_link_creation_order(order)
    file = h5py.h5f.create(bytes(path), h5py.h5f.ACC_EXCL, fcpl=of_file)
    for group in groups:
        h5py.h5g.create(file, group.encode(), gcpl=of_group).close()
    file.close()


def _labelled(dataset: xr.Dataset, labels: Mapping[str, str]) -> xr.Dataset:
    for name in set(labels) & {str(variable) for variable in dataset.variables}:
        dataset[name].attrs["long_name"] = labels[name]
    return dataset


def _by_data_set(arrays: Mapping[str, np.ndarray], many: bool) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """Variables with their dimensions; the data sets are one of these where there are many."""
    first = ("data_set",) if many else ()
    return {name: ((*first, *_dims(name, values)), values if many else values[0]) for name, values in arrays.items()}


def _dims(name: str, values: np.ndarray) -> tuple[str, ...]:
    return tuple(f"{name}_{axis}" for axis in range(values.ndim - 1))
