"""TOML files read into strict, frozen models; every mistake in a file is told at once.

`labctl.tomlfile` sees to it that the file is TOML. Models derive from `Section`: nothing is
converted on the quiet; an unknown key, NaN and infinity are mistakes; what was read cannot be
changed. Arrays become tuples, so a field is a ``tuple[X, ...]``, never a ``list``. Quantities are
text with a unit in the file and SI floats in the model and in Python code::

    class Training(Section):
        tolerance: PositiveFraction            # tolerance = "5 %"    -> 0.05
        longest_pulse: PositiveSeconds = 1e-3  # left out             -> 1e-3

`dump` turns a model back into what JSON and TOML can hold, quantities as text that gives the very
same floats, and `build` reads that again: a run folder stores its frozen configuration as JSON,
under the same rules as the file that it came from.

Only this module imports pydantic, and `labctl --help` does not import this one.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetCoreSchemaHandler, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, core_schema

from labctl.errors import BadConfig, BadQuantity
from labctl.quantity import describe, format_quantity, parse, printable, quoted
from labctl.tomlfile import load

FROM_FILE = {"file": True}
"""Context in which quantities must be text; Python code gives SI floats."""
MOST_TOLD = 50  # a file with more mistakes is not the file that was meant


class Section(BaseModel):
    """A table of a file: strict, complete, frozen."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


SectionT = TypeVar("SectionT", bound=Section)


@dataclass(frozen=True)
class Quantity:
    """Makes an ``Annotated[float, Quantity("V", most=2)]`` take text with a unit, and only that, and
    keep SI. `least` and `most` are allowed values, `above` is not, all in SI."""

    unit: str
    least: float = -math.inf
    above: float = -math.inf
    most: float = math.inf

    def __get_pydantic_core_schema__(self, source: type, handler: GetCoreSchemaHandler) -> CoreSchema:
        write = core_schema.plain_serializer_function_ser_schema(self.write, when_used="json")
        return core_schema.with_info_before_validator_function(
            self.read, handler(source), serialization=write
        )

    def read(self, found: object, info: core_schema.ValidationInfo) -> float:
        """The SI value of the text `found`; in a file a bare number is refused for its lack of a unit."""
        if info.context is not FROM_FILE and isinstance(found, float | int) and not isinstance(found, bool):
            return self._checked(float(found), self.write(float(found)))
        if isinstance(found, bool) or not isinstance(found, str | int | float):
            raise _mistake(f"{_shown(found)} is no quantity", describe(self.unit))
        try:
            value = parse(found if isinstance(found, str) else _shown(found), self.unit)
        except BadQuantity as error:
            raise _mistake(error.wrong, error.allowed) from error
        return self._checked(value, str(found))

    def _checked(self, value: float, found: str) -> float:
        if not (self.least <= value <= self.most and value > self.above):
            raise _mistake(found, allowed=self._range())
        return value

    def write(self, value: float) -> str:
        """Text that reads back as the same float."""
        return format_quantity(value, self.unit, digits=None)

    def _range(self) -> str:
        bounds = (("at least", self.least), ("more than", self.above), ("at most", self.most))
        return " and ".join(f"{word} {self.write(bound)}" for word, bound in bounds if math.isfinite(bound))


Volts = Annotated[float, Quantity("V")]
Amps = Annotated[float, Quantity("A")]
Seconds = Annotated[float, Quantity("s", least=0)]
Ohms = Annotated[float, Quantity("ohm", least=0)]
Siemens = Annotated[float, Quantity("S", least=0)]
Joules = Annotated[float, Quantity("J", least=0)]
Farads = Annotated[float, Quantity("F", least=0)]
Watts = Annotated[float, Quantity("W", least=0)]
Fraction = Annotated[float, Quantity("%", least=0, most=1)]

PositiveVolts = Annotated[float, Quantity("V", above=0)]
PositiveSeconds = Annotated[float, Quantity("s", above=0)]
PositiveOhms = Annotated[float, Quantity("ohm", above=0)]
PositiveFraction = Annotated[float, Quantity("%", above=0, most=1)]

Count = Annotated[int, Field(ge=1)]
"""A whole number from 1."""

Seed = Annotated[int, Field(ge=0, lt=2**64)]
"""Of a random generator."""

_DEVICE = r"(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)"  # what Windows takes for a device
_NAME = re.compile(rf"(?!\.|{_DEVICE})[A-Za-z0-9._-]{{1,64}}")


def _checked_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        allowed = "1 to 64 of A-Z a-z 0-9 . _ - , the first not a point, and no device of Windows (con, nul)"
        raise _mistake(f"{quoted(text)} is no name", allowed)
    return text


Name = Annotated[str, AfterValidator(_checked_name)]
"""A name that is safe as the name of a file on every system."""


def read_toml(path: Path, model: type[SectionT]) -> SectionT:
    """The file at `path` as a `model`. Raises `BadConfig`, and nothing else, with every mistake."""
    return build(load(path), model, str(path))


def build(data: Mapping[str, Any], model: type[SectionT], source: str) -> SectionT:
    """`data`, as TOML or JSON gave it, as a `model`; `source` names it in messages."""
    source = printable(source)
    try:
        return model.model_validate(_with_tuples(data), context=FROM_FILE)
    except RecursionError:
        raise BadConfig(f"{source} is nested too deeply") from None
    except ValidationError as error:
        lines = [_told(one, model) for one in error.errors(include_url=False)[:MOST_TOLD]]
        if (more := error.error_count() - MOST_TOLD) > 0:
            lines.append(f"and {more} more")
        count = f"{error.error_count()} mistake{'s' * (error.error_count() > 1)}"
        raise BadConfig("\n  ".join([f"{source}: {count}", *lines])) from error


def dump(section: Section) -> dict[str, Any]:
    """`section` as tables, arrays, text and numbers that `build` reads back to an equal one."""
    return section.model_dump(mode="json", by_alias=True)


def _with_tuples(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _with_tuples(value) for key, value in cast("Mapping[str, Any]", data).items()}
    if isinstance(data, list | tuple):
        return tuple(_with_tuples(value) for value in cast("list[Any]", data))
    return data


# by Python's name of the type, which is pydantic's too, but for str
_SCALARS = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "text in quotes"}
_WORDS = _SCALARS | {"string": "text in quotes", "tuple": "an array", "dict": "a table", "model": "a table"}


def _mistake(wrong: str, allowed: str = "") -> PydanticCustomError:
    told = f"{wrong}; allowed: {allowed}" if allowed else wrong
    return PydanticCustomError("mistake", "{told}", {"told": told})


def _told(error: ErrorDetails, model: type[Section]) -> str:
    """One line: where, what was found, what is allowed."""
    place, siblings = _walk(error["loc"], model)
    kind, key = error["type"], str(error["loc"][-1]) if error["loc"] else ""
    if kind in ("mistake", "value_error"):
        return f"{place}: {error['msg'].removeprefix('Value error, ')}"
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(key[:64], siblings, n=1)
        question = f'did you mean "{near[0]}"? ' if near else ""
        return f"{place}: unknown key; {question}keys here: {', '.join(siblings)}"
    if kind == "missing":
        return f"{place}: missing; allowed: {_wanted(siblings[key]) if key in siblings else 'a longer array'}"
    message = printable(error["msg"]).replace("'", '"')
    allowed = re.sub(r"^\w+ should (be |have )?| after validation", "", message)
    return f"{place}: {_shown(error['input'])}; allowed: {_WORDS.get(kind.removesuffix('_type'), allowed)}"


def _walk(location: tuple[int | str, ...], model: type[Section]) -> tuple[str, dict[str, FieldInfo]]:
    """The key path of `location` as a person writes it, and the fields beside its last key.

    pydantic puts the tag of a union into a location; it is no key of the file, and is left out.
    """
    here: list[Any] = [model]
    place, fields = "", dict[str, FieldInfo]()
    for depth, part in enumerate(location, 1):
        fields = {f.alias or name: f for section in here for name, f in _fields_of(section).items()}
        items = [item for container in here for item in _items_of(container, part)]
        if part in fields:
            here = _alternatives(fields[str(part)].annotation)
        elif items:
            here = items
        elif not fields or depth < len(location):
            here = [one for one in here if _has_tag(one, part)] or here
            continue
        key = part if re.fullmatch(r"[\w-]{1,64}", str(part), re.ASCII) else quoted(str(part))
        place += f"[{part}]" if isinstance(part, int) else f"{'.' * bool(place)}{key}"
    return place or "the file", fields


def _fields_of(annotation: Any) -> dict[str, FieldInfo]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation.model_fields
    return {}


def _items_of(annotation: Any, part: int | str) -> list[Any]:
    kind, position = (tuple, 0) if isinstance(part, int) else (dict, 1)
    return _alternatives(get_args(annotation)[position]) if get_origin(annotation) is kind else []


def _alternatives(annotation: Any) -> list[Any]:
    if get_origin(annotation) in (Union, UnionType):
        return [inner for outer in get_args(annotation) for inner in _alternatives(outer)]
    return _alternatives(get_args(annotation)[0]) if get_origin(annotation) is Annotated else [annotation]


def _has_tag(annotation: Any, tag: int | str) -> bool:
    return any(tag in get_args(field.annotation) for field in _fields_of(annotation).values())


def _wanted(field: FieldInfo) -> str:
    for one in field.metadata:
        if isinstance(one, Quantity):
            return describe(one.unit)
    if get_origin(field.annotation) is Literal:
        return ", ".join(map(_shown, get_args(field.annotation)))
    kind = get_origin(field.annotation) or field.annotation
    return _WORDS.get(getattr(kind, "__name__", ""), "a table")


def _shown(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value) if value.bit_length() < 200 else f"{value:#x}"[:60]  # str() has a limit
        case str():
            return quoted(value)
        case dict():
            return "a table"
        case tuple():
            return "an array"
        case _:
            return printable(str(value))
