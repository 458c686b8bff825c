"""Rule `posterior`: the file of an observation's whole posterior, where there is no simulator to predict with."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from cinnflow.inference.export import write_inference_data
from cinnflow.simulation.model_file import load_model
from cinnflow.steps.shared.running import run_step


def main() -> None:
    """Parses the arguments that the rule gives and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=Path, required=True, help="the observation's draws.nc")
    parser.add_argument("--model", required=True, help="the model file; empty for none")
    parser.add_argument("--options", type=json.loads, required=True, help="keyword arguments of build(), as JSON")
    parser.add_argument("--posterior", type=Path, required=True, help="the .nc file to write")
    run_step(lambda: _write(parser.parse_args()))


def _write(args: argparse.Namespace) -> None:
    labels = load_model(args.model, args.options).labels
    write_inference_data(args.posterior, args.draws, labels=labels)


if __name__ == "__main__":
    main()
