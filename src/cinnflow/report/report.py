"""The report as HTML: reads the study's tables and figures, and sets them into the template."""

from __future__ import annotations

import base64
import importlib
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import markupsafe
import numpy as np
import pandas as pd
import yaml

from cinnflow.diagnostics import pairs, predictive
from cinnflow.diagnostics.summary import conclusion
from cinnflow.diagnostics.verdicts import FAIL, worst
from cinnflow.report.content import Content, Observation
from cinnflow.report.prose import split_readme

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Failed simulations": ("failures",),
    "Training": ("losses",),
    "Calibration": ("sbc", "coverage", "log_gamma", "tarp", "latent"),
    "Recovery": ("recovery", "contraction", "scores"),
}
"""Where each diagnostic stands in the report; those without a table in the study are left out."""

_SCALE = 0.65


def build(content: Content) -> str:
    """The report as one HTML document that needs no other file and no network.

    Args:
        content: the files and dictionaries to show.

    Raises:
        FileNotFoundError: when a file that the content names is not there.
    """
    title, question, model = split_readme(content.readme)
    summary = pd.read_csv(content.summary)
    sections = [
        {"title": section, "checks": checks}
        for section, names in SECTIONS.items()
        if (checks := [_check(content.diagnostics, name) for name in names if _computed(content.diagnostics, name)])
    ]
    observations = [_observation(observation) for observation in content.observations]
    fits = {
        observation["name"]: observation["predictive"]["verdict"]["verdict"]
        for observation in observations
        if observation["predictive"]
    }
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cinnflow.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "duration": duration, "breakable": breakable}
    return environment.get_template("template.html").render(
        study=content.study,
        title=title or content.study,
        question=question,
        model=model,
        conclusion=f"{conclusion(summary)} {_fit_in_words(fits)}",
        worst=worst([*summary["verdict"], *fits.values()]),
        verdicts=_verdict_matrix(summary),
        sections=sections,
        observations=observations,
        splits=_splits(content.manifests),
        seconds=content.seconds,
        provenance=content.provenance,
        config=yaml.safe_dump(_plain(content.config), sort_keys=False, allow_unicode=True, width=100),
    )


def number(value: float) -> str:
    """A number with three significant digits, and no exponent where none is needed."""
    if value is None or not np.isfinite(value):
        return "–"
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.2e}".replace("-", "−")
    rounded = abs(float(f"{value:.2e}"))
    digits = max(0, 2 - int(np.floor(np.log10(rounded)))) if rounded else 2
    return f"{value:.{digits}f}".replace("-", "−")


def duration(seconds: float) -> str:
    """A time span in its natural unit: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def breakable(name: str) -> markupsafe.Markup:
    """A name that may be broken behind its underscores where a table is narrow."""
    return markupsafe.escape(name).replace("_", markupsafe.Markup("_<wbr>"))


def _computed(folder: Path, name: str) -> bool:
    return (folder / f"{name}.csv").exists()


def _check(folder: Path, name: str) -> dict[str, Any]:
    diagnostic = importlib.import_module(f"cinnflow.diagnostics.{name}")
    judged = diagnostic.verdict(pd.read_csv(folder / f"{name}.csv"))
    return {
        "name": name,
        "title": diagnostic.TITLE,
        "caption": diagnostic.CAPTION,
        "image": _image(folder / f"{name}.png"),
        "word": worst(judged["verdict"]),
        "verdicts": judged.to_dict("records"),
    }


def _observation(observation: Observation) -> dict[str, Any]:
    summary = pd.read_csv(observation.summary)
    estimates = summary.set_index("parameter")
    unknown = [item.name for item in observation.published if item.name not in estimates.index]
    if unknown:
        raise ValueError(
            f"published values of {observation.name!r} are given for {', '.join(unknown)};"
            f" its summary has {', '.join(estimates.index)}"
        )
    return {
        "name": observation.name,
        "summary": summary.to_dict("records"),
        "pairs": {"title": pairs.TITLE, "caption": pairs.CAPTION, "image": _image(observation.pairs)},
        "predictive": _predictive(observation) if observation.predictive else None,
        "published": [{"item": item, "estimate": estimates.loc[item.name]} for item in observation.published],
    }


def _predictive(observation: Observation) -> dict[str, Any]:
    return {
        "title": predictive.TITLE,
        "caption": predictive.CAPTION,
        "image": _image(observation.predictive),
        "verdict": predictive.verdict(pd.read_csv(observation.predictive_table)).to_dict("records")[0],
    }


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
    return {
        "diagnostics": [column.removesuffix("_verdict") for column in columns],
        "rows": [
            {"parameter": parameter, "verdict": verdict, "words": list(words)}
            for parameter, verdict, words in zip(
                summary["parameter"], summary["verdict"], cells.to_numpy(), strict=True
            )
        ],
    }


def _fit_in_words(fits: Mapping[str, str]) -> str:
    """Whether simulations from the posterior of each observation look like it."""
    unlike = [name for name, verdict in fits.items() if verdict == FAIL]
    if unlike:
        return f"Simulations from the posterior do not look like {', '.join(unlike)}."
    return f"Simulations from the posterior look like {', '.join(fits)}." if fits else ""


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
