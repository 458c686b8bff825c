"""The report as HTML: reads the study's tables and figures, and sets them into the template."""

from __future__ import annotations

import base64
import importlib
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import markupsafe
import numpy as np
import pandas as pd
import yaml

from cinnflow.diagnostics import misspecification, pairs, predictive, scores, sensitivity, style
from cinnflow.diagnostics.summary import conclusion
from cinnflow.diagnostics.table_file import read_table
from cinnflow.diagnostics.verdicts import ALL_PARAMETERS, PASS, UNINFORMATIVE, WORST_FIRST, percent, worst
from cinnflow.report.content import Content, Observation
from cinnflow.report.methods import methods
from cinnflow.report.numbers import alike, duration, number, published
from cinnflow.report.observation_checks import ObservationChecks
from cinnflow.report.prose import inline, split_readme

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Failed simulations": ("failures",),
    "Training": ("losses",),
    "Calibration": ("sbc", "coverage", "log_gamma", "tarp", "directions", "local_calibration", "latent"),
    "Recovery": ("recovery", "contraction", "scores", "sufficiency"),
}
"""Where each diagnostic stands in the report; those without a table in the study are left out."""

_NAMED = 6
"""Parameters that a list of failures names."""

_SCALE = 104 / style.RESOLUTION
"""Pixels of the page for each of a figure's: 104 to an inch, so that its lettering is nearly as large as the text's."""


def build(content: Content) -> str:
    """The report as one HTML document that needs no other file and no network.

    Args:
        content: the files and dictionaries to show.

    Raises:
        FileNotFoundError: when a file that the content names is not there.
    """
    title, question, model = split_readme(content.readme)
    summary = read_table(content.summary)
    sections = [
        {"title": section, "checks": checks}
        for section, names in SECTIONS.items()
        if (checks := [_check(content.diagnostics, name) for name in names if _computed(content.diagnostics, name)])
    ]
    observations = [_observation(observation) for observation in content.observations]
    observed = ObservationChecks(observations)
    for observation in observations:
        for check in observation["checks"]:
            check["word"] = observed.words.get((observation["name"], check["name"]), check["word"])
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cinnflow.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "percent": percent,
        "published": published,
        "duration": duration,
        "breakable": breakable,
        "gain": _gain,
        "sentence": _sentence,
        "inline": lambda text: markupsafe.Markup(inline(text)),
    }
    splits = _splits(content.manifests)
    return environment.get_template("template.html").render(
        study=content.study,
        title=title or content.study,
        question=question,
        model=model,
        methods=methods(content.config, {split["name"]: split["ok"] for split in splits}),
        labels=content.labels,
        conclusion=" ".join([conclusion(summary), *observed.sentences()]),
        worst=worst([*summary["verdict"], *observed.words.values()]),
        verdicts=_verdict_matrix(summary),
        sections=sections,
        observations=observations,
        amiss=_amiss(sections, observations),
        splits=splits,
        gains=content.gains,
        truncated_around=content.config["simulations"].get("observation"),
        total=(total := sum(split["total"] for split in splits)),
        failed_share=1 - sum(split["ok"] for split in splits) / total,
        seconds=content.seconds,
        provenance=content.provenance,
        config=yaml.safe_dump(_plain(content.config), sort_keys=False, allow_unicode=True, width=100),
    )


def breakable(name: str) -> markupsafe.Markup:
    """A name that may be broken behind its underscores where a table is narrow."""
    return markupsafe.escape(name).replace("_", markupsafe.Markup("_<wbr>"))


def _gain(gain: tuple[float, float]) -> str:
    return f"{gain[0]:.3f} ± {gain[1]:.3f}".replace("-", "−")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _computed(folder: Path, name: str) -> bool:
    return (folder / f"{name}.csv").exists()


def _check(folder: Path, name: str) -> dict[str, Any]:
    diagnostic = importlib.import_module(f"cinnflow.diagnostics.{name}")
    judged = diagnostic.verdict(read_table(folder / f"{name}.csv"))
    check = _judged(folder, name, diagnostic.TITLE, diagnostic.CAPTION, judged, diagnostic.ADVICE)
    # Whatever check finds it, a posterior that is no better than the prior asks for the same.
    return check | ({"advice": scores.ADVICE} if check["word"] == UNINFORMATIVE else {})


def _judged(
    folder: Path, name: str, title: str, caption: str, judged: pd.DataFrame | None = None, advice: str = ""
) -> dict[str, Any]:
    """A figure with its title and caption, and the verdicts on it, where there are any."""
    rows = [] if judged is None else judged.to_dict("records")
    word = worst(row["verdict"] for row in rows) if rows else None
    whole = rows[0]["reason"] if [row["parameter"] for row in rows] == [ALL_PARAMETERS] else None
    texts = {"name": name, "id": name, "title": title, "caption": caption, "word": word, "whole": whole}
    return {**texts, "image": _image(folder / f"{name}.png"), "verdicts": rows, "advice": advice}


def _amiss(sections: Sequence[Mapping[str, Any]], observations: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every check that is not passed, the worst first: title, verdict, what is found where, and what to do about it.

    Many checks find a posterior that is no better than the prior; the last of them, the scores, tells it for all.
    """
    checks = [check for section in sections for check in section["checks"]]
    checks += [
        {**check, "title": f"{check['title']}, {observation['name']}"}
        for observation in observations
        for check in observation["checks"]
    ]
    found = []
    for check in checks:
        if check["word"] in (None, PASS):
            continue
        if check["whole"]:
            where, reason = "", check["whole"]
        else:
            rows = [row for row in check["verdicts"] if row["verdict"] == check["word"]]
            where = _names([row["parameter"] for row in rows])
            reason = rows[0]["reason"] if len(rows) == 1 else ""
        found.append({**check, "where": where, "reason": reason})
    uninformed = [check for check in found if check["word"] == UNINFORMATIVE and check["advice"] == scores.ADVICE]
    return sorted(
        [check for check in found if check not in uninformed[:-1]], key=lambda check: WORST_FIRST.index(check["word"])
    )


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= _NAMED else f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED} more"


def _observation(observation: Observation) -> dict[str, Any]:
    folder = observation.folder
    table = read_table(folder / "summary.csv")
    data_sets = table["data_set"].nunique() if "data_set" in table else 1
    summary = table[table["data_set"] == 0] if "data_set" in table else table
    estimates = summary.set_index("parameter")
    unknown = [item.name for item in observation.published if item.name not in estimates.index]
    if unknown:
        raise ValueError(
            f"published values of {observation.name!r} are given for {', '.join(unknown)};"
            f" its summary has {', '.join(estimates.index)}"
        )
    checks = [_judged(folder, "pairs", pairs.TITLE, pairs.CAPTION)]
    if observation.predicted:
        simulated = read_table(folder / "predictive.csv")
        checks += [
            _judged(
                folder, "predictive", predictive.TITLE, predictive.CAPTION, predictive.verdict(simulated),
                predictive.ADVICE,
            ),
            _judged(
                folder, "prior_predictive", predictive.PRIOR_TITLE, predictive.PRIOR_CAPTION,
                predictive.verdict_prior(simulated), predictive.PRIOR_ADVICE,
            ),
        ]  # fmt: skip
    others = [("misspecification", misspecification)]
    if observation.alternative_priors:
        others.append(("sensitivity", sensitivity))
    for name, module in others:
        judged = module.verdict(read_table(folder / f"{name}.csv"))
        checks.append(_judged(folder, name, module.TITLE, module.CAPTION, judged, module.ADVICE))
    for check in checks:
        check["id"] = f"{check['name']}-{observation.name}"
    return {
        "name": observation.name,
        "data_sets": data_sets,
        "summary": [_estimate(row) for row in summary.to_dict("records")],
        "overall": _over_data_sets(table) if data_sets > 1 else [],
        "checks": checks,
        "shown": checks[1] if observation.predicted and simulated["q50"].notna().any() else checks[0],
        "predicted": observation.predicted,
        "published": [
            {"item": item, "estimate": _estimate({"parameter": item.name, **estimates.loc[item.name]})}
            for item in observation.published
        ],
    }


def _estimate(row: Mapping[str, Any]) -> dict[str, Any]:
    """One row of an observation's summary with its numbers rounded as the width of its interval allows."""
    columns = ("q05", "q50", "q95", "mean", "sd")
    texts = alike(*(row[column] for column in columns), width=row["q95"] - row["q05"])
    contraction = _contraction(row["contraction"])
    return {"parameter": row["parameter"], **dict(zip(columns, texts, strict=True)), "contraction": contraction}


def _contraction(value: float) -> str:
    return f"{value:.2f}".replace("-", "−") if np.isfinite(value) else "–"


def _over_data_sets(table: pd.DataFrame) -> list[dict[str, Any]]:
    """How medians, widths and contraction of each parameter are distributed over many data sets."""
    rows = []
    for parameter, values in table.groupby("parameter", sort=False):
        low, median, high = values["q50"].quantile([0.05, 0.5, 0.95])
        width, contraction = (values["q95"] - values["q05"]).median(), values["contraction"]
        texts = dict(zip(("q05", "q50", "q95", "width"), alike(low, median, high, width, width=width), strict=True))
        of_all = {"contraction": _contraction(contraction.median()), "least": _contraction(contraction.min())}
        rows.append({"parameter": parameter, **texts, **of_all})
    return rows


def _image(path: Path) -> dict[str, Any]:
    """A PNG to set into the page, with a size that makes the lettering of all figures equally large."""
    png = path.read_bytes()
    width, height = struct.unpack(">II", png[16:24])
    source = "data:image/png;base64," + base64.b64encode(png).decode()
    return {"source": source, "width": round(_SCALE * width), "height": round(_SCALE * height)}


def _verdict_matrix(summary: pd.DataFrame) -> dict[str, Any]:
    """Which verdict each diagnostic gives each parameter; none where it does not judge that parameter."""
    columns = [column for column in summary.columns if column.endswith("_verdict")]
    cells = summary[columns].astype(object).where(summary[columns].notna() & (summary[columns] != ""), None)
    cells = cells.dropna(axis="columns", how="all")
    return {
        "diagnostics": [column.removesuffix("_verdict") for column in cells],
        "rows": [
            {"parameter": parameter, "verdict": verdict, "words": list(words)}
            for parameter, verdict, words in zip(
                summary["parameter"], summary["verdict"], cells.to_numpy(), strict=True
            )
        ],
    }


def _splits(manifests: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    splits = []
    for name, manifest in manifests.items():
        counts = dict(manifest["counts"])
        failed = {reason: count for reason, count in counts.items() if reason != "ok" and count}
        splits.append({"name": name, "total": sum(counts.values()), "ok": counts.get("ok", 0), "failed": failed})
    return splits


def _plain(value: Any) -> Any:
    """The same values in the types that YAML knows."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)
