"""One file for a trained posterior: written whole or not at all, the same bytes for the same posterior."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

import keras
import numpy as np

import cinnflow
from cinnflow.inference.amortized_posterior import AmortizedPosterior
from cinnflow.inference.errors import PosteriorFileError, SummaryNetworkError

log = logging.getLogger(__name__)

FORMAT = 2
"""Summary networks of format 1 did not see the spread of their data, and have weights of other shapes."""
_LONGEST = 500
_LABEL = "cinnflow.json"
_TRAIN_AGAIN = "train again, in a study by deleting it and running snakemake"


def save_posterior(posterior: AmortizedPosterior, path: str | Path) -> None:
    """Writes a posterior to a .keras file: Keras' own archive with a label of format, version and digests.

    Raises:
        ValueError: for a posterior without weights yet, or a path with another suffix.
        SummaryNetworkError: for a summary network of the user's own that could not be made again.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise ValueError(f"a posterior is saved to a path that ends in .keras, got {path}")
    if not posterior.built:
        raise ValueError("this posterior has no weights yet: train it before it is saved")
    if has_own_layers(posterior):
        check_comes_back(posterior)
    _write(posterior, path)


def _write(posterior: AmortizedPosterior, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".saving-", dir=path.parent) as folder:
        draft = Path(folder) / "draft.keras"
        keras.saving.save_model(posterior, draft)
        with zipfile.ZipFile(draft) as archive:
            entries = {name: archive.read(name) for name in sorted(archive.namelist())}
        for name in ("metadata.json", "config.json"):
            entries[name] = json.dumps(_without_traces(json.loads(entries[name]))).encode()
        label = {"format": FORMAT, "version": cinnflow.__version__, "digests": _digests(entries)}
        entries[_LABEL] = json.dumps(label, indent=1, sort_keys=True).encode()
        draft.write_bytes(_archive(entries))
        draft.replace(path)


def read_posterior(path: str | Path) -> AmortizedPosterior:
    """Reads a posterior that `save_posterior` wrote.

    Raises:
        FileNotFoundError: where there is no file.
        PosteriorFileError: for a damaged or foreign file, one from a newer version, or one whose networks are unknown.
    """
    path = Path(path)
    content = path.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError) as error:
        raise PosteriorFileError(f"{path} is damaged or no posterior at all ({error}); {_TRAIN_AGAIN}") from error
    if _LABEL not in entries:
        raise PosteriorFileError(f"{path} is no posterior saved by cinnflow: its archive has no {_LABEL}")
    try:
        label = json.loads(entries.pop(_LABEL))
        saved_format, version, digests = label["format"], label["version"], label["digests"]
    except (ValueError, KeyError, TypeError) as error:
        raise PosteriorFileError(f"{path} is damaged: its {_LABEL} cannot be read ({error}); {_TRAIN_AGAIN}") from error
    if saved_format > FORMAT:
        raise PosteriorFileError(
            f"{path} was saved by cinnflow {version} in format {saved_format}, and cinnflow {cinnflow.__version__} "
            f"reads formats up to {FORMAT}; use cinnflow {version} or newer"
        )
    if digests != _digests(entries):
        raise PosteriorFileError(f"{path} is damaged: its content is not what was saved; {_TRAIN_AGAIN}")
    if saved_format < FORMAT:
        raise PosteriorFileError(
            f"{path} was saved in format {saved_format}, by an earlier cinnflow {version} whose networks were others; "
            f"{_TRAIN_AGAIN}"
        )
    return _deserialize(path, entries)


def has_own_layers(posterior: AmortizedPosterior) -> bool:
    """Whether the summary network has layers of the user's own."""
    layers = () if posterior.summary_net is None else posterior.summary_net._flatten_layers()
    return any(type(layer).__module__.partition(".")[0] not in ("keras", "cinnflow") for layer in layers)


def check_comes_back(posterior: AmortizedPosterior) -> None:
    """Checks that a posterior with a summary network of the user's own can be saved, and read as it was.

    Raises:
        SummaryNetworkError: where it cannot, with what to mend in the class.
    """
    network = type(posterior.summary_net).__name__
    classes = {type(layer) for layer in posterior.summary_net._flatten_layers()}
    # Known here, where the function was called that defines it, and not to who reads the file.
    if within := sorted(found.__name__ for found in classes if _hidden(found)):
        raise SummaryNetworkError(
            f"the summary network's class {', '.join(within)} is defined within a function, so that its fit could not "
            "be used elsewhere: define it at the top level of the model file, or of a module that this imports"
        )
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.keras"
            _write(posterior, path)
            read = read_posterior(path).get_weights()
        if not all(np.array_equal(a, b) for a, b in zip(posterior.get_weights(), read, strict=True)):
            raise ValueError("its weights are not those that were saved")
    except OSError:  # a full disk is not its doing
        raise
    except Exception as error:
        log.info("what the summary network %s makes of its file: %s", network, error)
        raise SummaryNetworkError(
            f"the summary network {network} does not come back from its file, so that its fit could not be used: "
            "define its class at the top level of the model file, pass **kwargs on to super().__init__, and return all "
            f"other arguments from get_config ({_why(error)})"
        ) from error


def warn_where_unsavable(posterior: AmortizedPosterior) -> None:
    """Warns of a posterior whose summary network does not come back from a file, before it is trained for hours."""
    try:
        check_comes_back(posterior)
    except SummaryNetworkError as error:
        warnings.warn(f"this posterior can be trained, and not be saved: {error}", stacklevel=4)


def _deserialize(path: Path, entries: dict[str, bytes]) -> AmortizedPosterior:
    classes = {name: _find(name, module) for name, module in _own_classes(json.loads(entries["config.json"]))}
    for name, found in sorted(classes.items()):
        if found is None:
            raise PosteriorFileError(
                f"{path} has a network of the class {name!r}, which is not known here: import the file that defines "
                "it first, or name the model file that does in cinnflow.load_posterior(path, model=...)"
            )
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "network.keras"
        copy.write_bytes(_archive(entries))
        try:
            posterior = keras.saving.load_model(copy, custom_objects=classes)
        except (TypeError, ValueError, KeyError) as error:
            raise PosteriorFileError(f"{path} has networks that cannot be made again here: {_why(error)}") from error
    if not isinstance(posterior, AmortizedPosterior):
        raise PosteriorFileError(f"{path} holds a {type(posterior).__name__}, not an AmortizedPosterior")
    return posterior


def _why(error: Exception) -> str:
    """What is wrong, of what Keras says: layer within layer, each with its whole configuration."""
    text = str(error).rpartition("Exception encountered: ")[2]
    return text if len(text) < _LONGEST else f"{text[:_LONGEST]}..."


def _without_traces(config):
    """A configuration without the date, and without the memory addresses that Keras puts in."""
    if isinstance(config, dict):
        return {k: _without_traces(v) for k, v in config.items() if k not in ("date_saved", "shared_object_id")}
    return [_without_traces(value) for value in config] if isinstance(config, list) else config


def _own_classes(config) -> set[tuple[str, str]]:
    """The registered names of all classes in a configuration that are not Keras' own, and their modules."""
    if isinstance(config, dict):
        name, module = config.get("registered_name"), config.get("module") or "__main__"
        own = {(name, module)} if name not in (None, "function") and module.partition(".")[0] != "keras" else set()
        return own.union(*map(_own_classes, config.values()))
    return set().union(*map(_own_classes, config)) if isinstance(config, list) else set()


def _find(name: str, module: str) -> type | None:
    """A class by the name that it is registered under, or in a module that is imported; None where it is not known."""
    return keras.saving.get_registered_object(name) or _defined(name, module)


def _hidden(layer: type) -> bool:
    """Whether a class is defined within a function, and nowhere else."""
    return "<locals>" in layer.__qualname__ and _defined(layer.__name__, layer.__module__) is not layer


def _defined(name: str, module: str) -> type | None:
    """A class at the top level of a module that is imported."""
    return getattr(sys.modules.get(module), name, None)


def _digests(entries: dict[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in entries.items()}


def _archive(entries: dict[str, bytes]) -> bytes:
    """A zip archive without times or anything else that changes from run to run."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), content)
    return buffer.getvalue()
