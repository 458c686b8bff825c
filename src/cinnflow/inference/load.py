"""A study's posterior, from its results."""

from __future__ import annotations

import re
from pathlib import Path

from cinnflow.inference.amortized_posterior import AmortizedPosterior


def load_posterior(path: str | Path) -> AmortizedPosterior:
    """The posterior in a .keras file, or the newest one in a study's results.

    Args:
        path: a .keras file, or a folder results/<study>.

    Raises:
        FileNotFoundError: where there is none.
        PosteriorFileError: for a file that holds no posterior that can be read.
    """
    path = Path(path)
    if path.suffix == ".keras":
        return AmortizedPosterior.load(path)
    files = newest_fit(path)
    return AmortizedPosterior.load(files[0])


def newest_fit(folder: Path) -> list[Path]:
    """The .keras files of a study's last round, one for each member."""
    rounds = {}
    for file in sorted(folder.glob("fit/**/member-*/network.keras")):
        match = re.fullmatch(r"round-(\d+)", file.parent.parent.name)
        rounds.setdefault(int(match[1]) if match else -1, []).append(file)
    if not rounds:
        raise FileNotFoundError(
            f"{folder} holds no trained posterior: expected {folder}/fit/member-0/network.keras; run the study first"
        )
    return rounds[max(rounds)]
