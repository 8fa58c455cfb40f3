"""The stages of a report: each kept on the disk when it is done, none lost by one that fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

from propd.errors import InvalidRequest, ProPDError

FORMAT = "propd-gpu/1"

State = Literal["done", "failed"]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Stage:
    """One question, and how long it takes next to the others."""

    name: str
    """What it is called in the report, such as "batch 4"; names differ."""
    share: float
    """Expected time, in any unit that is the same for all stages."""
    run: Callable[[Tell], Mapping[str, Any]]
    """Answers it as JSON, telling how far it is."""


@dataclass(frozen=True)
class Outcome:
    """What came of a stage."""

    name: str
    state: State
    seconds: float
    why: str = ""
    """Of one that failed: a sentence."""
    found: Mapping[str, Any] | None = None
    """Of one that is done."""


def failures() -> tuple[type[BaseException], ...]:
    """What a stage may fail by without the others failing too: a finding, not a crash.

    PyTorch and its kernels raise RuntimeError, out of memory among them; what bitsandbytes does
    not have on a machine is NotImplementedError, which is one.
    """
    return (ProPDError, RuntimeError, MemoryError, ValueError, ImportError)


class Run:
    """Stages one after another, with what is done kept in a file and taken from it again."""

    def __init__(self, path: Path, about: Mapping[str, Any], key: str, report: Tell) -> None:
        """about: what the report says of itself. key: of all that the findings depend on."""
        self._path, self._about, self._key, self._report = path, about, key, report
        self._kept = {outcome.name: outcome for outcome in _kept(path, key)}

    def all(self, stages: Sequence[Stage], after: Tell = lambda name: None) -> list[Outcome]:
        """Run them; those that are done already are taken as they are. after: called with each."""
        outcomes: list[Outcome] = []
        began, spent = perf_counter(), 0.0
        for place, stage in enumerate(stages):
            head = f"[{place + 1}/{len(stages)}] {stage.name}"
            kept = self._kept.get(stage.name)
            if kept is not None and kept.state == "done":
                self._report(f"{head}: kept from before")
                outcomes.append(kept)
                continue
            elapsed = perf_counter() - began
            left = sum(other.share for other in stages[place:] if not self._is_done(other))
            self._report(f"{head}: {told_time(elapsed, spent, left)}")
            outcomes.append(self._one(stage, head))
            spent += stage.share
            self.write([*outcomes, *self._later(stages[place + 1 :])])
            after(stage.name)
        self.write(outcomes)
        return outcomes

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Keep what is known so far, in one go: a run that is killed leaves a whole file."""
        body = {
            "format": FORMAT,
            "key": self._key,
            **self._about,
            "stages": [asdict(outcome) for outcome in outcomes],
        }
        scratch = self._path.with_suffix(".part")
        scratch.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
        scratch.replace(self._path)

    def _later(self, stages: Sequence[Stage]) -> list[Outcome]:
        """What an earlier run has done of these, so that it is not lost if this one is stopped."""
        return [self._kept[stage.name] for stage in stages if self._is_done(stage)]

    def _is_done(self, stage: Stage) -> bool:
        kept = self._kept.get(stage.name)
        return kept is not None and kept.state == "done"

    def _one(self, stage: Stage, head: str) -> Outcome:
        began, why = perf_counter(), ""
        found: Mapping[str, Any] | None = None
        try:
            found = stage.run(lambda message: self._report(f"{head}: {message}"))
        except failures() as error:
            why = in_a_sentence(error)
            self._report(f"{head} failed: {why}")
        if why:
            _forget()
        seconds = round(perf_counter() - began, 3)
        return Outcome(stage.name, "failed" if why else "done", seconds, why, found)


def told_time(elapsed: float, spent: float, left: float) -> str:
    """Elapsed seconds, and an estimate of the rest from the shares that are done."""
    if not spent:
        return f"{_clock(elapsed)} elapsed"
    return f"{_clock(elapsed)} elapsed, about {_clock(elapsed / spent * left)} left (estimate)"


def in_a_sentence(error: BaseException) -> str:
    """The first line of an error, with its kind where it is none of ours."""
    lines = str(error).strip().splitlines() or [""]
    line = lines[0][:300]
    return line if isinstance(error, ProPDError) else f"{type(error).__name__}: {line}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _forget() -> None:
    from propd.benchmark.run import give_back_memory

    give_back_memory()


def _kept(path: Path, key: str) -> list[Outcome]:
    """What an earlier run with the same key has done; a file of another run is refused."""
    if not path.exists():
        return []
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        if body["format"] != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        known, outcomes = body["key"], [Outcome(**told) for told in body["stages"]]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InvalidRequest(
            f"{path} is no report that could be gone on with ({error}); name another folder."
        ) from error
    if known != key:
        raise InvalidRequest(
            f"{path} is the report of another run (other settings, model, versions or machine); "
            "name another folder, or run it with the same ones."
        )
    return outcomes
