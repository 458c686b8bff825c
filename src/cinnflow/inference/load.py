"""A study's posterior, from its results."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

from cinnflow.inference.amortized_posterior import AmortizedPosterior
from cinnflow.inference.draws import digest_of_file, read_fits
from cinnflow.inference.ensemble import Ensemble
from cinnflow.simulation.model_file import import_model


def load_posterior(path: str | Path, model: str | Path | None = None) -> Ensemble:
    """The posterior in a study's results; an ensemble is an even mixture of its members.

    It is the one that the study's diagnostics have judged. Where a study is still without diagnostics, it is the fit to
    the last round. Where it has been trained anew since they did, a warning says so.

    Args:
        path: a folder results/<study>, or one .keras file.
        model: the model file, needed where the summary network is a class of its own.

    Raises:
        FileNotFoundError: where there is none.
        ModelError: where the model file cannot be imported.
        PosteriorFileError: for a file that holds no posterior that can be read.
    """
    path = Path(path)
    if model is not None:
        import_model(model)
    return load_members([path] if path.suffix == ".keras" else judged_fit(path) or newest_fit(path))


def load_members(files: Sequence[Path]) -> Ensemble:
    """The ensemble of the posteriors in these .keras files; errors as for `load_posterior`."""
    return Ensemble([AmortizedPosterior.load(file) for file in files])


def judged_fit(folder: Path) -> list[Path]:
    """The .keras files that a study's draws come from; none where it has no draws yet."""
    draws = folder / "draws" / "test.zarr"
    if not (draws / "zarr.json").exists():
        return []
    fits = read_fits(draws)
    trained_anew = [name for name, digest in fits.items() if digest and digest != digest_of_file(folder / name)]
    if trained_anew:
        warnings.warn(
            f"{folder}: {', '.join(trained_anew)} is not what the study's diagnostics have judged, it was trained anew "
            "since: run snakemake for diagnostics of this posterior",
            stacklevel=3,
        )
    return [folder / name for name in fits]


def newest_fit(folder: Path) -> list[Path]:
    """The .keras files of a study's last round, one for each member."""
    rounds: dict[int, list[Path]] = {}
    for file in sorted(folder.glob("fit/**/member-*/network.keras")):
        match = re.fullmatch(r"round-(\d+)", file.parent.parent.name)
        rounds.setdefault(int(match[1]) if match else -1, []).append(file)
    if not rounds:
        raise FileNotFoundError(
            f"{folder} holds no trained posterior: expected {folder}/fit/member-0/network.keras; run the study first"
        )
    return rounds[max(rounds)]
