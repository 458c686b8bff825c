"""The summary keeps every number, and its sentence is that of the worst verdict."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cinnflow.diagnostics import latent, summary, verdicts


def judged(p_value: float = 1e-6, **words: str) -> pd.DataFrame:
    rows = [(name.replace("_", " "), 0.5, p_value, word, f"because {name}") for name, word in words.items()]
    return pd.DataFrame(rows, columns=verdicts.COLUMNS)


def test_one_row_a_parameter_with_every_number_and_verdict() -> None:
    table = summary.compute({"sbc": judged(a="pass", b="fail"), "tarp": judged(all_parameters="pass")}, ["a", "b"])
    assert table["parameter"].tolist() == ["a", "b"]
    assert table["verdict"].tolist() == ["pass", "fail"]
    assert table["sbc_verdict"].tolist() == ["pass", "fail"]
    assert table["tarp"].tolist() == [0.5, 0.5]
    assert table["reason"].tolist() == ["", "sbc: because b"]


def test_a_verdict_on_no_single_parameter_counts_for_all_of_them() -> None:
    table = summary.compute({"sbc": judged(a="pass"), "losses": judged(round_0="pass", round_1="unfinished")}, ["a"])
    assert table["verdict"].tolist() == ["unfinished"]


def test_latent_coordinates_are_no_parameters_of_their_names() -> None:
    rng = np.random.default_rng(2)
    first = rng.normal(size=500)
    judged = latent.verdict(latent.compute(np.stack([first, first * rng.choice([-1, 1], size=500)], axis=1)))
    assert judged["verdict"].tolist() == ["pass", "pass", "fail"]
    assert summary.compute({"latent": judged}, ["z1", "z2"])["verdict"].tolist() == ["fail", "fail"]


def test_a_diagnostic_that_judges_other_parameters_leaves_a_row_alone() -> None:
    table = summary.compute({"sbc": judged(a="pass", R0="pass"), "failures": judged(a="uneven")}, ["a", "R0"])
    assert table["verdict"].tolist() == ["uneven", "pass"]
    assert table["failures_verdict"].tolist() == ["uneven", ""]


def test_a_failure_that_chance_explains_among_all_checks_is_doubtful() -> None:
    checks = {f"check{index}": judged(p_value=0.5, a="pass") for index in range(4)}
    table = summary.compute(checks | {"sbc": judged(p_value=0.02, a="fail")}, ["a"])
    assert table["sbc_verdict"].tolist() == ["fail"]
    assert table["verdict"].tolist() == ["doubtful"]
    assert "1 of 5 checks fails (sbc), no more clearly than chance explains" in summary.conclusion(table)
    assert summary.compute(checks | {"sbc": judged(p_value=0.009, a="fail")}, ["a"])["verdict"].tolist() == ["fail"]


def test_failures_that_chance_hardly_explains_together_are_no_chance() -> None:
    checks = {f"check{index}": judged(p_value=0.5, a="pass") for index in range(7)}
    failing = {name: judged(p_value=p_value, a="fail") for name, p_value in (("sbc", 0.008), ("sufficiency", 0.007))}
    assert summary.compute(checks | failing, ["a"])["verdict"].tolist() == ["fail"]
    for name in failing:
        one = {**checks, "other": judged(p_value=0.5, a="pass"), name: failing[name]}
        assert summary.compute(one, ["a"])["verdict"].tolist() == ["doubtful"]


def test_a_diagnostic_that_judges_nothing_is_not_counted() -> None:
    table = summary.compute({"sbc": judged(a="pass"), "latent": judged()}, ["a"])
    assert summary.conclusion(table) == "The posterior passes the one check that was made, for a."


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"a": "pass", "b": "pass"}, "The posterior passes the one check that was made, for every parameter."),
        ({"a": "pass", "b": "fail"}, "Do not rely on this posterior yet: the one check that was made fails (sbc)."),
        (
            {"a": "pass", "b": "uninformative"},
            "The posterior passes every check for a; of b it says no more than the prior.",
        ),
        (
            {"a": "uninformative"},
            "No check fails, but each posterior is its prior: the data, or the network, say nothing of the parameters.",
        ),
    ],
)
def test_the_sentence(words: dict[str, str], sentence: str) -> None:
    assert summary.conclusion(summary.compute({"sbc": judged(**words)}, list(words))) == sentence


def test_many_parameters_are_counted_not_listed() -> None:
    words = {f"p{index}": "pass" if index < 12 else "uninformative" for index in range(20)}
    table = summary.compute({"sbc": judged(**words), "tarp": judged(all_parameters="pass")}, list(words))
    assert (
        summary.conclusion(table)
        == "The posterior passes every check for 12 parameters; of p12, p13, p14, p15, p16, p17, p18 and p19 it "
        "says no more than the prior."
    )


def test_the_summary_survives_csv(tmp_path) -> None:
    table = summary.compute({"sbc": judged(a="pass"), "failures": judged(a="uneven")}, ["a"])
    table.to_csv(tmp_path / "summary.csv", index=False)
    assert summary.conclusion(pd.read_csv(tmp_path / "summary.csv")) == summary.conclusion(table)


def test_a_diagnostic_of_parameters_and_of_all_of_them_gives_a_parameter_its_own_row() -> None:
    scores = judged(a="pass", all_parameters="uninformative")
    table = summary.compute({"sbc": judged(a="pass", R0="pass"), "scores": scores}, ["a", "R0"])
    assert table["scores_verdict"].tolist() == ["pass", ""]
