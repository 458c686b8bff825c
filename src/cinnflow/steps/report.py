"""Rule `report`: the table of verdicts, and the report."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from cinnflow.diagnostics import summary
from cinnflow.diagnostics.table_file import read_table
from cinnflow.plan import Plan
from cinnflow.report.content import Content, Observation, Published
from cinnflow.report.report import build
from cinnflow.steps.shared.running import run_step, say
from cinnflow.steps.shared.tables import write_table
from cinnflow.steps.shared.training_record import read_training_record
from cinnflow.store.layout import place

log = logging.getLogger(__name__)

_ASKED_ABOUT = 4
"""Parameters that the question names where there are many."""


def main() -> None:
    """Parses the arguments that the rule gives and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=json.loads, required=True, help="the study's configuration, as JSON")
    parser.add_argument("--fingerprint", type=json.loads, required=True, help="its parts, as JSON")
    parser.add_argument("--folder", type=Path, required=True, help="the study's results")
    parser.add_argument("--diagnostics", nargs="+", required=True, help="names of the diagnostics")
    parser.add_argument("--observations", nargs="*", default=[], help="their names, the most important one first")
    parser.add_argument("--histories", type=Path, nargs="+", required=True, help="histories of training")
    parser.add_argument("--readme", type=Path, nargs="*", default=[], help="the model's README")
    parser.add_argument("--summary", type=Path, required=True, help="the CSV to write")
    parser.add_argument("--report", type=Path, required=True, help="the HTML file to write")
    run_step(lambda: _report(parser.parse_args()))


def _report(args: argparse.Namespace) -> None:
    plan = Plan.of(args.config)
    folder = args.folder / "diagnostics"
    verdicts = {}
    for name in args.diagnostics:
        module = importlib.import_module(f"cinnflow.diagnostics.{name}")
        verdicts[name] = module.verdict(read_table(folder / f"{name}.csv"))
    names = list(verdicts["sbc"]["parameter"])
    write_table(args.summary, summary.compute(verdicts, names))
    seals = _seals(args.folder / "manifest" / "provenance.json")
    trainings = [_training(path) for path in args.histories]
    simulating = 0 if plan.source else sum(seal["seconds"] for seal in seals.values())
    content = Content(
        study=plan.study.study,
        readme=args.readme[0].read_text() if args.readme else plan.model.module.__doc__ or _about_source(plan),
        config=plan.meaning,
        manifests={split: {"counts": plan.read(split).counts} for split in plan.splits},
        gains=_gains(args.histories),
        provenance=_provenance(seals, trainings, args.fingerprint, plan),
        diagnostics=folder,
        labels=plan.model.labels,
        summary=args.summary,
        observations=[_observation(args.folder / "observations" / name, plan) for name in args.observations],
        seconds={
            name: seconds
            for name, seconds in {
                "simulating, added up over all cores": simulating,
                "training": sum(training["seconds"] for training in trainings),
            }.items()
            if seconds
        },
    )
    place(args.report, build(content).encode())
    say(f"the report is in {args.report}")


def _about_source(plan: Plan) -> str:
    """What stands in place of a model's README where simulations were made elsewhere."""
    if plan.source is None:
        return ""
    source = plan.source
    data = ", ".join(f"{name} {shape}" for name, shape in source.data.items())
    names = list(source.names)
    if len(names) > _ASKED_ABOUT + 1:
        names[_ASKED_ABOUT:] = [f"{len(names) - _ASKED_ABOUT} more parameters"]
        names[-2:] = [" and ".join(names[-2:])]
    return (
        f"# {plan.study.study}\n\nWhat do the observations say about {', '.join(names)}?\n\n"
        f"The simulations were made elsewhere: {source.simulations} in `{source.path}`, of which the last "
        f"{plan.study.simulations.test} are held out. One simulation gives {data}."
    )


def _seals(path: Path) -> dict[str, dict[str, Any]]:
    """What the seals have noted of each split; nothing where that file is gone or damaged."""
    try:
        return {split: dict(entry) for split, entry in json.loads(path.read_text()).items()}
    except (OSError, ValueError, AttributeError) as error:
        log.warning("%s cannot be read (%s): the report goes without it", path, error)
        return {}


def _training(history: Path) -> dict[str, Any]:
    """Seconds of a training, and its device where it has noted one."""
    return {
        "seconds": float(read_table(history)["seconds"].sum()),
        "device": read_training_record(history).get("device"),
    }


def _gains(histories: list[Path]) -> dict[str, tuple[float, float]]:
    """What each round has gained over the fit before, in nats per parameter, and its standard error."""
    found: dict[str, list[dict[str, float]]] = {}
    for history in histories:
        if gain := read_training_record(history).get("gain"):
            found.setdefault(history.parent.parent.name, []).append(gain)
    return {
        split: (
            float(np.mean([gain["nats_per_parameter"] for gain in gains])),
            float(np.mean([gain["standard_error"] for gain in gains])),
        )
        for split, gains in found.items()
    }


def _provenance(
    seals: dict[str, dict[str, Any]], trainings: list[dict[str, Any]], fingerprint: dict[str, str], plan: Plan
) -> dict[str, Any]:
    devices = list(dict.fromkeys(training["device"] for training in trainings if training["device"]))
    simulated: dict[str, Any] = {
        "simulated": f"no record: {plan.folder}/manifest/provenance.json is gone or damaged; a split that is sealed "
        "anew writes its own entry again"
    }
    versions = {}
    if seals:
        last = max(seals.values(), key=lambda seal: seal["time"])
        simulated = {
            "command": last["command"],
            "simulated by": last["time"],
            "host": f"{last['host']}, {last['system']}",
        }
        versions = {"versions": last["versions"]}
    return {
        **simulated,
        **({"simulations made elsewhere": plan.source.path.as_posix()} if plan.source else {}),
        **({"trained on": devices} if devices else {}),
        "store": ", ".join(store.path.as_posix() for store in plan.stores),
        "fingerprint": {part: digest[:12] for part, digest in fingerprint.items()},
        **versions,
    }


def _observation(folder: Path, plan: Plan) -> Observation:
    published = [
        Published(entry["quantity"], entry["value"], entry["source"], entry.get("interval"))
        for entry in plan.model.published
    ]
    return Observation(folder.name, folder, published, bool(plan.model.alternative_priors), predicted=not plan.source)


if __name__ == "__main__":
    main()
