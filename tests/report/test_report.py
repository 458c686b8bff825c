"""The report is one offline file that holds everything it was given, escaped."""

from __future__ import annotations

import dataclasses
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cinnflow.config import check_study
from cinnflow.diagnostics import losses, misspecification, pairs, predictive, sbc, sensitivity, style, summary
from cinnflow.report.content import Content, Observation, Published
from cinnflow.report.report import build

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
        config={**check_study({"study": "rates", "model": "m.py"}).model_dump(), "path": Path("a/b")},
        manifests={"round-0": {"counts": {"ok": 90, "crashed": 8, "timed out": 2}}, "test": {"counts": {"ok": 40}}},
        provenance={"fingerprint": "0a1b2c3d", "versions": {"numpy": "2.4"}},
        diagnostics=folder,
        summary=folder / "summary.csv",
        observations=[observation(folder, "school", draws[0])],
        seconds={"training": 95.0},
        labels={"beta": "rate of <infection>, per day"},
    )


def observation(parent: Path, name: str, posterior: np.ndarray) -> Observation:
    folder = parent / name
    names = ["beta", "gamma"]
    rng = np.random.default_rng(1)
    style.save(pairs.plot(pairs.compute(posterior, posterior * 2, names)), folder / "pairs.png")
    simulated, prior = ({"cases": scale * rng.normal(size=(40, 5))} for scale in (1, 2))
    table = predictive.compute(simulated, {"cases": np.zeros(5)}, simulated, prior)
    table.to_csv(folder / "predictive.csv", index=False)
    style.save(predictive.plot(table), folder / "predictive.png")
    style.save(predictive.plot_prior(table), folder / "prior_predictive.png")
    table = misspecification.compute(np.zeros((1, 3)), rng.normal(size=(60, 3)), resamples=99)
    table.to_csv(folder / "misspecification.csv", index=False)
    style.save(misspecification.plot(table), folder / "misspecification.png")
    table = sensitivity.compute(posterior, {"wider": posterior[:, 0] ** 2 / 5}, names)
    table.to_csv(folder / "sensitivity.csv", index=False)
    style.save(sensitivity.plot(table), folder / "sensitivity.png")
    columns = {"mean": 1.51, "sd": 0.2, "q05": 1.23, "q50": 1.49, "q95": 1.87, "contraction": 0.9}
    pd.DataFrame([{"parameter": p} | columns for p in names]).to_csv(folder / "summary.csv", index=False)
    published = [Published("beta", 1.66, "Someone & others, 2008", (1.5, 1.8))]
    return Observation(name, folder, published, alternative_priors=True)


def elsewhere(content: Content, folder: Path, file: str, **columns: object) -> Content:
    """The same study with other columns in one table of its observation."""
    known = content.observations[0]
    shutil.copytree(known.folder, folder / known.name)
    other = dataclasses.replace(known, folder=folder / known.name)
    pd.read_csv(other.folder / file).assign(**columns).to_csv(other.folder / file, index=False)
    return dataclasses.replace(content, observations=[other])


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
    only = dataclasses.replace(content.observations[0], predicted=False)
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
        "The posterior passes all 2 checks, for every parameter. Simulations from the posterior look like school.",
        "8 crashed (8 %), 2 timed out (2 %)",
        "1 min 35 s",
        "1.23 to 1.87",
        "1.66 (1.5 to 1.8)",
        "rate of <infection>, per day",
        "130 simulations were run with parameters from the prior: 90 to train on, and 40 held out for the checks.",
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
    assert len(images) == 2 + 5


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


@pytest.mark.parametrize(
    ("file", "column", "word", "sentence", "advice"),
    [
        ("predictive.csv", "p_value", "fail", "Simulations from the posterior do not look like", predictive.ADVICE),
        ("predictive.csv", "prior_p_value", "doubtful", "The prior does not expect school.", predictive.PRIOR_ADVICE),
        (
            "misspecification.csv",
            "p_value",
            "fail",
            "The model simulates nothing like school: the posterior there",
            misspecification.ADVICE,
        ),
    ],
)
def test_an_observation_unlike_the_model_s_decides_the_sentence(
    content, tmp_path, file: str, column: str, word: str, sentence: str, advice: str
) -> None:
    source = build(elsewhere(content, tmp_path, file, **{column: 0.001}))
    page = Page(source)
    assert sentence in " ".join(page.text.split())
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    # What to do about it stands in the list at the top, and beside the figure.
    assert page.text.count(advice) == 2
    assert f'<p class="conclusion {word}">' in source


@pytest.mark.parametrize(("p_value", "word"), [(0.02, "doubtful"), (0.001, "fail")])
def test_one_failure_among_many_checks_of_observations_is_doubtful(content, p_value: float, word: str, tmp_path):
    failing = elsewhere(content, tmp_path, "misspecification.csv", p_value=p_value).observations[0]
    observations = [*content.observations, dataclasses.replace(failing, name="market")]
    source = build(dataclasses.replace(content, observations=observations))
    assert f'<p class="conclusion {word}">' in source
    told = "Of 6 checks of observations, 1 fails (misspecification of market), no more clearly than chance explains."
    assert (told in source) == (word == "doubtful")
    assert ("The model simulates nothing like market" in source) == (word == "fail")
    # The list, the table and the section say the same as the headline, and what was found.
    assert source.count(f'class="verdict {word}"') == 4
    assert ('class="verdict fail"' in source) == (word == "fail")
    assert f"the model simulates nothing alike (p = {p_value}, limit 0.05)" in source


@pytest.mark.parametrize(("p_value", "clear"), [(0.02, False), (0.001, True)])
def test_the_prior_does_not_expect_an_observation_where_that_is_beyond_chance(content, p_value, clear, tmp_path):
    source = build(elsewhere(content, tmp_path, "predictive.csv", prior_p_value=p_value))
    assert ("The prior does not expect school." in source) == clear
    told = "Of 3 checks of observations, 1 fails (prior predictive of school), no more clearly than chance explains."
    assert (told in source) != clear
    assert '<p class="conclusion doubtful">' in source


def test_an_uneven_weight_under_another_prior_is_told_and_decides_nothing(content, tmp_path) -> None:
    source = build(elsewhere(content, tmp_path, "sensitivity.csv", pareto_k=1.2, effective_draws=2.0))
    assert "too uneven to tell" in source
    assert '<p class="conclusion pass">' in source


def test_a_quantity_that_is_not_available_is_shown_as_a_dash(content, tmp_path) -> None:
    numbers = dict.fromkeys(("mean", "sd", "q05", "q50", "q95", "contraction"), np.nan)
    page = build(elsewhere(content, tmp_path, "summary.csv", **numbers))
    assert ">nan<" not in page and "<td>–</td>" in page


def test_thousands_of_data_sets_are_summed_up(content, tmp_path) -> None:
    known = content.observations[0]
    other = dataclasses.replace(known, folder=tmp_path / known.name)
    shutil.copytree(known.folder, other.folder)
    one = pd.read_csv(other.folder / "summary.csv")
    many = pd.concat([one.assign(data_set=index, q50=index / 1000) for index in range(2001)])
    many.to_csv(other.folder / "summary.csv", index=False)
    page = Page(build(dataclasses.replace(content, observations=[other])))
    text = " ".join(page.text.split())
    assert "Posterior for school, the first of 2001 data sets" in text
    assert "Over all 2001 data sets" in text
    assert "0.10 to 1.90" in text, "the central 90 % of the data sets' medians"
    assert len(page.text) < 40_000


def test_failures_are_said_to_condition_all_that_follows(source, content) -> None:
    assert "7.1 % of all simulations failed." in source  # 10 of 140
    nearly_all = dataclasses.replace(content, manifests={"test": {"counts": {"ok": 1, "crashed": 999}}})
    assert "100 % of all simulations failed." in build(nearly_all)
    whole = dataclasses.replace(content, manifests={"test": {"counts": {"ok": 40}}})
    assert "of all simulations failed" not in build(whole)


def test_each_parameter_has_a_mark_from_each_diagnostic(source) -> None:
    assert source.count('class="verdict pass mark"') == 2 * 2


def test_published_values_must_name_a_quantity_that_is_there(content) -> None:
    other = dataclasses.replace(content.observations[0], published=[Published("R0", 3.6, "somebody")])
    with pytest.raises(ValueError, match="published values of 'school' are given for R0; its summary has beta, gamma"):
        build(dataclasses.replace(content, observations=[other]))


def test_an_observation_without_prior_predictive_data_has_a_report(content, tmp_path) -> None:
    known = content.observations[0]
    shutil.copytree(known.folder, tmp_path / known.name)
    other = dataclasses.replace(known, folder=tmp_path / known.name)
    table = pd.read_csv(other.folder / "predictive.csv")
    table.drop(columns=[name for name in table if name.startswith("prior_")]).to_csv(
        other.folder / "predictive.csv", index=False
    )
    source = build(dataclasses.replace(content, observations=[other]))
    assert "Simulations from the posterior look like school." in source
