"""Rule `misspecification`: whether the model simulates anything like an observation, as its summaries tell."""

from __future__ import annotations

import argparse
from pathlib import Path

from cinnflow.diagnostics import misspecification, style
from cinnflow.inference.draws import read_summaries
from cinnflow.inference.export import read_observed_summaries
from cinnflow.steps.shared.running import run_step
from cinnflow.steps.shared.tables import write_table


def main() -> None:
    """Parses the arguments that the rule gives and compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=Path, required=True, help="the observation's draws.nc")
    parser.add_argument("--test", type=Path, required=True, help="the draws artifact of the held-out simulations")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--table", type=Path, required=True, help="the CSV to write")
    parser.add_argument("--figure", type=Path, required=True, help="the PNG to write")
    run_step(lambda: _compare(parser.parse_args()))


def _compare(args: argparse.Namespace) -> None:
    table = misspecification.compute_each(
        read_observed_summaries(args.draws), read_summaries(args.test), seed=args.seed
    )
    write_table(args.table, table)
    style.save(misspecification.plot(table), args.figure)


if __name__ == "__main__":
    main()
