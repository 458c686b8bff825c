"""The model that a job simulates with, which must still mean what it meant when the run was planned."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from cinnflow.simulation.model_file import Model, ModelError, load_model
from cinnflow.store.fingerprint import Fingerprint, digest_in_name, fingerprint


def add_simulation_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which batch to run, of which model, and how."""
    parser.add_argument("--store", type=Path, required=True, help="the store's folder")
    parser.add_argument("--split", required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--model", required=True, help="the model file")
    parser.add_argument("--options", type=json.loads, required=True, help="keyword arguments of build(), as JSON")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--timeout", type=json.loads, required=True, help="seconds, or null")
    parser.add_argument("--attempts", type=int, required=True)


def load_unedited(args: argparse.Namespace, store_name: str) -> tuple[Model, Fingerprint]:
    """Loads the model that a batch is of, and what its simulations mean.

    Args:
        args: the arguments of `add_simulation_arguments`.
        store_name: name of the store that the model's simulations had when the run was planned.

    Raises:
        ModelError: when the model has come to mean something else since then.
    """
    model = load_model(args.model, args.options)
    meaning = fingerprint(model, args.options, args.seed)
    if meaning.digest != digest_in_name(store_name):
        raise ModelError(
            f"{args.model} means other simulations than when this run started, {meaning.digest} instead of those in "
            f"{store_name}: it was edited while jobs ran. Start snakemake again; what is finished is kept"
        )
    return model, meaning
