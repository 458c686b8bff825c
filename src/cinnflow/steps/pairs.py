"""Rule `pairs`: the figure of an observation's posterior beside the prior."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import xarray as xr

from cinnflow.diagnostics import pairs, style
from cinnflow.steps.common import run_step


def main() -> None:
    """Parses the arguments that the rule gives and plots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posterior", type=Path, required=True, help="the observation's posterior.nc")
    parser.add_argument("--figure", type=Path, required=True, help="the PNG to write")
    run_step(lambda: _plot(parser.parse_args()))


def _plot(args: argparse.Namespace) -> None:
    names, posterior = _first_data_set(args.posterior, "posterior")
    _, prior = _first_data_set(args.posterior, "prior")
    style.save(pairs.plot(pairs.compute(posterior, prior, names)), args.figure)


def _first_data_set(path: Path, group: str) -> tuple[list[str], np.ndarray]:
    """Names, and draws (draws, parameters) of the first data set."""
    with xr.open_dataset(path, group=group, engine="h5netcdf") as dataset:
        first = dataset.isel(chain=0, data_set=0, missing_dims="ignore")
        return list(first.data_vars), np.stack([values.to_numpy() for values in first.data_vars.values()], axis=-1)


if __name__ == "__main__":
    main()
