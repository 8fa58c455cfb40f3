"""Results of a stranger: every value checked, and the totals counted again from the groups."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields
from itertools import chain
from typing import Any

from propd.benchmark.figures import PHASES, Group, Total
from propd.benchmark.plan import PLAIN
from propd.benchmark.results import FORMAT, Results
from propd.errors import InvalidTrace
from propd.json_values import (
    in_short,
    read_list,
    read_noun,
    read_number,
    read_object,
    read_plain,
    read_text,
    read_whole,
    refusal,
)

MAX_GROUPS = 20_000
MAX_TOTALS = 1_000
MAX_COMMAND = 10_000
NAME = re.compile(r"[\w .,:;+()/@#=-]{1,80}")
"""What a method, peer or category may be called: no markup, whoever draws it."""
_WORDS = ("model", "source", "dtype", "numerics", "weights", "device", "machine")
_TABLES = ("heads", "versions", "peers")
_WHOLE = ("threads", "prompts", "max_new_tokens", "repeats")
_NUMBERS = ("peak_bytes", "bandwidth", "pass_bytes")


def checked(body: Mapping[str, Any]) -> Results:
    """The results in a parsed file; `InvalidTrace`, one sentence, when it is none or contradicts
    itself.

    Totals and categories are counted from the groups where the file has groups.
    """
    if body.get("format") != FORMAT:
        given = in_short(body.get("format"))
        raise InvalidTrace(
            f"The file holds no results that this program reads: its format must be '{FORMAT}', "
            f"not {given}."
        )
    about, groups = _about(body), _groups(body)
    if groups:
        return Results.of(about, groups)
    rows = read_list(body.get("results"), "results", MAX_TOTALS)
    found = tuple(_total(row, f"results entry {place}") for place, row in enumerate(rows))
    _need(bool(found), "it has no results")
    return Results(about, found, {}, ())


def _about(body: Mapping[str, Any]) -> dict[str, Any]:
    """How it was measured; fields that are not known are left out."""
    told: dict[str, Any] = {name: read_text(body.get(name, ""), name) for name in _WORDS}
    told |= {name: _texts(body.get(name, {}), name) for name in _TABLES}
    told |= {name: read_whole(body.get(name, 0), name) for name in _WHOLE}
    told["command"] = read_text(body.get("command", ""), "command", MAX_COMMAND)
    told["skipped"] = [
        read_text(one, "skipped") for one in read_list(body.get("skipped", []), "skipped")
    ]
    sizes = read_list(body.get("batch_sizes", []), "batch_sizes")
    told["batch_sizes"] = [read_whole(one, "batch_sizes") for one in sizes]
    caches = read_plain(read_object(body.get("cache_bytes", {}), "cache_bytes"), "cache_bytes")
    told["cache_bytes"] = {name: read_number(size, "cache_bytes") for name, size in caches.items()}
    told |= {name: read_number(body.get(name, 0), name) for name in _NUMBERS}
    return told


def _texts(value: Any, where: str) -> dict[str, str]:
    plain = read_plain(read_object(value, where), where)
    return {name: read_text(text, where) for name, text in plain.items()}


def _groups(body: Mapping[str, Any]) -> list[Group]:
    rows = read_list(body.get("groups", []), "groups", MAX_GROUPS)
    if not rows:
        return []
    heads = read_list(body.get("group_fields"), "group_fields", 1)
    names = [
        read_text(name, "group_fields")
        for name in read_list(heads[0] if heads else None, "group_fields")
    ]
    known = {item.name for item in fields(Group)}
    if len(set(names)) != len(names) or not set(names) <= known:
        raise refusal(
            "group_fields", f"name fields of a group, each once: {', '.join(sorted(known))}"
        )
    groups = [_group(row, names, f"group {place}") for place, row in enumerate(rows)]
    _check_plain(groups)
    return groups


def _group(row: Any, names: Sequence[str], where: str) -> Group:
    cells = read_list(row, where)
    if len(cells) != len(names):
        raise refusal(where, f"have {len(names)} entries, one for each of group_fields", cells)
    group = read_noun(Group, dict(zip(names, cells, strict=True)), where)
    _check_sums(group, where)
    _check_name(group.category, where)
    _need(len(group.phases) in (0, len(PHASES)), f"{where} has not a time for each phase")
    whole = all(len(sums) == 6 and sums[1] > 0 for sums in group.sizes)
    _need(whole, f"{where} has sums of sizes without 6 entries or without a pass")
    times = (*group.phases, *chain.from_iterable(group.sizes))
    _need(min(times, default=0) >= 0, f"{where} has a time or a sum below 0")
    return group


def _total(row: Any, where: str) -> Total:
    total = read_noun(Total, row, where)
    _check_sums(total, where)
    return total


def _check_sums(found: Group | Total, where: str) -> None:
    _check_name(found.name, where)
    numbers = [value for value in astuple(found) if isinstance(value, (int, float))]
    _need(min(numbers) >= 0, f"{where} has a number below 0")
    _need(found.batch >= 1 and found.prompts >= 1, f"{where} has no prompts")
    _need(found.seconds > 0, f"{where} took no time")
    _need(found.identical <= found.prompts, f"{where} has more identical texts than prompts")
    _need(found.verified <= found.drafted, f"{where} verified more nodes than it drafted")


def _check_name(name: str, where: str) -> None:
    if not NAME.fullmatch(name):
        raise refusal(
            f"a name in {where}", "be 1 to 80 letters, digits, spaces or .,:;+()/@#=-_", name
        )


def _check_plain(groups: Sequence[Group]) -> None:
    """Each group is compared with plain decoding of the same prompts."""
    spots = [(group.batch, group.repeat, group.number) for group in groups]
    plain = {spot for spot, group in zip(spots, groups, strict=True) if group.name == PLAIN}
    for place, spot in enumerate(spots):
        _need(spot in plain, f"group {place} has no group of {PLAIN} to be compared with")


def _need(agrees: bool, sentence: str) -> None:
    if not agrees:
        raise InvalidTrace(f"The results contradict themselves: {sentence}.")
