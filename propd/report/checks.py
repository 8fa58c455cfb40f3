"""A report of a stranger: every value that the page shows is checked before it is shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from propd.benchmark.figures import Group
from propd.benchmark.result_checks import checked as checked_results
from propd.errors import InvalidTrace
from propd.json_values import (
    in_short,
    read_flag,
    read_list,
    read_noun,
    read_number,
    read_object,
    read_one_of,
    read_plain,
    read_text,
    read_whole,
    refusal,
)
from propd.report.machine import Machine
from propd.report.stages import FORMAT, Outcome

MAX_BYTES = 20_000_000
MAX_STAGES = 64
MAX_DIFFERENCES = 10_000
COUNTS = ("compared", "identical", "near_ties", "different")
_WORDS = ("command", "recorded", "model", "revision")


def read_report(path: Path) -> tuple[dict[str, Any], list[Outcome]]:
    """What a report says of itself, and its stages; `InvalidTrace`, one sentence, if it is none."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidTrace(f"{path} is larger than {MAX_BYTES:,} bytes: no report.")
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidTrace(f"{path} cannot be read as a report ({error}).") from error
    return checked_report(body)


def checked_report(body: Any) -> tuple[dict[str, Any], list[Outcome]]:
    """The same of a parsed file."""
    told = read_object(body, "the report")
    if told.get("format") != FORMAT:
        given = in_short(told.get("format"))
        raise InvalidTrace(
            f"The file is no report that this program reads: its format must be '{FORMAT}', not "
            f"{given}."
        )
    about: dict[str, Any] = {
        name: read_text(told.get(name, ""), name, 10_000 if name == "command" else 1_000)
        for name in _WORDS
    }
    about["smoke"] = read_flag(told.get("smoke", False), "smoke")
    about["settings"] = read_plain(read_object(told.get("settings", {}), "settings"), "settings")
    stages = read_list(told.get("stages"), "stages", MAX_STAGES)
    return about, [_outcome(stage, f"stage {place}") for place, stage in enumerate(stages)]


def _outcome(value: Any, where: str) -> Outcome:
    told = read_object(value, where)
    state = read_one_of(told.get("state"), f"{where}.state", ("done", "failed"))
    name = read_text(told.get("name"), f"{where}.name", 80)
    found = _found(name, read_object(told.get("found"), where), where) if state == "done" else None
    seconds = read_number(told.get("seconds"), f"{where}.seconds")
    return Outcome(name, state, seconds, read_text(told.get("why", ""), f"{where}.why"), found)


def _found(name: str, told: Mapping[str, Any], where: str) -> dict[str, Any]:
    if name == "machine":
        speeds = read_plain(read_object(told.get("bandwidth", {}), where), where)
        machine = _machine(told, where)
        return {**machine, "bandwidth": {at: read_number(v, where) for at, v in speeds.items()}}
    if name == "layers in float32":
        return _layers(told, where)
    if name.startswith("parity"):
        return _parity(told, where)
    if name.startswith("batch ") or name == "transformers":
        return _bench(told, where)
    raise refusal(f"{where}.name", "be a stage that this version knows", name)


def _machine(told: Mapping[str, Any], where: str) -> dict[str, Any]:
    versions = read_plain(read_object(told.get("versions", {}), where), where)
    known = {item.name: told.get(item.name) for item in fields(Machine) if item.name != "versions"}
    gpus = read_list(known.pop("gpus"), f"{where}.gpus", 64)
    smi = read_list(known.pop("smi"), f"{where}.smi", 64)
    return {
        **{name: read_text(value, f"{where}.{name}") for name, value in known.items()},
        "gpus": [_gpu(gpu, f"{where}.gpus") for gpu in gpus],
        "smi": [read_text(line, f"{where}.smi") for line in smi],
        "versions": {key: read_text(value, f"{where}.versions") for key, value in versions.items()},
    }


def _gpu(value: Any, where: str) -> dict[str, Any]:
    told = read_object(value, where)
    return {
        "name": read_text(told.get("name"), where),
        "capability": read_text(told.get("capability"), where),
        "memory": read_number(told.get("memory"), where),
        "processors": read_whole(told.get("processors"), where),
    }


def _layers(told: Mapping[str, Any], where: str) -> dict[str, Any]:
    whole = {name: read_whole(told.get(name), where) for name in ("positions", "same_choice")}
    sizes = ("largest_difference", "largest_logit")
    numbers = {name: read_number(told.get(name), where) for name in sizes}
    return {**whole, **numbers, "agrees": read_flag(told.get("agrees"), where)}


def _parity(told: Mapping[str, Any], where: str) -> dict[str, Any]:
    from propd.benchmark.lossless import Difference

    words = {name: read_text(told.get(name), where) for name in ("dtype", "weights")}
    whole = {name: read_whole(told.get(name), where) for name in ("prompts", "tokens", *COUNTS)}
    rows = read_list(told.get("differences"), where, MAX_DIFFERENCES)
    # the gap of a text that ended where the other went on is infinite, which JSON has not
    ended = [{**read_object(row, where), "gap": row.get("gap") or 0.0} for row in rows]
    for row in ended:
        read_noun(Difference, row, where)
    methods = {
        read_text(method, where): {
            read_text(size, where): {
                name: read_whole(read_object(counts, where).get(name), where) for name in COUNTS
            }
            for size, counts in read_object(by_size, where).items()
        }
        for method, by_size in read_object(told.get("by_method"), where).items()
    }
    sizes = [read_whole(size, where) for size in read_list(told.get("batch_sizes"), where)]
    return {**words, **whole, "batch_sizes": sizes, "by_method": methods, "differences": rows}


def _bench(told: Mapping[str, Any], where: str) -> dict[str, Any]:
    """By the checks of any benchmark; what they know is given on."""
    about = dict(read_object(told.get("about"), where))
    body = {
        **about,
        "format": "propd-bench/1",
        "group_fields": [[item.name for item in fields(Group)]],
        "groups": told.get("groups"),
    }
    results = checked_results(body)
    sure = {**results.about, "weights": read_text(about.get("weights", ""), where)}
    for name in ("bandwidth", "pass_bytes"):
        sure[name] = read_number(about.get(name, 0), f"{where}.{name}")
    return {"about": sure, "groups": told["groups"]}
