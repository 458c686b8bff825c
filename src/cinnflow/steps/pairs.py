"""Rule `pairs`: the figure of an observation's posterior beside the prior."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from cinnflow.diagnostics import pairs, style
from cinnflow.inference.export import read_first
from cinnflow.steps.shared.running import run_step


def main() -> None:
    """Parses the arguments that the rule gives and plots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=Path, required=True, help="the observation's draws.nc")
    parser.add_argument("--figure", type=Path, required=True, help="the PNG to write")
    run_step(lambda: _plot(parser.parse_args()))


def _plot(args: argparse.Namespace) -> None:
    posterior, prior = read_first(args.draws, "posterior"), read_first(args.draws, "prior")
    values = [np.stack([group[name] for name in posterior], axis=-1) for group in (posterior, prior)]
    style.save(pairs.plot(pairs.compute(*values, list(posterior))), args.figure)


if __name__ == "__main__":
    main()
