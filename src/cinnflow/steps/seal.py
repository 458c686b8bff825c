"""Rule `seal`: checks a split that is complete and writes its metadata and the study's manifest of it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from cinnflow.simulation.folder_lock import alone_in
from cinnflow.simulation.model_file import load_model
from cinnflow.steps.shared.running import run_step, say
from cinnflow.store.layout import Store, place
from cinnflow.store.seal import provenance, seal
from cinnflow.store.usual_shape import check_shape


def main() -> None:
    """Parses the arguments that the rule gives and seals the split."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, required=True, help="the store's folder")
    parser.add_argument("--split", required=True)
    parser.add_argument("--batches", type=int, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--max-failed", type=float, required=True)
    parser.add_argument("--model", required=True, help="the model file")
    parser.add_argument("--model-options", type=json.loads, required=True, help="keyword arguments of build(), as JSON")
    parser.add_argument("--options", default="", help="what names the study on a command line, for messages")
    parser.add_argument("--command", default="", help="the command that the user gave, for provenance")
    parser.add_argument("--manifest", type=Path, required=True, help="the manifest to write")
    run_step(lambda: _seal(parser.parse_args()))


def _seal(args: argparse.Namespace) -> None:
    store = Store(args.store)
    if store.misshapen.is_dir():  # else there is nothing to load the model for
        check_shape(store, args.split, load_model(args.model, args.model_options).generative, args.options)
    manifest, effort = seal(store, args.split, args.batches, args.batch_size, args.max_failed, args.options)
    _record(args.manifest.parent / "provenance.json", args.split, provenance(effort, args.command))
    place(args.manifest, manifest.text().encode())
    say(f"{args.split}: sealed, {manifest.counts['ok']} of {manifest.simulations} simulations succeeded")


def _entries(path: Path) -> dict[str, object]:
    """What the seals of the other splits have recorded; nothing where that is damaged: no result depends on it."""
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError) as error:
        say(f"{path} was damaged ({error}), and is begun anew")
        return {}


def _record(path: Path, split: str, entry: dict[str, object]) -> None:
    """Sets a split's entry of provenance.json, which the seals of all splits share."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with alone_in(path.parent):
        content = json.dumps({**_entries(path), split: entry}, indent=1, sort_keys=True) + "\n"
        place(path, content.encode())


if __name__ == "__main__":
    main()
