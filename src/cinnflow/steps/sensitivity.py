"""Rule `sensitivity`: the posterior of an observation under the other priors that the model file names."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from cinnflow.diagnostics import sensitivity, style
from cinnflow.inference.export import read_first
from cinnflow.simulation.model_file import ModelError, load_model
from cinnflow.steps.shared.running import run_step
from cinnflow.steps.shared.tables import write_table


def main() -> None:
    """Parses the arguments that the rule gives and weights the draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=Path, required=True, help="the observation's draws.nc")
    parser.add_argument("--model", required=True, help="the model file")
    parser.add_argument("--options", type=json.loads, required=True, help="keyword arguments of build(), as JSON")
    parser.add_argument("--table", type=Path, required=True, help="the CSV to write")
    parser.add_argument("--figure", type=Path, required=True, help="the PNG to write")
    run_step(lambda: _weight(parser.parse_args()))


def _weight(args: argparse.Namespace) -> None:
    model = load_model(args.model, args.options)
    draws = read_first(args.draws, "posterior")
    theta = {name: draws[name] for name in model.generative.prior.names}
    ratios = {}
    for name, log_ratio in model.alternative_priors.items():
        try:
            own = {quantity: values.copy() for quantity, values in theta.items()}  # a function may write into them
            ratios[name] = np.broadcast_to(np.asarray(log_ratio(own), float), next(iter(theta.values())).shape)
        except Exception as error:
            raise ModelError(f"alternative_priors[{name!r}] in {args.model} failed: {error!r}") from error
    try:
        table = sensitivity.compute(np.stack(list(draws.values()), axis=-1), ratios, list(draws))
    except ValueError as error:
        raise ModelError(f"alternative_priors in {args.model}: {error}") from error
    write_table(args.table, table)
    style.save(sensitivity.plot(table), args.figure)


if __name__ == "__main__":
    main()
