"""Rule `report`: the table of verdicts, and the report."""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path

import pandas as pd

from cinnflow.diagnostics import summary
from cinnflow.plan import Plan
from cinnflow.report.content import Content, Observation, Published
from cinnflow.report.report import build
from cinnflow.steps.common import run_step, say
from cinnflow.store.layout import place


def main() -> None:
    """Parses the arguments that the rule gives and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=json.loads, required=True, help="the study's configuration, as JSON")
    parser.add_argument("--fingerprint", type=json.loads, required=True, help="its parts, as JSON")
    parser.add_argument("--folder", type=Path, required=True, help="the study's results")
    parser.add_argument("--diagnostics", nargs="+", required=True, help="names of the diagnostics")
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
        verdicts[name] = module.verdict(pd.read_csv(folder / f"{name}.csv"))
    names = list(verdicts["sbc"]["parameter"])
    table = summary.compute(verdicts, names).to_csv(index=False)
    place(args.summary, table.encode(), args.summary.with_suffix(".temporary"))
    seals = json.loads((args.folder / "manifest" / "provenance.json").read_text())
    simulating = {"simulating, added up over all cores": sum(seal["seconds"] for seal in seals.values())}
    content = Content(
        study=plan.study.study,
        readme=args.readme[0].read_text() if args.readme else plan.model.module.__doc__ or _about_source(plan),
        config=plan.meaning,
        manifests={split: {"counts": plan.read(split).counts} for split in plan.splits},
        provenance=_provenance(seals, args.fingerprint, plan),
        diagnostics=folder,
        summary=args.summary,
        observations=[_observation(args.folder / "observations" / name, plan) for name in plan.study.observations],
        seconds=({} if plan.source else simulating)
        | {"training": sum(float(pd.read_csv(path)["seconds"].sum()) for path in args.histories)},
    )
    place(args.report, build(content).encode(), args.report.with_suffix(".temporary"))
    say(f"the report is in {args.report}")


def _about_source(plan: Plan) -> str:
    """What stands in place of a model's README where simulations were made elsewhere."""
    if plan.source is None:
        return ""
    source = plan.source
    data = ", ".join(f"{name} {shape}" for name, shape in source.data.items())
    return (
        f"# {plan.study.study}\n\nWhat do the observations say about {', '.join(source.names)}?\n\n"
        f"The simulations were made elsewhere: {source.simulations} in `{source.path}`, of which the last "
        f"{plan.study.simulations.test} are held out. One simulation gives {data}."
    )


def _provenance(seals: dict, fingerprint: dict[str, str], plan: Plan) -> dict:
    last = max(seals.values(), key=lambda seal: seal["time"])
    return {
        "command": last["command"],
        "simulated by": last["time"],
        "host": f"{last['host']}, {last['system']}",
        **({"simulations made elsewhere": plan.source.path.as_posix()} if plan.source else {}),
        "store": plan.store.path.as_posix(),
        "fingerprint": {part: digest[:12] for part, digest in fingerprint.items()},
        "versions": last["versions"],
    }


def _observation(folder: Path, plan: Plan) -> Observation:
    return Observation(
        name=folder.name,
        summary=folder / "summary.csv",
        pairs=folder / "pairs.png",
        predictive=None if plan.source else folder / "predictive.png",
        predictive_table=None if plan.source else folder / "predictive.csv",
        published=[
            Published(entry["quantity"], entry["value"], entry["source"], entry.get("interval"))
            for entry in plan.model.published
        ],
    )


if __name__ == "__main__":
    main()
