"""Rule `misspecification`: is an observation like anything that the model simulates?"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from cinnflow.diagnostics import misspecification, style
from cinnflow.inference.draws import read_draws
from cinnflow.steps.common import run_step
from cinnflow.store.layout import place


def main() -> None:
    """Parses the arguments that the rule gives and tests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=Path, required=True, help="the draws artifact")
    parser.add_argument("--summaries", type=Path, required=True, help="the observation's summaries, a .npy file")
    parser.add_argument("--table", type=Path, required=True, help="the CSV to write")
    parser.add_argument("--figure", type=Path, required=True, help="the PNG to write")
    run_step(lambda: _test(parser.parse_args()))


def _test(args: argparse.Namespace) -> None:
    table = misspecification.compute(np.load(args.summaries), read_draws(args.draws).summaries)
    place(args.table, table.to_csv(index=False).encode(), args.table.with_suffix(".temporary"))
    style.save(misspecification.plot(table), args.figure)


if __name__ == "__main__":
    main()
