"""Derived quantities of which some draws have none."""

import numpy as np

from cinnflow.steps.shared.derived import finite_everywhere


def test_what_is_not_finite_everywhere_is_left_out_and_said(capsys, caplog):
    draws = {"fine": np.ones((2, 3)), "root": np.ones((2, 3)), "log": np.full((2, 3), -np.inf)}
    truths = {"fine": np.ones(2), "root": np.array([1, np.nan]), "log": np.ones(2)}
    assert [list(of) for of in finite_everywhere(draws, truths)] == [["fine"], ["fine"]]
    for said in (capsys.readouterr().out, caplog.text):
        assert "root is not finite for some of the draws" in said and "log is not finite" in said
