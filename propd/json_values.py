"""Values out of JSON, each checked where it is read, because a file may come from a stranger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from propd.errors import InvalidTrace

MAX_ENTRIES = 512
MAX_NESTING = 4
MAX_NUMBER = 1e12
MAX_WHOLE = 2**31 - 1
MAX_TOKEN_TEXT = 1_000
MAX_TEXT = 100_000
MOST_TOLD = 40
"""Characters of a wrong text that an error repeats."""

Reader = Callable[[Any, str], Any]
"""Takes a value and its place in the file; gives the checked value or raises `InvalidTrace`."""
Noun = TypeVar("Noun")


def refusal(where: str, must: str, *given: Any) -> InvalidTrace:
    """The error of a value that cannot be read; given: that value, if it helps to see it."""
    told = "".join(f", not {in_short(value)}" for value in given)
    return InvalidTrace(f"The file is not well formed: {where} must {must}{told}.")


def in_short(value: Any) -> str:
    """A value of a stranger on one short line: plain values as they are, others by their kind."""
    if value is None:
        return "missing or null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, dict)):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)} entries"
    if isinstance(value, str):
        # ascii: nothing in it can turn a line around or hide; cut before it is written out
        return f"text of {len(value)} characters" if len(value) > MOST_TOLD else ascii(value)
    if isinstance(value, int) and abs(value) > MAX_NUMBER:
        return "a larger one"
    return f"{value:g}" if isinstance(value, float) else str(value)


def read_number(value: Any, where: str) -> float:
    """A finite number."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not abs(value) <= MAX_NUMBER:  # NaN is never at most anything
        raise refusal(where, f"be a finite number of at most {MAX_NUMBER:g}", value)
    return float(value)


def read_whole(value: Any, where: str) -> int:
    """A whole number from -1 on that fits 32 bits."""
    if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value <= MAX_WHOLE:
        raise refusal(where, f"be a whole number from -1 to {MAX_WHOLE}", value)
    return value


def read_flag(value: Any, where: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise refusal(where, "be true or false", value)
    return value


def read_text(value: Any, where: str, limit: int = MAX_TOKEN_TEXT) -> str:
    """Text of at most ``limit`` characters."""
    if not isinstance(value, str) or len(value) > limit:
        raise refusal(where, f"be text of at most {limit} characters", value)
    if any("\ud800" <= character <= "\udfff" for character in value):
        # JSON can name half of a character; no file and no terminal can write it
        raise refusal(where, "be text of whole characters")
    return value


def read_list(value: Any, where: str, limit: int = MAX_ENTRIES) -> list[Any]:
    """A list of at most ``limit`` entries."""
    if not isinstance(value, list) or len(value) > limit:
        raise refusal(where, f"be a list of at most {limit} entries", value)
    return value


def read_object(value: Any, where: str) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise refusal(where, "be an object", value)
    return value


def read_one_of(value: Any, where: str, choices: tuple[Any, ...]) -> Any:
    """One of a fixed set of values."""
    if value not in choices:
        raise refusal(where, f"be one of {', '.join(map(str, choices))}", value)
    return value


def read_plain(value: Any, where: str, nesting: int = MAX_NESTING) -> Any:
    """Settings of a request: text, a number, true, false, null, or a few lists and objects."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return read_text(value, where)
    if not isinstance(value, (list, dict)):
        read_number(value, where)
        return value  # a whole number stays one
    if nesting == 0:
        raise refusal(where, f"be nested no deeper than {MAX_NESTING}")
    if isinstance(value, list):
        return [read_plain(item, where, nesting - 1) for item in read_list(value, where)]
    read_list(list(value), where)
    return {
        read_text(name, where): read_plain(item, where, nesting - 1) for name, item in value.items()
    }


_PLAIN: dict[Any, Reader] = {
    int: read_whole,
    float: read_number,
    bool: read_flag,
    str: read_text,
}


def reader_of(hint: Any) -> Reader:
    """The reader of a type: plain, a ``Literal``, a dataclass, a tuple of these, or one or None.

    The nouns of `propd.core` are read by it, so that a field which is new there needs no new code
    here.
    """
    kind, parts = get_origin(hint), get_args(hint)
    if kind is Literal:
        return lambda value, where: read_one_of(value, where, parts)
    if kind in (Union, UnionType):
        (inner,) = (reader_of(part) for part in parts if part is not NoneType)
        return lambda value, where: None if value is None else inner(value, where)
    if kind is tuple and parts[-1] is Ellipsis:
        each = reader_of(parts[0])
        return lambda value, where: tuple(each(item, where) for item in read_list(value, where))
    if kind is tuple:
        return _fixed([reader_of(part) for part in parts])
    if isinstance(hint, type) and is_dataclass(hint):
        return lambda value, where: read_noun(hint, value, where)
    return _PLAIN[hint]


def _fixed(readers: list[Reader]) -> Reader:
    def read(value: Any, where: str) -> tuple[Any, ...]:
        items = read_list(value, where)
        if len(items) != len(readers):
            raise refusal(where, f"be a list of {len(readers)} entries")
        return tuple(read(item, where) for read, item in zip(readers, items, strict=True))

    return read


def readers_of(noun: type) -> dict[str, Reader]:
    """The reader of every field of a dataclass."""
    hints = get_type_hints(noun)
    return {item.name: reader_of(hints[item.name]) for item in fields(noun)}


def read_noun(noun: type[Noun], value: Any, where: str) -> Noun:
    """A small dataclass; a field that is not there keeps its default, if it has one."""
    data, readers = read_object(value, where), readers_of(noun)
    needed = [
        item.name
        for item in fields(noun)  # type: ignore[arg-type]
        if item.name in data or item.default is MISSING
    ]
    return noun(**{name: readers[name](data.get(name), f"{where}.{name}") for name in needed})
