"""What the README shows does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

README = Path(__file__).parents[1] / "README.md"


def test_the_quickstart_runs_as_printed_and_comes_near_the_known_posterior(tmp_path, monkeypatch, capsys):
    (script,) = re.findall(r"<!-- quickstart -->\n```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(script.splitlines()) <= 40
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": "quickstart"}
    exec(compile(script, str(README), "exec"), names)
    assert {path.name for path in tmp_path.iterdir()} == {
        "losses.png",
        "sbc.png",
        "recovery.png",
        "contraction.png",
        "quickstart.keras",
    }
    assert capsys.readouterr().out.count("p_value") == 3
    fresh = names["model"](4000, np.random.default_rng(9))
    theta, x = fresh["prior_draws"], fresh["sim_data"]
    # The exact posterior is N(sum x / 51, 1 / 51) for each mean.
    exact = 0.5 * np.sum(np.log(51 / (2 * np.pi)) - 51 * (theta - x.sum(axis=1) / 51) ** 2, axis=1)
    assert np.mean(exact - names["posterior"].log_prob(theta, x)) < 0.03
