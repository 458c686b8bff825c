"""The model file: a user's Python file that says what to simulate and how to read what was observed."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from cinnflow.errors import PlainError
from cinnflow.simulation.files_read import FilesRead
from cinnflow.simulation.generative_model import GenerativeModel
from cinnflow.simulation.names import checked_name
from cinnflow.simulation.seeds import fixed_global_generators

_PREFIX = "cinnflow_model_"

_IMPORTED: dict[Path, set[str]] = {}
"""Names of the modules that each model file has imported: a process that loads it again finds them imported already."""


class ModelError(PlainError, ValueError):
    """A model file that cannot be used; the message says what it lacks."""


@dataclass(frozen=True)
class Model:
    """A loaded model file, or `NO_MODEL` for simulations made elsewhere that have none.

    Args:
        path: the file.
        generative: what its build() returned, bound to the file's folder.
        module: the module itself, for what it may define beside build().
        imported: files of the modules that loading it has imported, by the modules' names.
        read: other files, in its folder, the current one or below, that loading it has read, with the lines of the
            model file at which; `IN_BUILD` stands for those of build().
    """

    path: Path | None
    generative: GenerativeModel | None
    module: ModuleType
    imported: dict[str, Path] = field(default_factory=dict)
    read: dict[Path, set[int]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The model's name, which stores carry: its folder's for a model.py, else the file's."""
        name = self.path.parent.name if self.path.stem == "model" else self.path.stem
        return re.sub(r"[^A-Za-z0-9_.]", "-", name).lstrip("-.") or "model"

    @property
    def read_observation(self) -> Callable[[Path], Any] | None:
        """The function that reads a file of observed data, where the model file has one."""
        return getattr(self.module, "read_observation", None)

    @property
    def published(self) -> list[dict[str, Any]]:
        """What others have reported of the observed data: dicts of quantity, value, source and, at will, interval."""
        return list(getattr(self.module, "published", []))

    @property
    def labels(self) -> dict[str, str]:
        """What figures call parameters, derived quantities, arrays and their axes (`<array>_0`, ...), with units."""
        return dict(getattr(self.module, "labels", {}))

    @property
    def alternative_priors(self) -> dict[str, Callable[[dict[str, np.ndarray]], np.ndarray]]:
        """Other priors by name: functions of the parameters that give log(other density / prior density) + constant."""
        found = getattr(self.module, "alternative_priors", {})
        if not isinstance(found, Mapping) or not all(map(callable, found.values())):
            raise ModelError(f"alternative_priors in {self.path} takes a dict of functions by name, got {found!r:.100}")
        return dict(found)

    def derived_quantities(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        """Quantities that follow from parameters, by name.

        Args:
            theta: (..., parameters).

        Returns:
            Arrays of shape (...,); none where the model file names no derived quantities.

        Raises:
            ModelError: where that function fails, gives another shape, or takes a parameter's name.
        """
        function = getattr(self.module, "derived_quantities", None)
        if function is None:
            return {}
        where, names = f"derived_quantities() in {self.path}", self.generative.prior.names
        try:
            # Copies: a function may write into its arguments.
            derived = dict(function({name: theta[..., i].copy() for i, name in enumerate(names)}))
        except Exception as error:
            raise ModelError(
                f"{where} failed: {type(error).__name__}: {error}; theta is a dict of arrays: {', '.join(names)}"
            ) from error
        if taken := [name for name in derived if name in names]:
            raise ModelError(f"{where} calls a quantity {taken[0]}, as a parameter is called: give it another name")
        found = {}
        for name, value in derived.items():
            try:
                checked_name(name)
            except ValueError as error:
                raise ModelError(f"{where} calls a quantity {name!r}; {str(error).partition(': ')[2]}") from error
            try:
                found[name] = np.broadcast_to(np.asarray(value, float), theta.shape[:-1])
            except (TypeError, ValueError) as error:
                raise ModelError(f"{where}: {name} takes one number for each parameter vector: {error}") from error
        return found

    def check_quantities(self, theta: np.ndarray) -> None:
        """Checks what the model file says of derived quantities, published values and other priors: they come late.

        Args:
            theta: (n, parameters).

        Raises:
            ModelError: where derived quantities cannot be computed, a published one is not known, or other priors are
                no functions by name.
        """
        self.alternative_priors  # noqa: B018 - raises
        known = [*self.generative.prior.names, *self.derived_quantities(theta)]
        for entry in self.published:
            if entry["quantity"] not in known:
                raise ModelError(
                    f"published in {self.path} names the quantity {entry['quantity']}; takes {', '.join(known)}"
                )


NO_MODEL = Model(None, None, ModuleType("no_model"))


def load_model(path: str | Path | None, options: Mapping[str, Any] | None = None) -> Model:
    """Imports a model file and calls its build().

    Args:
        path: the model file; its folder is where its own imports and files are looked for. Empty or None for none.
        options: keyword arguments for build().

    Raises:
        ModelError: when there is no such file, it cannot be imported, or build() does not give a GenerativeModel.
    """
    options = dict(options or {})
    if not path:
        if options:
            raise ModelError(
                f"model_options: got {options!r}; takes none without a model file, whose build() gets them"
            )
        return NO_MODEL
    path = Path(path).resolve()
    before = set(sys.modules)
    read: dict[Path, set[int]] = {}
    # What is read is an input, unless it is written each time; what was written once, as a cache is, is read again.
    for _ in range(2):
        files = FilesRead(path)
        with fixed_global_generators(), files.watching():
            module = import_model(path)
            _check_published(path, module)
            generative = _built(path, module, options)
        for file, lines in files.lines.items():
            read.setdefault(file, set()).update(lines)
        if not files.written:
            break
    names = _IMPORTED.setdefault(path, set())
    names |= sys.modules.keys() - before
    places = {name: getattr(sys.modules.get(name), "__file__", None) for name in sorted(names)}
    imported = {name: Path(file) for name, file in places.items() if file}
    no_inputs = {*files.written, *imported.values()}
    inputs = {file: lines for file, lines in read.items() if file.is_file() and file not in no_inputs}
    return Model(path, generative, module, imported, inputs)


def _built(path: Path, module: ModuleType, options: dict[str, Any]) -> GenerativeModel:
    """What a model file's build() gives, bound to the file's folder."""
    build = getattr(module, "build", None)
    if not callable(build):
        raise ModelError(f"{path} defines no build(): it takes a function that returns a cinnflow GenerativeModel")
    try:
        inspect.signature(build).bind(**options)
    except TypeError as error:
        takes = inspect.signature(build)
        raise ModelError(f"model_options do not fit build{takes} in {path}: {error}") from error
    try:
        generative = build(**options)
    except Exception as error:
        raise ModelError(f"build() in {path} failed: {type(error).__name__}: {error}") from error
    if not isinstance(generative, GenerativeModel):
        raise ModelError(f"build() in {path} must return a GenerativeModel, got {type(generative).__name__}")
    try:
        generative.bind(path.parent)
    except (ValueError, FileNotFoundError) as error:
        raise ModelError(f"the simulator in {path}: {error}") from error
    return generative


def import_model(path: str | Path) -> ModuleType:
    """Imports a model file, so that the classes that it defines are known.

    Raises:
        ModelError: when there is no such file, or it cannot be imported.
    """
    path = Path(path).resolve()
    if not path.is_file() or path.suffix != ".py":
        what = "is no Python file" if path.is_file() else "is not there"
        raise ModelError(f"the model file {path} {what}: `model` takes the path of a .py file that defines build()")
    name = f"{_PREFIX}{path.parent.name}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    _forget_namesakes(path.parent)
    # Functions may import what lies beside the model file only when they run: the folder stays on the path.
    sys.path[:] = [str(path.parent), *(entry for entry in sys.path if entry != str(path.parent))]
    sys.modules[name] = module  # where dataclasses look up their annotations
    # A model file's folder is the user's: no __pycache__ is left in it.
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ModelError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.dont_write_bytecode = writes
    return module


def _check_published(path: Path, module: ModuleType) -> None:
    for number, entry in enumerate(getattr(module, "published", [])):
        lacks = [key for key in ("quantity", "value", "source") if not isinstance(entry, Mapping) or key not in entry]
        if lacks:
            raise ModelError(f"published[{number}] in {path} lacks {', '.join(lacks)}: it is {entry!r}")


def _forget_namesakes(folder: Path) -> None:
    """Lets a model import its own helper.py in a process that has imported another model's."""
    others = {Path(str(module.__file__)).parent for name, module in sys.modules.items() if name.startswith(_PREFIX)}
    for name, module in list(sys.modules.items()):
        own = name.partition(".")[0]
        offered = (folder / f"{own}.py").is_file() or (folder / own).is_dir()
        if offered and any(_is_in(module, other, own) for other in others - {folder}):
            del sys.modules[name]


def _is_in(module: ModuleType, folder: Path, name: str) -> bool:
    """Whether a module is, or belongs to, the one of this name that lies in a folder."""
    path = Path(getattr(module, "__file__", None) or "")
    return path == folder / f"{name}.py" or path.is_relative_to(folder / name)
