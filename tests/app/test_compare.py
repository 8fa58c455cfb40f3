"""Comparisons and batches: what the page and programs are told, and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import propd
from app import batching, comparing, differences, progress, settings
from app.batching import Sweep, plan
from app.comparing import Comparison, Lane, question
from app.drawn import drawn, drawn_small
from app.runs import EngineRoom, attend
from app.strings.compare import BATCH_PROMPTS, BATCH_WORDS, COMPARE_WORDS, STAGES
from app.tabs.compare import recorded
from app.tally import baseline_of, figures, speed_ups, spread
from app.ui import build, launch
from propd.core import DecodingConfig
from propd.errors import InvalidRequest, ProPDError
from propd.event_json import event_to_json

METHODS = ("propd", "medusa", "autoregressive")


def compare(engine: Any, repeats: int = 1, *more: Any) -> tuple[Comparison, list[dict[str, Any]]]:
    """A finished comparison with its messages, as the browser gets them."""
    work = Comparison(question("abc", METHODS, 24, repeats, *more))
    return work, [json.loads(json.dumps(message)) for message in work.stream(engine)]


def test_the_last_message_has_every_method_whole(engine: propd.Engine) -> None:
    """The page may skip messages in between; the last one makes it whole again."""
    _, messages = compare(engine)
    last = messages[-1]
    assert last["phase"] == "done" and list(last["runs"]) == list(METHODS)
    for method, run in last["runs"].items():
        events = list(run["events"].values())
        assert [event["index"] for event in events] == list(range(len(events)))
        written = engine.generate("abc", method=method, max_new_tokens=24)
        tokens = [token for event in events for token in event["token_ids"]]
        assert tokens == list(written.token_ids)
        assert [piece["tokens"] for piece in run["repeats"]] == [24]
    assert last["texts"] == {"propd": {"identical": True}, "medusa": {"identical": True}}


def test_a_message_holds_the_latest_events_of_what_runs(
    engine: propd.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that grew with the comparison would make every later one slower to show."""
    monkeypatch.setattr(settings, "MESSAGES_PER_SECOND", 1e9)
    _, messages = compare(engine)
    running = [m for m in messages[:-1] if m["stage"].get("stage") == "running"]
    for message in running:
        counts = {name: len(run["events"]) for name, run in message["runs"].items()}
        assert counts[message["stage"]["method"]] <= settings.MESSAGE_EVENTS
    # a method that is over is told whole for a few messages, then no more
    after = [len(m["runs"]["propd"]["events"]) for m in running if m["stage"]["method"] == "medusa"]
    whole = len(messages[-1]["runs"]["propd"]["events"])
    assert after[: comparing.RESENT] == [whole] * comparing.RESENT
    assert set(after[comparing.RESENT :]) == {0}


def test_repeats_take_turns_and_the_run_of_median_speed_is_shown(engine: propd.Engine) -> None:
    work, messages = compare(engine, repeats=3)
    turns = [m["stage"]["method"] for m in messages if m["stage"].get("stage") == "running"]
    order = [method for i, method in enumerate(turns) if i == 0 or turns[i - 1] != method]
    assert order[: 2 * len(METHODS)] == [*METHODS, *METHODS]
    lane = work.lanes["propd"]
    assert len(lane.stats) == 3
    shown = figures(lane.typical)
    assert sorted(lane.speeds)[1] == lane.speeds[lane.runs.index(lane.typical)]
    assert work.summary()["methods"]["propd"]["tokens_per_pass"] == shown["tokens_per_pass"]


def test_a_lane_of_two_runs_shows_the_slower() -> None:
    """Of an even number the lower median: the shown run is one that really ran."""
    lane = Lane("medusa")
    lane.runs = [["fast"], ["slow"]]  # type: ignore[list-item]
    lane.stats = [propd.RunStats(new_tokens=8, seconds=seconds) for seconds in (1.0, 2.0)]
    assert lane.typical == ["slow"]


def test_every_method_is_checked_before_the_first_runs(engine: propd.Engine) -> None:
    work = Comparison(question("abc", ["propd", "guesswork"], 8, 1))
    with pytest.raises(InvalidRequest, match="no method 'guesswork'"):
        next(work.stream(engine))
    assert work.lanes["propd"].runs == []


@pytest.mark.parametrize(
    ("methods", "tokens", "repeats", "says"),
    [
        ([], 8, 1, "No method is chosen"),
        (None, 8, 1, "No method is chosen"),
        (["propd"], settings.MAX_NEW_TOKENS + 1, 1, "at most 256"),
        (["propd"], 8, 0, "repeats are 0"),
        (["propd"], 8, 6, "repeats are 6"),
        (METHODS, 256, 5 + 1, "repeats are 6"),
        (("propd", "medusa", "bpd", "lookup"), 256, 5, "5,120 tokens"),
    ],
)
def test_limits_hold_on_the_server(methods: Any, tokens: int, repeats: int, says: str) -> None:
    """Sliders in the page limit nobody who calls the API."""
    with pytest.raises(InvalidRequest, match=says):
        question("abc", methods, tokens, repeats)


def test_methods_are_compared_once_each() -> None:
    assert question("abc", ["medusa", "bpd", "medusa"], 8, 1).methods == ("medusa", "bpd")
    assert question("abc", "medusa", 8, 1).methods == ("medusa",)


def test_an_unknown_prompt_fails_with_the_engines_sentence(room: EngineRoom) -> None:
    work = Comparison(question("  ", METHODS, 8, 1))
    messages = attend(room, work)
    assert next(messages)["phase"] == "failed"
    with pytest.raises(ProPDError, match="prompt is empty"):
        next(messages)


class WatchedEngine:
    """The tiny engine; counts the streams that are open."""

    def __init__(self, engine: propd.Engine) -> None:
        self.engine, self.open = engine, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def stream(self, *args: Any, **more: Any) -> Iterator[Any]:
        return self._counted(self.engine.stream(*args, **more))

    def stream_batch(self, *args: Any, **more: Any) -> Iterator[Any]:
        return self._counted(self.engine.stream_batch(*args, **more))

    def _counted(self, events: Iterator[Any]) -> Iterator[Any]:
        self.open += 1
        try:
            yield from events
        finally:
            self.open -= 1


@pytest.mark.parametrize(
    "work",
    [
        lambda: Comparison(question("abc", METHODS, 24, 1)),
        lambda: Sweep(plan("a\nb", [1, 2], "propd", 24)),
    ],
)
def test_stop_closes_the_engines_stream(
    engine: propd.Engine, monkeypatch: pytest.MonkeyPatch, work: Callable[[], Any]
) -> None:
    """Stop and a closed tab close the generator; the model must not run on, unseen."""
    monkeypatch.setattr(settings, "MESSAGES_PER_SECOND", 1e9)
    watched = WatchedEngine(engine)
    messages = work().stream(watched)
    for message in messages:
        if message["stage"]["stage"] in ("running", "batch"):
            break
    assert watched.open == 1
    messages.close()
    assert watched.open == 0


def test_a_summary_is_plain_json_with_the_texts(engine: propd.Engine) -> None:
    work, _ = compare(engine)
    summary = json.loads(json.dumps(work.summary()))
    assert summary["baseline"] == summary["reference_text"] == "autoregressive"
    plain = summary["methods"]["autoregressive"]
    assert plain["text"] == engine.generate("abc", method="autoregressive", max_new_tokens=24).text
    assert plain["speed_up"] == {"median": 1.0, "min": 1.0, "max": 1.0}
    assert plain["pruned_share"] is None
    for told in summary["methods"].values():
        assert told["identical"] is True and told["first_difference"] is None
        assert told["tokens"] == 24 and told["tokens_per_second"]["min"] > 0


# --- what is said of texts that differ ---


def differ(engine: propd.Engine, change: Callable[[list[int]], list[int]], **more: Any) -> Any:
    """What is said of a text that was changed on the way."""
    expected = list(engine.generate("abc", method="autoregressive", max_new_tokens=12).token_ids)
    config = DecodingConfig(method="propd", **more)
    return differences.compare_texts(engine, config, "abc", expected, change(list(expected)))


def another(tokens: list[int]) -> list[int]:
    return [*tokens[:5], (tokens[5] + 1) % 61, *tokens[6:]]


def test_a_difference_that_is_no_tie_is_measured_and_says_so(engine: propd.Engine) -> None:
    told = differ(engine, another)
    assert told["identical"] is False and told["position"] == 5
    assert told["token_ids"][1] == (told["token_ids"][0] + 1) % 61
    assert told["texts"] == [engine.token_text(token) for token in told["token_ids"]]
    assert told["reason"] == "no_tie" and told["gap"] > 2 * told["noise"] >= 0


def test_a_near_tie_is_called_one(engine: propd.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(differences, "examine", lambda *_: (1, 2, 1e-4, 2e-4))
    told = differ(engine, another)
    assert told["reason"] == "near_tie" and (told["gap"], told["noise"]) == (1e-4, 2e-4)


def test_other_reasons_need_no_measurement(
    engine: propd.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("nothing was to be measured")

    monkeypatch.setattr(differences, "examine", refuse)
    typical = differ(engine, another, acceptance="typical", temperature=0.5)
    assert typical["reason"] == "typical" and typical["gap"] is None
    assert differ(engine, another, temperature=0.5)["reason"] == "drawn"
    ended = differ(engine, lambda tokens: tokens[:4])
    assert ended["reason"] == "ended" and ended["position"] == 4
    assert ended["token_ids"][1] is None and ended["texts"][1] == ""
    monkeypatch.setattr(differences, "LONGEST", 6)
    assert differ(engine, another)["reason"] == "unknown"


def test_typical_acceptance_is_told_in_the_comparison(engine: propd.Engine) -> None:
    work, messages = compare(engine, 1, "typical", 1.5)
    texts = messages[-1]["texts"]
    assert [text["reason"] for text in texts.values() if not text["identical"]]
    assert {t["reason"] for t in texts.values() if not t["identical"]} == {"typical"}
    assert work.summary()["methods"]["medusa"]["identical"] is texts["medusa"]["identical"]


# --- figures and estimates ---


def test_speeds_are_compared_repeat_by_repeat() -> None:
    speeds = {"propd": [30.0, 20.0, 44.0], "medusa": [10.0, 10.0, 10.0]}
    assert baseline_of(speeds) == "medusa"
    assert baseline_of({**speeds, "autoregressive": [50.0]}) == "autoregressive"
    assert speed_ups(speeds["propd"], speeds["medusa"]) == [3.0, 2.0, 4.4]
    assert spread([3.0, 2.0, 4.4]) == {"median": 3.0, "min": 2.0, "max": 4.4}


def test_what_is_left_is_estimated_from_what_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    runs = progress.Progress([("a", 1.0), ("b", 1.0), ("a", 1.0), ("b", 1.0)])
    assert runs.left(0.0) is None  # nothing is known yet
    now[0] = 2.0
    assert runs.left(0.5) == pytest.approx(2 + 3 * 4)  # the others as long as this one
    now[0] = 4.0
    runs.end()
    runs.begin()
    now[0] = 5.0
    assert runs.left(0.5) == pytest.approx(1 + 4 + 2)  # a and b again as before
    now[0] = 6.0
    runs.end()
    runs.begin()
    assert runs.left(0.0) == pytest.approx(4 + 2)
    for _ in range(2):
        runs.end()
    assert runs.left(1.0) == 0.0 and runs.elapsed() == 6.0


def test_drawn_events_are_smaller_than_whole_ones(engine: propd.Engine) -> None:
    events = list(engine.stream("abc", method="medusa", max_new_tokens=24))
    for size, event in ((0.75, drawn), (0.5, drawn_small)):
        told = sum(len(json.dumps(event(one))) for one in events)
        assert told < size * sum(len(json.dumps(event_to_json(one))) for one in events)


# --- batches ---


def test_a_batch_tells_each_pass_with_a_tree_for_every_row(engine: propd.Engine) -> None:
    sweep = Sweep(plan("a\nbc\nd\ne", [1, 3], "propd", 12))
    *_, last = [json.loads(json.dumps(message)) for message in sweep.stream(engine)]
    assert last["phase"] == "done" and list(last["batches"]) == ["1", "3"]
    prompts = ["a", "bc", "d"]
    assert last["header"]["prompts"] == prompts
    batch = last["batches"]["3"]
    passes = list(batch["passes"].values())
    assert list(passes[0]["rows"]) == ["0", "1", "2"]
    answers = engine.generate_batch(prompts, method="propd", max_new_tokens=12, ignore_eos=True)
    for row, answer in enumerate(answers):
        told = [one["rows"][str(row)] for one in passes if str(row) in one["rows"]]
        assert batch["first"][str(row)] + "".join(one["text"] for one in told) == answer.text
        assert 1 + sum(one["tokens"] for one in told) == 12


def test_a_batch_counts_the_passes_in_which_all_rows_ran() -> None:
    """Rows end one by one; the few that are left would pass for a batch that they are not."""
    batch = batching.Batch(2)
    tree = {"nodes": {"fate": "rx"}, "tokens": 2}
    batch.passes = [
        {"index": 0, "ms": 50.0, "rows": {"0": tree, "1": {"nodes": {"fate": "r"}, "tokens": 1}}},
        {"index": 1, "ms": 10.0, "rows": {"1": {"nodes": {"fate": "rxxxx"}, "tokens": 5}}},
    ]
    told = batch.figures()
    assert told == {"rows": 2, "passes": 1, "tokens_per_second": 60.0, "tokens_per_pass": 1.5,
                    "mean_tree_size": 0.5}  # fmt: skip


@pytest.mark.parametrize(
    ("prompts", "sizes", "tokens", "says"),
    [
        ("a\nb", [], 8, "No batch size"),
        ("a\nb", [0, 1], 8, "batch of 0 rows"),
        ("a\nb", [17], 8, "between 1 and 16"),
        ("a\n \nb", [3], 8, "Prompts given: 2; the largest batch needs 3"),
        ("a" * 4001, 1, 8, "longer than 4,000"),
        (BATCH_PROMPTS, [1, 2], 257, "at most 256"),
        (BATCH_PROMPTS, [16, 12], 256, "7,168 tokens"),
    ],
)
def test_limits_of_batches_hold_on_the_server(
    prompts: str, sizes: Any, tokens: int, says: str
) -> None:
    with pytest.raises(InvalidRequest, match=says):
        plan(prompts, sizes, "propd", tokens)


def test_the_offered_batches_fit_the_limits() -> None:
    """What the page begins with must not be refused."""
    assert len(BATCH_PROMPTS.splitlines()) == settings.BATCH_SIZES[-1]
    plan(BATCH_PROMPTS, settings.BATCHED, settings.METHOD, settings.NEW_TOKENS)
    question("abc", settings.COMPARED, settings.NEW_TOKENS, settings.MAX_REPEATS)


# --- the page and the API ---


def test_shipped_comparisons_can_be_read_and_are_small() -> None:
    files = [*settings.COMPARISONS.glob("*.json"), *settings.BATCHES.glob("*.json")]
    offered = recorded(settings.COMPARISONS) + recorded(settings.BATCHES)
    assert len(offered) == len(files) > 1
    assert sum(path.stat().st_size for path in files) < 600_000
    for path in settings.COMPARISONS.glob("*.json"):
        told = json.loads(path.read_text())
        assert set(settings.COMPARED) == set(told["runs"]) and told["header"]["recorded"]
        assert all(len(run["repeats"]) > 1 for run in told["runs"].values())


def test_a_broken_comparison_is_left_out(tmp_path: Any) -> None:
    (tmp_path / "1-code.json").write_text('{"header": {"prompt": "<b>"}}')
    (tmp_path / "2-story.json").write_text("[]")
    (tmp_path / "3-story.json").write_text("{")
    assert [(one["label"], one["title"]) for one in recorded(tmp_path)] == [("Code", "<b>")]


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        (("compare", "compare_dom", "column", "inbox", "transport"), COMPARE_WORDS),
        (("batch", "batch_figures", "cell", "inbox", "transport"), BATCH_WORDS),
    ],
)
def test_every_sentence_of_compare_exists(modules: tuple[str, ...], words: dict[str, Any]) -> None:
    """A missing one would show as "undefined"."""
    scripts = "".join((settings.PLAYER / f"{name}.js").read_text() for name in modules)
    said = set(re.findall(r"\bwords\.(\w+)", scripts))
    assert said - {"js"} <= set(words)
    assert set(re.findall(r"\bstages\.(\w+)", scripts)) <= set(STAGES)


def test_programs_can_compare(room: EngineRoom) -> None:
    """`gradio_client` gets plain JSON, and the engine's sentence when it is refused."""
    from gradio_client import Client
    from gradio_client.exceptions import AppError

    demo = build(room)
    launch(demo, prevent_thread_lock=True, quiet=True)
    try:
        client = Client(str(demo.local_url), verbose=False)
        told = client.predict("abc", list(METHODS), 12, api_name="/compare")
        assert set(told["methods"]) == set(METHODS)
        assert all(one["identical"] and one["tokens"] == 12 for one in told["methods"].values())
        batches = client.predict("a\nb", [1, 2], "propd", 8, api_name="/batches")
        assert [one["rows"] for one in batches["batches"]] == [1, 2]
        with pytest.raises(AppError, match="repeats are 9"):
            client.predict("abc", list(METHODS), 12, 9, api_name="/compare")
    finally:
        demo.close()


def test_no_other_place_has_styles_under_the_same_names() -> None:
    """All styles are loaded at once: Learn had lanes too, and each drew the other's."""

    def names(path: Path) -> set[str]:
        return set(re.findall(r"\.(propd-[a-z-]+)", path.read_text()))

    sheets = {path.stem: names(path) for path in settings.PLAYER.glob("*.css")}
    shared = sheets.pop("player") | sheets.pop("page")
    own = sheets.pop("compare") - shared
    assert own and not {name: own & other for name, other in sheets.items() if own & other}
