"""What every part of a configuration is made of."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """What every part of a configuration has in common: no unknown keys, no changes once it is checked."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _an_empty_section_is_its_default(cls, section: Any) -> Any:
        """`training:` with nothing behind it is null in YAML."""
        if not isinstance(section, dict):
            return section
        sections = {key for key, field in cls.model_fields.items() if isinstance(field.default, BaseModel | dict)}
        return {key: value for key, value in section.items() if value is not None or key not in sections}


def _no_truth_value(value: Any) -> Any:
    """Python takes true for 1. Numbers as text are fine: 1e-3 is some, in YAML."""
    if isinstance(value, bool):
        raise PydanticCustomError("float_type", "Input should be a valid number")
    return value


def _plain(value: Any) -> Any:
    """What JSON gives back as it was: jobs get it so. YAML has dates too, and names that are numbers."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict) and all(isinstance(name, str) for name in found):
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found
        elif not isinstance(found, str | int | float | bool | None):
            raise ValueError(
                "numbers, text, booleans, null, and lists and mappings of them, whose names are text: put quotes "
                "around a date, and around a name that is a number, true, false or null"
            )
    return value


NoTruthValue = BeforeValidator(_no_truth_value)
PositiveInt = Annotated[int, Field(ge=1, strict=True)]
Count = Annotated[int, Field(ge=0, strict=True)]
PositiveFloat = Annotated[float, Field(gt=0), NoTruthValue]
Share = Annotated[float, Field(ge=0, le=1), NoTruthValue]
PlainValue = Annotated[Any, AfterValidator(_plain)]
