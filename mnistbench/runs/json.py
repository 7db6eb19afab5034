"""Converts dataclasses to plain JSON values, and back with checks."""

import dataclasses
import functools
import sys
import types
import typing
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

ParameterValue = str | int | float | bool | None | tuple[Any, ...]
"""The types of a model's parameters."""
T = TypeVar("T")


def to_json(value: object) -> dict[str, Any]:
    """Return a dataclass as plain JSON values."""
    return dataclasses.asdict(typing.cast(Any, value))


def from_json(kind: type[T], values: Mapping[str, Any]) -> T:
    """Return a dataclass from plain JSON values; unknown keys (of a newer version) are ignored.

    Raises:
        TypeError: A field without a default is missing, or a value is of another type than its field.
        ValueError: A value is not one of its field's choices.
    """
    if not isinstance(values, Mapping):
        raise TypeError(f"expected a {kind.__name__}, got {values!r:.50}")
    decoders = _decoders(typing.cast(Any, kind))
    known = {name: decode(values[key]) for name, keys, decode in decoders for key in keys if key in values}
    return kind(**known)


@functools.cache
def _decoders(kind: type) -> tuple[tuple[str, list[str], Callable[[Any], Any]], ...]:
    """Return each field of a dataclass, its keys in JSON, today's last, and its decoder.

    They are cached, as a run may have 10,000 records.
    """
    hints = typing.get_type_hints(kind)
    return tuple(
        (f.name, [*f.metadata.get("formerly", ()), f.name], _decoder(hints[f.name]))
        for f in dataclasses.fields(kind)
        if f.init
    )


def _decoder(hint: Any) -> Callable[[Any], Any]:
    """Return the function that converts a plain JSON value to this type, or raises."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):  # of one type and None
        decode = _decoder(arguments[0])
        return lambda value: None if value is None else decode(value)
    if dataclasses.is_dataclass(hint):
        return functools.partial(from_json, typing.cast(Any, hint))
    if origin is tuple:
        decode = _decoder(arguments[0])
        return _checked(hint, (list, tuple), lambda values: tuple(map(decode, values)))
    if origin in (dict, Mapping):
        decode = plain_value if hint == Mapping[str, ParameterValue] else _decoder(arguments[1])
        return _checked(hint, (dict,), lambda items: {name: decode(item) for name, item in items.items()})
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint
    if hint is str:  # 10,000 records hold the same names and digests, one copy of each
        return _checked(str, (str,), sys.intern)
    return _checked(hint, (float, int) if hint is float else (hint,), hint)


def _checked(hint: Any, kinds: tuple[type, ...], convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function that converts values of exactly these types: a bool is no int."""

    def decode(value: Any) -> Any:
        if type(value) not in kinds:
            raise TypeError(f"expected {hint}, got {value!r:.50}")
        return convert(value)

    return decode


PLAIN_VALUES = "a number, text, True, False, None, or a list of these"


def plain_value(value: Any) -> Any:
    """Return a parameter's value in the form that survives storage, with lists as tuples.

    Raises:
        ValueError: It is not one of `PLAIN_VALUES`.
    """
    if isinstance(value, (list, tuple)):
        return tuple(plain_value(item) for item in value)
    if value is None or type(value) in (str, int, float, bool):
        return value
    raise ValueError(f"{value!r} is not {PLAIN_VALUES}")
