"""Checkpoint `assess`: whether a round has gained enough for another one to follow."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from cinnflow.steps.shared.running import run_step, say
from cinnflow.store.layout import place


def main() -> None:
    """Parses the arguments that the rule gives and decides."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fits", type=Path, nargs="+", required=True, help="the round's .keras file of each member")
    parser.add_argument("--stop-below", type=float, required=True, help="nats per parameter")
    parser.add_argument("--gain", type=Path, required=True, help="the JSON file to write")
    run_step(lambda: _assess(parser.parse_args()))


def _assess(args: argparse.Namespace) -> None:
    trainings = [json.loads(fit.with_name("training.json").read_text()) for fit in args.fits]
    gain = float(np.mean([training["gain"]["nats_per_parameter"] for training in trainings]))
    another = not gain < args.stop_below
    place(args.gain, json.dumps({"nats_per_parameter": gain, "another_round": another}, indent=1).encode())
    say(
        f"{args.gain.parent.name} has gained {gain:.4f} nats per parameter over the round before, "
        + ("so another one follows" if another else f"less than stop_below: {args.stop_below:g}, and is the last one")
    )


if __name__ == "__main__":
    main()
