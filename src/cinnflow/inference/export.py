"""The posterior of observed data as files that others open: ArviZ InferenceData and a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr


def posterior_table(draws: Mapping[str, np.ndarray], prior: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Summary of the posterior of one or many observed data sets.

    Args:
        draws: posterior draws (data sets, draws) of each parameter and derived quantity, by name.
        prior: prior draws (n,), by the same names.

    Returns:
        One row a data set and parameter: data_set (where there are many), parameter, mean, sd, q05, q50, q95, and
        contraction, 1 - var(posterior) / var(prior).
    """
    tables = []
    for name, values in draws.items():
        low, median, high = np.quantile(values, [0.05, 0.5, 0.95], axis=1)
        sd = values.std(axis=1, ddof=1)
        contraction = 1 - sd**2 / prior[name].var(ddof=1)
        columns = {"mean": values.mean(axis=1), "sd": sd, "q05": low, "q50": median, "q95": high}
        tables.append(pd.DataFrame({"parameter": name, **columns, "contraction": contraction}))
    table = pd.concat(tables).rename_axis("data_set").reset_index().sort_values("data_set", kind="stable")
    if table["data_set"].nunique() == 1:
        table = table.drop(columns="data_set")
    return table.reset_index(drop=True)


def write_inference_data(
    path: Path,
    draws: Mapping[str, np.ndarray],
    prior: Mapping[str, np.ndarray],
    observed: Mapping[str, np.ndarray],
    attributes: Mapping[str, str],
    contexts: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Writes draws, prior and observed data so that `arviz.from_netcdf` opens them; the same input, the same bytes.

    Args:
        path: the .nc file.
        draws: posterior draws (data sets, draws) of each parameter, by name.
        prior: prior draws (n,), by name.
        observed: observed arrays (data sets, ...), by name.
        attributes: what to say of the posterior: study, model, fingerprint.
        contexts: the contexts of the observed data (data sets, ...), by name; the group constant_data holds them.
    """
    many = len(next(iter(draws.values()))) > 1
    groups = {
        "posterior": {
            name: (("chain", "draw", "data_set"), values.T[None]) if many else (("chain", "draw"), values)
            for name, values in draws.items()
        },
        "prior": {name: (("chain", "draw"), values[None]) for name, values in prior.items()},
        "observed_data": _by_data_set(observed, many),
    }
    if contexts:
        groups["constant_data"] = _by_data_set(contexts, many)
    path.unlink(missing_ok=True)
    temporary = path.with_suffix(".temporary")
    temporary.unlink(missing_ok=True)
    for group, variables in groups.items():
        dataset = xr.Dataset(variables, attrs=dict(attributes) if group == "posterior" else {})
        dataset = dataset.assign_coords({name: np.arange(size) for name, size in dataset.sizes.items()})
        dataset.to_netcdf(temporary, mode="a", group=group, engine="h5netcdf")
    temporary.rename(path)


def _by_data_set(arrays: Mapping[str, np.ndarray], many: bool) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """Variables with their dimensions; the data sets are one of these where there are many."""
    first = ("data_set",) if many else ()
    return {name: ((*first, *_dims(name, values)), values if many else values[0]) for name, values in arrays.items()}


def _dims(name: str, values: np.ndarray) -> tuple[str, ...]:
    return tuple(f"{name}_{axis}" for axis in range(values.ndim - 1))
