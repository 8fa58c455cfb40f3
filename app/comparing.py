"""Comparisons: several methods on one prompt, one after another, as messages for the page."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from app import settings
from app.differences import compare_texts
from app.drawn import drawn
from app.options import config_of, whole
from app.performing import Message
from app.progress import Progress
from app.strings import compare as words
from app.tally import PLAIN, baseline_of, figures, speed_ups, spread, stats_of
from propd.core import DecodingConfig, RunStats, StepEvent
from propd.errors import InvalidRequest
from propd.recording import asked as told

WARM_UP_TOKENS = 6
RESENT = 3
"""Messages that hold the whole of a run that just ended: the page may skip one."""


@dataclass(frozen=True)
class Question:
    """What is compared; made by `question`, which checks it."""

    prompt: str
    methods: tuple[str, ...]
    settings: DecodingConfig
    """The same for every method; each has its own trees."""
    repeats: int

    def config(self, method: str) -> DecodingConfig:
        """The settings of one method."""
        return replace(self.settings, method=method)


def question(
    prompt: str,
    methods: Any,
    max_new_tokens: float,
    repeats: float,
    acceptance: str = "exact",
    temperature: float = 0,
    top_p: float = 1,
    seed: float = 0,
) -> Question:
    """A checked question: anyone can send anything to the server."""
    named = [methods] if isinstance(methods, str) else list(methods or [])
    chosen = tuple(dict.fromkeys(str(name) for name in named[:64]))
    if not chosen:
        raise InvalidRequest(words.NO_METHOD)
    times = whole(words.REPEAT, repeats)
    if not 1 <= times <= settings.MAX_REPEATS:
        raise InvalidRequest(words.REPEATS.format(given=times, limit=settings.MAX_REPEATS))
    config = replace(
        config_of(chosen[0], max_new_tokens, temperature, top_p, seed, prune_when="auto"),
        acceptance=acceptance,  # type: ignore[arg-type]  # the engine checks it
        record_probabilities=False,
    )
    total, limit = len(chosen) * times * config.max_new_tokens, settings.MAX_ALL_TOKENS
    if total > limit:
        raise InvalidRequest(words.TOO_MUCH.format(given=f"{total:,}", limit=f"{limit:,}"))
    return Question(prompt, chosen, config, times)


class Lane:
    """One method of a comparison, with all its runs."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.runs: list[list[StepEvent]] = []
        self.stats: list[RunStats] = []
        """Of each run that is over."""
        self.written = 0
        """Tokens of the current run."""
        self.told: list[Message] = []
        """The events of the first run, as they are drawn."""
        self.resend = 0

    @property
    def speeds(self) -> list[float]:
        """Tokens per second of each run that is over, prefill included."""
        return [stats.tokens_per_second for stats in self.stats]

    @property
    def tokens(self) -> list[int]:
        """The text of the first run."""
        return [token for event in self.runs[0] for token in event.token_ids]

    @property
    def typical(self) -> list[StepEvent]:
        """The run of median speed, which stands for all."""
        speeds = self.speeds
        order = sorted(range(len(speeds)), key=speeds.__getitem__)
        return self.runs[order[(len(order) - 1) // 2]]

    def begin(self) -> None:
        """The next run begins."""
        self.runs.append([])
        self.written = 0

    def take(self, event: StepEvent) -> None:
        """One more event of the current run."""
        self.runs[-1].append(event)
        self.written += len(event.token_ids)
        if len(self.runs) == 1:
            self.told.append(drawn(event))

    def end(self) -> None:
        """The current run is over."""
        self.stats.append(stats_of(self.runs[-1]))
        self.resend = RESENT if len(self.stats) == 1 else 0

    def message(self, running: bool, whole: bool) -> Message:
        """What the page gets to know of this method: all its events, or the latest."""
        events: list[Message] = []
        if whole:
            events = [drawn(event) for event in self.typical] if self.stats else self.told
        elif self.resend:
            self.resend -= 1
            events = self.told
        elif running and not self.stats:
            events = self.told[-settings.MESSAGE_EVENTS :]
        return {
            "state": "running" if running else "done" if self.stats else "waiting",
            "repeats": [
                {"tokens": s.new_tokens, "seconds": round(s.seconds, 5)} for s in self.stats
            ],
            "events": {str(event["index"]): event for event in events},
        }


class Comparison:
    """One request: runs its methods and tells of them. Closing `stream` cancels it."""

    def __init__(self, asked: Question) -> None:
        self.asked = asked
        self.id = uuid.uuid4().hex
        self.header: Message = {"prompt": asked.prompt}
        self.lanes = {method: Lane(method) for method in asked.methods}
        self.texts: dict[str, Message] = {}
        """For each text that was compared, what `compare_texts` says."""
        plan = [(method, 1.0) for _ in range(asked.repeats) for method in asked.methods]
        self.progress = Progress(plan)
        self.now: Message = {}
        """What is being done: stage, method, repeat."""

    @property
    def passes(self) -> int:
        """One a token at most, and the prompt, in every run; warming up counts too."""
        runs = self.asked.repeats * (self.asked.settings.max_new_tokens + 1) + WARM_UP_TOKENS
        return len(self.asked.methods) * runs

    @property
    def reference(self) -> str:
        """The method whose text the others are held against."""
        return PLAIN if PLAIN in self.lanes else self.asked.methods[0]

    def message(self, phase: str, *, whole: bool = False, stage: str = "") -> Message:
        """What the page gets to know; the last one (whole) has all events."""
        current = self.now.get("method") if phase == "running" else None
        return {
            "run": self.id,
            "phase": phase,
            "stage": {"loading": stage} if stage else {**self.now, **self._times(phase)},
            "header": self.header,
            "runs": {
                method: lane.message(running=method == current, whole=whole)
                for method, lane in self.lanes.items()
            },
            "texts": self.texts,
        }

    def _times(self, phase: str) -> Message:
        lane = self.lanes.get(self.now.get("method", ""))
        share = min(1.0, lane.written / self.asked.settings.max_new_tokens) if lane else 0.0
        left = self.progress.left(share) if phase == "running" else None
        return {
            "elapsed": round(self.progress.elapsed()),
            "left": None if left is None else round(left),
        }

    def stream(self, engine: Any) -> Iterator[Message]:
        """Run everything with an engine; its messages, coalesced and bounded."""
        asked = self.asked
        self.header = {**engine.describe(), **self.header, "config": told(asked.settings)}
        for method in asked.methods:  # every method is checked before the first one runs
            engine.stream(asked.prompt, asked.config(method)).close()
        yield from self._warm_up(engine)
        for repeat in range(asked.repeats):
            for lane in self.lanes.values():
                times = {"repeat": repeat + 1, "repeats": asked.repeats}
                self.now = {"stage": "running", "method": lane.method, **times}
                yield from self._run(engine, lane)
            yield from self._compare_texts(engine)
        yield self.message("done", whole=True)

    def _warm_up(self, engine: Any) -> Iterator[Message]:
        """The first pass of a kind takes longer than all others: memory, caches, costs."""
        for method in self.asked.methods:
            self.now = {"stage": "warming", "warming": method}
            yield self.message("running")
            config = replace(self.asked.config(method), max_new_tokens=WARM_UP_TOKENS)
            with closing(engine.stream(self.asked.prompt, config)) as events:
                for _ in events:
                    pass

    def _run(self, engine: Any, lane: Lane) -> Iterator[Message]:
        lane.begin()
        self.progress.begin()
        sent = 0.0
        with closing(engine.stream(self.asked.prompt, self.asked.config(lane.method))) as events:
            for event in events:
                lane.take(event)
                if time.monotonic() - sent >= 1 / settings.MESSAGES_PER_SECOND:
                    yield self.message("running")
                    sent = time.monotonic()
        self.progress.end()
        lane.end()

    def _compare_texts(self, engine: Any) -> Iterator[Message]:
        expected = self.lanes[self.reference].tokens
        for lane in self.lanes.values():
            if lane.method in (self.reference, *self.texts):
                continue
            if lane.tokens != expected:
                self.now = {"stage": "examining", "examining": lane.method}
                yield self.message("running")
            config = self.asked.config(lane.method)
            asked = self.asked.prompt
            self.texts[lane.method] = compare_texts(engine, config, asked, expected, lane.tokens)

    def record(self) -> Message:
        """The finished comparison as a file keeps it."""
        last = self.message("done", whole=True)
        runs = {
            method: {**run, "events": list(run["events"].values())}
            for method, run in last["runs"].items()
        }
        return {"header": self.header, "runs": runs, "texts": self.texts}

    def summary(self) -> Message:
        """The finished comparison in numbers and texts, for programs."""
        speeds: dict[str, Sequence[float]] = {m: lane.speeds for m, lane in self.lanes.items()}
        baseline = baseline_of(speeds)
        return {
            "measured_on": self.header,
            "repeats": self.asked.repeats,
            "baseline": baseline,
            "reference_text": self.reference,
            "methods": {
                method: {
                    "text": "".join(event.text for event in lane.typical),
                    **self._verdict(method),
                    "tokens_per_second": spread(speeds[method]),
                    "speed_up": spread(speed_ups(speeds[method], speeds[baseline])),
                    **figures(lane.typical),
                }
                for method, lane in self.lanes.items()
            },
        }

    def _verdict(self, method: str) -> Message:
        verdict = dict(self.texts.get(method, {"identical": True}))
        identical = verdict.pop("identical")
        return {"identical": identical, "first_difference": verdict or None}
