"""Mistakes in a configuration, in words: the key, what it got, what it takes."""

from __future__ import annotations

import difflib
from datetime import date
from typing import Any

from pydantic import BaseModel, Tag

Variant = tuple[str | None, type[BaseModel] | None]
"""A section, or None for a plain value, and the tag that chooses it where there are several."""


def in_words(mistake: dict[str, Any], root: type[BaseModel]) -> str:
    """One mistake in words.

    Args:
        mistake: as pydantic tells it, one of `ValidationError.errors()`.
        root: the model that the configuration was checked against.
    """
    variants: list[Variant] = [(None, root)]
    path: list[str] = []
    takes: set[str] = set()
    for key in map(str, mistake["loc"]):
        # Pydantic puts the tag of a union's variant between the keys.
        if chosen := [variant for variant in variants if variant[0] == key]:
            variants = chosen
            continue
        sections = [section for _, section in variants if section is not None]
        takes = {name for section in sections for name in section.model_fields}
        path.append(key)
        variants = [inner for section in sections for inner in _variants(section, key)]
    where = ".".join(path)
    if mistake["type"] == "extra_forbidden":
        near = difflib.get_close_matches(path[-1], sorted(takes), n=1)
        known = ", ".join(sorted(takes)) or "none"
        return f"{where}: no such key; " + (f"did you mean {near[0]}?" if near else f"takes {known}")
    if mistake["type"] == "missing":
        return f"{where}: is missing, and has no default"
    if path[-1] == "[key]":  # pydantic's word for a name that is wrong, not its value
        return (
            f"{'.'.join(path[:-2])}: got the name {mistake['input']!r}, which is no text in YAML: put quotes around it"
        )
    if mistake["type"] in ("model_type", "dict_type"):
        keys = [name for _, section in variants if section is not None for name in section.model_fields]
        return f"{where}: got {mistake['input']!r}; takes keys with values" + (f": {', '.join(keys)}" if keys else "")
    if mistake["type"] == "string_type" and isinstance(mistake["input"], bool | int | float | date):
        return f"{where}: got {mistake['input']!r}, which is no text in YAML: put quotes around it"
    says = mistake["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return f"{where}: got {mistake['input']!r}; takes {says}"


def _variants(section: type[BaseModel], key: str) -> list[Variant]:
    """What may stand under a key: sections, each with its tag, and tagged values."""
    if key not in section.model_fields:
        return []
    waiting: list[tuple[str | None, Any]] = [(None, section.model_fields[key].annotation)]
    found: list[Variant] = []
    while waiting:
        tag, annotation = waiting.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found.append((tag, annotation))
        elif tag is not None and isinstance(annotation, type):
            found.append((tag, None))
        tag = next((mark.tag for mark in getattr(annotation, "__metadata__", ()) if isinstance(mark, Tag)), tag)
        waiting += [(tag, inner) for inner in getattr(annotation, "__args__", ())]
    return found
