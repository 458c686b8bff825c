"""What code means: digests of the definitions that functions of a file can reach, and of modules that they import."""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Mapping
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

from cinnflow.simulation.model_file import ModelError

_DYNAMIC = {"globals", "locals", "vars", "eval", "exec", "__import__", "importlib", "getattr"}
"""Names through which code may reach what no static reading shows: where it uses them, all of the file counts."""

_ASSIGNMENTS = ast.Assign | ast.AnnAssign

_IN_PLACE = {
    *("add", "append", "clear", "difference_update", "discard", "extend", "fill", "insert", "intersection_update"),
    *("pop", "popitem", "remove", "reverse", "setdefault", "sort", "symmetric_difference_update", "update"),
}
"""Methods that change what they are called on: an assignment with one of them acts, whatever it defines."""


def code_digest(path: Path | None, roots: tuple[str, ...]) -> str:
    """Digest of the code that some functions or values of a model file reach; of nothing where it has none of them."""
    if path is None:
        return ""
    return digest_of_texts(json.dumps(code_digests(path, roots), sort_keys=True))[:8]


def code_digests(path: Path, roots: tuple[str, ...], imported: Mapping[str, Path] | None = None) -> dict[str, str]:
    """Digests of the definitions that `roots` reach, by name, with those of local modules that they import.

    Args:
        path: the model file.
        roots: names of some of its functions or values.
        imported: files of the modules that it was seen to import, by the modules' names.
    """
    tree = _parsed(path)
    found: dict[str, str] = {}
    places = _places(path.parent)
    imports = [*_unmentioned_imports(tree), *_unread_imports(tree, places, imported or {})]
    for name, nodes in _reachable(tree, roots, places).items():
        found[name] = digest_of_texts(*(_canonical(node) for node in nodes))
        imports += _imports(*nodes)
    for module in _local_modules(imports, places):
        place = next((place for place in places if module.is_relative_to(place)), module.parent)
        found[module.relative_to(place).as_posix()] = (
            digest_of_texts(_canonical(_parsed(module)))
            if module.suffix == ".py"
            else hashlib.sha256(module.read_bytes()).hexdigest()
        )
    return found


def reached_lines(path: Path, roots: tuple[str, ...]) -> set[int]:
    """Lines of a model file that stand in statements which `roots` reach."""
    tree = _parsed(path)
    reached = _reachable(tree, roots, _places(path.parent))
    nodes = [*_unmentioned_imports(tree), *(node for statements in reached.values() for node in statements)]
    return {line for node in nodes for line in range(_first_line(node), node.end_lineno + 1)}


def modules_beside(script: Path) -> list[Path]:
    """Files of the modules in its own folder that a Python script imports, and that these import in turn."""
    try:
        return _local_modules(_imports(_parsed(script)), [script.parent])
    except ModelError:  # written for another Python
        return []


def _first_line(node: ast.stmt) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))])


def _unmentioned_imports(tree: ast.Module) -> list[ast.Import | ast.ImportFrom]:
    """Imports of what is never named: they are there for what importing it does."""
    mentioned = set(_mentioned(tree))
    return [node for node in tree.body if _is_import(node) and not mentioned & set(_defined(node))]


def _places(folder: Path) -> list[Path]:
    """Where Python looks for modules that are not installed: the model's folder, then what else is on its path."""
    path = [Path(entry).resolve() for entry in (*sys.path, ".")]
    installed = [Path(sys.prefix), Path(sys.base_prefix)]
    own = [
        place
        for place in path
        if not {"site-packages", "dist-packages"} & set(place.parts)
        and not any(place.is_relative_to(prefix.resolve()) for prefix in installed)
    ]
    return list(dict.fromkeys([folder, *own]))


class _Untyped(ast.NodeTransformer):
    """Code without the types of arguments, results and values, which Python itself does not read.

    Those of a class's values stay, since dataclasses are made of them, and those of what a decorator sees.
    """

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        node.body = [child if isinstance(child, ast.AnnAssign) else self.visit(child) for child in node.body]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        if not node.decorator_list:
            node.returns = None
            for argument in ast.walk(node.args):
                if isinstance(argument, ast.arg):
                    argument.annotation = None
        return node

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        self.generic_visit(node)
        return node if node.value is None else ast.copy_location(ast.Assign([node.target], node.value), node)


def _parsed(path: Path) -> ast.Module:
    try:
        return _Untyped().visit(ast.parse(path.read_bytes(), filename=str(path)))
    except SyntaxError as error:
        raise ModelError(f"{path} cannot be parsed: {error}") from error


def _reachable(tree: ast.Module, roots: tuple[str, ...], places: list[Path]) -> dict[str, list[ast.stmt]]:
    """Top-level statements that bear on what `roots` are or return, by the name that they define."""
    definitions: dict[str, list[ast.stmt]] = {}
    effects: list[ast.stmt] = []
    values = {name for node in tree.body if isinstance(node, _ASSIGNMENTS) for name in _defined(node)}
    for node in tree.body:
        names = _defined(node)
        for name in names:
            definitions.setdefault(name, []).append(node)
        if (not names or _changes(node, values)) and not _is_docstring(node) and not _is_main_block(node):
            effects.append(node)
    own = {name for name, nodes in definitions.items() if any(_is_own(node, places) for node in nodes)}
    acting = {name for node in effects for name in _mentioned(node)}
    waiting = [*roots, *(definitions if acting & _DYNAMIC else acting)]
    waiting += [name for name, nodes in definitions.items() if any(own & set(_applied(node)) for node in nodes)]
    reached: dict[str, list[ast.stmt]] = {"(statements)": effects} if effects else {}
    while waiting:
        name = waiting.pop()
        if name in definitions and name not in reached:
            reached[name] = definitions[name]
            others = {other for node in definitions[name] for other in _mentioned(node)}
            waiting += definitions if others & _DYNAMIC else others
    return reached | _order(tree, reached, effects)


def _order(tree: ast.Module, reached: dict[str, list[ast.stmt]], effects: list[ast.stmt]) -> dict[str, list[ast.stmt]]:
    """All reached statements in their order, where that matters: where values are set twice, or changed later."""
    values = {name: nodes for name, nodes in reached.items() if any(isinstance(node, _ASSIGNMENTS) for node in nodes)}
    changed = values.keys() & {name for node in effects for name in _mentioned(node)}
    if not changed and all(len(nodes) == 1 for nodes in values.values()):
        return {}
    members = {id(node) for nodes in (effects, *values.values()) for node in nodes}
    return {"(order)": [node for node in tree.body if id(node) in members]}


def _is_import(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def _is_own(node: ast.stmt, places: list[Path]) -> bool:
    """Whether a definition is the user's own, not an import of what is installed."""
    return not isinstance(node, ast.Import | ast.ImportFrom) or bool(_imported_files(node, places[0], places))


def _applied(node: ast.stmt) -> list[str]:
    """Names of the decorators and base classes of a definition: they may enter it in a table, by which it is found."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return []
    bases = [*node.bases, *node.keywords] if isinstance(node, ast.ClassDef) else []
    return [name for part in (*node.decorator_list, *bases) for name in _mentioned(part)]


def _defined(node: ast.stmt) -> list[str]:
    """Names that a top-level statement defines; none for one that acts, such as a loop or a call."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).split(".")[0] for alias in node.names if alias.name != "*"]
    if isinstance(node, _ASSIGNMENTS):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        stored = [name for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
        plain = all(isinstance(target, ast.Name | ast.Tuple | ast.List) for target in targets)
        return [name.id for name in stored] if plain else []
    return []


def _changes(node: ast.stmt, values: set[str]) -> bool:
    """Whether an assignment also calls a method that changes one of these values."""
    calls = [child.func for child in ast.walk(node) if isinstance(child, ast.Call)]
    methods = [function for function in calls if isinstance(function, ast.Attribute) and function.attr in _IN_PLACE]
    return isinstance(node, _ASSIGNMENTS) and any(values & set(_mentioned(method.value)) for method in methods)


def _mentioned(node: ast.AST) -> list[str]:
    return [name.id for name in ast.walk(node) if isinstance(name, ast.Name)]


def _local_modules(imports: list[ast.Import | ast.ImportFrom], places: list[Path]) -> list[Path]:
    """Files that a model's imports load from these places, and those that these load in turn."""
    found: dict[Path, None] = {}
    waiting = [(node, places[0]) for node in imports]
    while waiting:
        node, base = waiting.pop()
        for path in _imported_files(node, base, places):
            if path not in found:
                found[path] = None
                if path.suffix == ".py":
                    waiting += [(nested, path.parent) for nested in _imports(_parsed(path))]
    return sorted(found)


def _imports(*nodes: ast.AST) -> list[ast.Import | ast.ImportFrom]:
    """Imports anywhere within these nodes, those by a function that is given the module's name among them."""
    found = [child for node in nodes for child in ast.walk(node)]
    by_function = [
        ast.Import([ast.alias(argument.value)])
        for node in found
        if isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__")
        for argument in node.args[:1]
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]
    return [*(node for node in found if isinstance(node, ast.Import | ast.ImportFrom)), *by_function]


def _unread_imports(tree: ast.Module, places: list[Path], imported: Mapping[str, Path]) -> list[ast.Import]:
    """Imports from these places that a model file was seen to do, and that its code does not show, as by a variable."""
    own = {name: file for name, file in imported.items() if any(file.is_relative_to(place) for place in places)}
    shown = _local_modules(_imports(tree), places) if own else []
    unread = [(ast.Import([ast.alias(name)]), file) for name, file in own.items() if file not in shown]
    return [node for node, file in unread if file in _imported_files(node, places[0], places)]


def _called(call: ast.Call) -> str:
    """The last name of what is called."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def _imported_files(node: ast.Import | ast.ImportFrom, base: Path, places: list[Path]) -> list[Path]:
    """Files that an import may load, of a module in folder `base`."""
    if isinstance(node, ast.Import):
        dotted = [alias.name for alias in node.names]
    else:
        if node.level:
            places = [[base, *base.parents][node.level - 1]]
        prefix = f"{node.module}." if node.module else ""
        dotted = [*([node.module] if node.module else []), *(prefix + alias.name for alias in node.names)]
    files = []
    # This package is no part of what a simulation means, and may lie on the path as it is.
    for name in (name for name in dotted if name.split(".")[0] != __package__.split(".")[0]):
        found = ([path for path in _module_files(place, name) if path.is_file()] for place in places)
        files += next(filter(None, found), [])
    return files


def _module_files(place: Path, name: str) -> list[Path]:
    """Files that may hold a module of a dotted name, or a package that it is in."""
    files = []
    for part in name.split("."):
        place = place / part
        compiled = [place.with_name(place.name + suffix) for suffix in EXTENSION_SUFFIXES]
        files += [place.with_name(f"{place.name}.py"), place / "__init__.py", *compiled]
    return files


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_main_block(node: ast.stmt) -> bool:
    """`if __name__ == "__main__":`, which an import never runs."""
    return isinstance(node, ast.If) and not node.orelse and ast.unparse(node.test) == "__name__ == '__main__'"


def _canonical(node: Any) -> str:
    """Syntax as text that is the same for every Python version: no positions, docstrings, contexts or empty fields."""
    if isinstance(node, ast.Constant):
        return f"{type(node.value).__name__}:{node.value!r}"
    if isinstance(node, ast.AST):
        fields = []
        for name, value in ast.iter_fields(node):
            if name in ("ctx", "type_comment", "kind", "type_ignores") or value is None or value == []:
                continue
            if name == "body" and isinstance(value, list):
                value = [child for child in value if not _is_docstring(child)]
            fields.append(f"{name}={_canonical(value)}")
        return f"{type(node).__name__}({','.join(sorted(fields))})"
    if isinstance(node, list):
        return f"[{','.join(_canonical(child) for child in node)}]"
    return repr(node)


def digest_of_texts(*texts: str) -> str:
    """A digest of texts, in this order."""
    return hashlib.sha256("\x00".join(texts).encode()).hexdigest()
