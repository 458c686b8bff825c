"""The report is one offline file that holds everything it was given, escaped."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cinnflow.diagnostics import losses, pairs, predictive, sbc, style, summary
from cinnflow.report.content import Content, Observation, Published
from cinnflow.report.report import build, duration, number

README = """# Rates & <odds>

How fast is *it*?

A `model` of two rates.

## Data

Not part of the report.
"""


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> Content:
    folder = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(0)
    names = ["beta", "gamma"]
    truths = rng.normal(size=(100, 2))
    draws = (truths + 0.5 * rng.normal(size=(100, 2)))[:, None] * 0.8 + np.sqrt(0.2) * rng.normal(size=(100, 60, 2))
    history = pd.DataFrame({"epoch": range(30), "loss": 1.0, "validation_loss": 1.0})
    tables = {"sbc": (sbc, sbc.compute(draws, truths, names)), "losses": (losses, losses.compute({"round 0": history}))}
    for name, (module, table) in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
        style.save(module.plot(table), folder / f"{name}.png")
    judged = {name: module.verdict(table) for name, (module, table) in tables.items()}
    summary.compute(judged, names).to_csv(folder / "summary.csv", index=False)
    return Content(
        study="rates",
        readme=README,
        config={"study": "rates", "simulations": {"rounds": 2}, "path": Path("a/b")},
        manifests={"round-0": {"counts": {"ok": 90, "crashed": 8, "timed out": 2}}, "test": {"counts": {"ok": 40}}},
        provenance={"fingerprint": "0a1b2c3d", "versions": {"numpy": "2.4"}},
        diagnostics=folder,
        summary=folder / "summary.csv",
        observations=[observation(folder, "school", draws[0])],
        seconds={"training": 95.0},
    )


def observation(folder: Path, name: str, posterior: np.ndarray) -> Observation:
    style.save(pairs.plot(pairs.compute(posterior, posterior * 2, ["beta", "gamma"])), folder / f"{name}-pairs.png")
    table = predictive.compute({"cases": np.random.default_rng(1).normal(size=(40, 5))}, {"cases": np.zeros(5)})
    table.to_csv(folder / f"{name}-predictive.csv", index=False)
    style.save(predictive.plot(table), folder / f"{name}-predictive.png")
    columns = {"mean": 1.51, "sd": 0.2, "q05": 1.23, "q50": 1.49, "q95": 1.87, "contraction": 0.9}
    pd.DataFrame([{"parameter": p} | columns for p in ("beta", "gamma")]).to_csv(folder / f"{name}.csv", index=False)
    return Observation(
        name=name,
        summary=folder / f"{name}.csv",
        pairs=folder / f"{name}-pairs.png",
        predictive=folder / f"{name}-predictive.png",
        predictive_table=folder / f"{name}-predictive.csv",
        published=[Published("beta", 1.66, "Someone & others, 2008", (1.5, 1.8))],
    )


class Page(HTMLParser):
    """Collects the text, the ids, and what the page would load or link to."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text, self.ids, self.loads, self.links = "", [], [], []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids += [values["id"]] if "id" in values else []
        self.loads += [values[key] for key in ("src", "srcset") if values.get(key)]
        (self.links if tag == "a" else self.loads).extend([values["href"]] if values.get("href") else [])
        if tag not in {"meta", "link", "img", "wbr"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.text += data


@pytest.fixture(scope="module")
def source(content) -> str:
    return build(content)


@pytest.fixture(scope="module")
def page(source) -> Page:
    return Page(source)


def test_it_loads_nothing_from_anywhere(page, source) -> None:
    assert page.loads
    assert all(target.startswith("data:") for target in page.loads)
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest", source)


def test_an_observation_without_a_simulator_has_no_predictive_check(content) -> None:
    only = dataclasses.replace(content.observations[0], predictive=None, predictive_table=None)
    source = build(dataclasses.replace(content, observations=[only]))
    page = Page(source)
    assert page.open == []
    assert "No predictive check" in page.text
    assert "Simulations from the posterior" not in page.text
    assert "predictive-school" not in page.ids
    assert "The posterior of school beside the prior" in page.text


def test_tags_are_closed_and_links_lead_somewhere(page) -> None:
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)


def test_what_it_was_given_is_there(page) -> None:
    text = " ".join(page.text.split())
    for expected in (
        "Rates & <odds>",
        "How fast is it?",
        "A model of two rates.",
        "The posterior passes all 2 checks for beta and gamma. Simulations from the posterior look like school.",
        "8 crashed (8 %), 2 timed out (2 %)",
        "1 min 35 s",
        "1.23 to 1.87",
        "1.66 (1.50 to 1.80)",
        "Someone & others, 2008",
        "0a1b2c3d",
        "rounds: 2",
        "path: a/b",
        sbc.CAPTION,
        pairs.CAPTION,
    ):
        assert expected in text, expected
    assert "Not part of the report" not in text


def test_every_figure_is_inside(source) -> None:
    images = set(re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", source))
    assert len(images) == 4


def test_the_same_files_give_the_same_report(content, source) -> None:
    assert build(content) == source


def test_text_from_outside_is_escaped(content) -> None:
    nasty = dataclasses.replace(
        content,
        study="<script>alert(1)</script>",
        readme='# <b>x</b>\n\n<img src="http://example.org/x.png">\n\n[x](javascript:alert(1))',
        provenance={"<i>key": "</pre><script>"},
    )
    page = Page(build(nasty))
    assert all(target.startswith("data:") for target in page.loads)
    assert all(link.startswith("#") for link in page.links)
    assert page.text.count("<script>alert(1)</script>") == 2


def test_a_study_without_observations_has_a_report(content) -> None:
    page = Page(build(dataclasses.replace(content, observations=[], seconds={}, provenance={})))
    assert "observation" not in " ".join(page.ids)


def test_an_observation_that_the_model_cannot_make_decides_the_sentence(content, tmp_path) -> None:
    table = pd.read_csv(content.observations[0].predictive_table).assign(p_value=0.001)
    table.to_csv(tmp_path / "predictive.csv", index=False)
    other = dataclasses.replace(content.observations[0], predictive_table=tmp_path / "predictive.csv")
    source = build(dataclasses.replace(content, observations=[other]))
    assert "Simulations from the posterior do not look like school." in source
    assert '<p class="conclusion fail">' in source


def test_each_parameter_has_a_mark_from_each_diagnostic(source) -> None:
    assert source.count('class="verdict pass mark"') == 2 * 2


def test_published_values_must_name_a_quantity_that_is_there(content) -> None:
    other = dataclasses.replace(content.observations[0], published=[Published("R0", 3.6, "somebody")])
    with pytest.raises(ValueError, match="published values of 'school' are given for R0; its summary has beta, gamma"):
        build(dataclasses.replace(content, observations=[other]))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0.00"),
        (1.8512, "1.85"),
        (-0.0123, "−0.0123"),
        (512, "512"),
        (98765.4, "98765"),
        (1.5e-7, "1.50e−07"),
        (1234567, "1.23e+06"),
        (9.999, "10.0"),
        (float("nan"), "–"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.42, "0.4 s"), (59.6, "1 min 0 s"), (95, "1 min 35 s"), (7500, "2 h 5 min"), (12, "12 s")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
