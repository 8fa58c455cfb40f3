"""The languages of the page: which there are, their tables, and what our sentences say in them.

English is written first, in `app/strings`; another language is a folder there with the same
modules, names and keys. A language is added by that folder and a line in `LANGUAGES`.

The browser gets whole tables. What Python itself says (labels, errors, the engine's sentences) is
said in English and translated at the door, by the sentence, so that nothing inside needs to know
who is listening.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any
from urllib.parse import parse_qs, urlsplit

from gradio.context import LocalContext

FIRST = "en"
LANGUAGES = {FIRST: "English", "zh": "简体中文"}
"""Each by the name that it has for itself; the key stands in addresses as ``?lang=``."""
SAID = ("page", "watch", "compare", "share", "lab")
"""Modules of `app.strings` out of which Python speaks."""
NAMES = ("PLACES", "EXAMPLES", "PRESETS")
"""Their dictionaries of names that Python gives to the page."""
LABELLED = ("label", "labels", "methods")
"""Keys of what the page is given under which such names stand."""
LONGEST = 600
"""Characters of a sentence. A longer one quotes a stranger, who must not keep the patterns busy."""
DEEPEST = 3
"""Parts of a sentence are translated too, such as the reason that an error gives, but not for ever:
they may hold what a stranger wrote."""


def table(name: str, language: str = FIRST) -> Any:
    """A table of strings by its name, such as ``watch.WATCH``."""
    module, _, constant = name.rpartition(".")
    folder = "app.strings" if language == FIRST else f"app.strings.{language}"
    return getattr(import_module(f"{folder}.{module}"), constant)


def tables(name: str) -> dict[str, Any]:
    """The same table in every language."""
    return {language: table(name, language) for language in LANGUAGES}


def pairs(language: str) -> Iterator[tuple[str, str]]:
    """What Python says: the English sentence or template, and the one of this language."""
    for module in SAID:
        ours = import_module(f"app.strings.{module}")
        theirs = import_module(f"app.strings.{language}.{module}")
        for name in filter(str.isupper, vars(ours)):
            if hasattr(theirs, name):
                yield from _said(name, getattr(ours, name), getattr(theirs, name))
    yield from table("engine.ENGINE", language).items()


def _said(name: str, ours: Any, theirs: Any) -> Iterator[tuple[str, str]]:
    if isinstance(ours, str):
        yield ours, theirs
    elif name in NAMES:
        yield from ((ours[key], theirs[key]) for key in ours)
    elif isinstance(ours, list):  # the choices of a component
        yield from ((one[0], other[0]) for one, other in zip(ours, theirs, strict=True))


@cache
def phrases(language: str) -> tuple[dict[str, str], list[tuple[re.Pattern[str], str]]]:
    """Sentences as they are; and templates as patterns, those that say most first."""
    whole, holed = {}, []
    for ours, theirs in pairs(language):
        if "{" in ours:
            holed.append((ours, theirs))
        else:
            whole[ours] = theirs
    holed.sort(key=lambda pair: -len(re.sub(r"\{\w+\}", "", pair[0])))
    return whole, [(_pattern(ours), theirs) for ours, theirs in holed]


def _pattern(template: str) -> re.Pattern[str]:
    """What finds the values in a sentence that was made of this template."""
    seen: set[str] = set()
    parts = []
    for part in re.split(r"(\{\w+\})", template):
        name = part[1:-1]
        if not part.startswith("{"):
            parts.append(re.escape(part))
        else:
            parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>.*?)")
            seen.add(name)
    return re.compile("".join(parts), re.DOTALL)


def translated(text: str, language: str, deep: int = DEEPEST) -> str:
    """One of our sentences in this language; what is not known stays as it is."""
    if language == FIRST or not text or deep == 0 or len(text) > LONGEST:
        return text
    whole, holed = phrases(language)
    if text in whole:
        return whole[text]
    for pattern, sentence in holed:
        found = pattern.fullmatch(text)
        if found:
            values = {n: translated(v, language, deep - 1) for n, v in found.groupdict().items()}
            return sentence.format(**values)
    if " · " in text:  # several names beside each other
        return " · ".join(translated(part, language, deep - 1) for part in text.split(" · "))
    return text


def localised(value: Any, language: str, labelled: bool = False) -> Any:
    """What the page is given, with the names in it translated."""
    if isinstance(value, str):
        return translated(value, language) if labelled else value
    if isinstance(value, Mapping):
        inside = {k: localised(v, language, labelled or k in LABELLED) for k, v in value.items()}
        return inside
    if isinstance(value, list):
        return [localised(one, language, labelled) for one in value]
    return value


def others(words: str, props: Mapping[str, Any]) -> dict[str, Any]:
    """What a panel is given instead in each language but English. words: the name of its table."""
    made = {}
    for language in LANGUAGES:
        if language == FIRST:
            continue
        named = {k: localised(v, language, k in LABELLED) for k, v in props.items()}
        changed = {k: v for k, v in named.items() if v != props[k]}
        made[language] = {"words": dict(table(words, language)), **changed}
    return made


# --- while a visitor is served ------------------------------------------------------------------


def spoken() -> str:
    """The language of the page that asks; English for programs and outside of a request.

    A queued event repeats the page's query. A function of the server (`panel`) does not, but the
    browser says there which page it comes from.
    """
    request = LocalContext.request.get(None)
    if request is None:
        return FIRST
    came_from = urlsplit(dict(request.headers).get("referer", ""))
    asked = dict(request.query_params).get("lang") or "".join(
        parse_qs(came_from.query).get("lang", [])[:1]
    )
    return asked if asked in LANGUAGES else FIRST


def told(text: str) -> str:
    """One of our sentences as the visitor who is being served reads it."""
    return translated(text, spoken())
