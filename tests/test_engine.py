"""The library as a user meets it, on a tiny model saved to a folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import propd
from propd import DecodingConfig, InvalidRequest, ModelUnavailable, RunStats
from propd.heads.phrase_files import save_phrases
from propd.planning.phrases import count_phrases
from propd.text import TextStream


@pytest.fixture(scope="module")
def engine(tiny_folder: Path) -> propd.Engine:
    return propd.load(str(tiny_folder), heads=str(tiny_folder / "heads"))


def test_every_method_gives_the_same_text(engine: propd.Engine) -> None:
    plain = engine.generate("abc", method="autoregressive", max_new_tokens=40)
    assert len(plain.token_ids) == 40
    for method in propd.METHODS:
        run = engine.generate("abc", method=method, max_new_tokens=40)
        assert (run.token_ids, run.text) == (plain.token_ids, plain.text)


def test_events_carry_the_text(engine: propd.Engine) -> None:
    run = engine.generate("abc", max_new_tokens=30)
    assert "".join(event.text for event in run.events) == run.text
    for event in run.events:
        assert len(event.pieces) == len(event.token_ids)
        assert "".join(event.pieces) == event.text
        assert all(node.text for node in event.nodes)
    assert run.text == engine.tokenizer.decode(run.token_ids, skip_special_tokens=True)


def test_statistics_are_sums_of_the_events(engine: propd.Engine) -> None:
    run = engine.generate("abc", method="medusa", max_new_tokens=20)
    steps = run.events[1:]
    assert run.stats.new_tokens == len(run.token_ids) == 20
    assert run.stats.steps == len(steps)
    assert run.stats.drafted == sum(len(event.nodes) - 1 for event in steps)
    assert run.stats.verified == run.stats.drafted - run.stats.pruned
    assert run.stats.tokens_per_pass == pytest.approx(19 / len(steps))
    assert run.stats.seconds >= run.stats.decode_seconds > 0


def test_the_first_step_of_a_dynamic_tree_knows_measured_costs(engine: propd.Engine) -> None:
    """Without a measured start the first sizes would be a guess."""
    event = engine.generate("abc", max_new_tokens=4, ignore_eos=True).events[1]
    table = engine.measure_costs()
    counts = [1, 2, 4, 5, 8, 9, 12, 13, 16, 17, 24, 25, 32, 33, 48, 64]
    assert [count for count, _ in table.early] == counts
    assert all(ms > 0 for points in (table.early, table.late, table.prune) for _, ms in points)
    assert event.decision.reason in ("best", "end")
    assert len(event.decision.estimated_ms) == len(event.decision.sizes)
    assert event.decision.estimated_ms == tuple(sorted(event.decision.estimated_ms))


def test_two_requests_do_not_disturb_each_other(engine: propd.Engine) -> None:
    """No state on the model: interleaved streams write what they write alone."""
    alone = [engine.generate(p, max_new_tokens=25).token_ids for p in ("one", "second")]
    streams = [engine.stream(p, max_new_tokens=25) for p in ("one", "second")]
    together: list[list[int]] = [[], []]
    open_streams = {0, 1}
    while open_streams:
        for place in list(open_streams):
            event = next(streams[place], None)
            if event is None:
                open_streams.discard(place)
            else:
                together[place] += event.token_ids
    assert [tuple(tokens) for tokens in together] == alone


def test_time_of_the_consumer_is_not_counted(engine: propd.Engine) -> None:
    import time

    stats = RunStats()
    for event in engine.stream("abc", method="autoregressive", max_new_tokens=4):
        time.sleep(0.2)
        stats = stats.add(event)
    assert stats.seconds < 0.4


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"max_new_tokens": 0}, "The number of new tokens is 0; it must be at least 1."),
        ({"method": "magic"}, "There is no method 'magic'; use one of propd, "),
        ({"max_nodes": 0}, "The largest tree is 0 nodes"),
        ({"prune_top_k": 0}, "The pruning top-k is 0"),
        ({"seed": 2**64}, "The seed is 18446744073709551616"),
        ({"temperature": -1.0}, "The temperature is -1.0"),
    ],
)
def test_bad_settings_get_one_sentence(
    engine: propd.Engine, settings: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        engine.stream("abc", DecodingConfig(), **settings)


@pytest.mark.parametrize("prompt", ["", "  \n\t"])
def test_an_empty_prompt_is_refused(engine: propd.Engine, prompt: str) -> None:
    with pytest.raises(InvalidRequest, match="The prompt is empty"):
        engine.stream(prompt)


@pytest.mark.parametrize("length", [256, 100_000])
def test_a_prompt_beyond_the_context_is_refused(engine: propd.Engine, length: int) -> None:
    with pytest.raises(InvalidRequest, match=r"fewer than 256 tokens; shorten it"):
        engine.stream("x" * length)


def test_without_heads_only_plain_decoding_runs(tiny_folder: Path) -> None:
    engine = propd.load(str(tiny_folder))
    assert engine.generate("abc", method="autoregressive", max_new_tokens=3).token_ids
    with pytest.raises(InvalidRequest, match="needs draft heads and this model has none"):
        engine.stream("abc", method="propd")


FILES = ("draft.safetensors", "early-01.safetensors", "early-02.safetensors")


def test_heads_of_another_model_are_refused(tiny_folder: Path, tmp_path: Path) -> None:
    text = (tiny_folder / "heads" / "config.json").read_text()
    for name in FILES:
        (tmp_path / name).write_bytes((tiny_folder / "heads" / name).read_bytes())
    (tmp_path / "config.json").write_text(text.replace("propd-heads/2", "propd-heads/9"))
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        propd.load(str(tiny_folder), heads=str(tmp_path))


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("prune_layers", [12], "layer of the early head is 12 and must be 1 to 4"),
        ("vocabulary_size", 99, "vocabulary is 99 and must be 257"),
        ("acceptance_table", [[0.1] * 12] * 4, "number of ranks in the table is 12"),
        ("acceptance_table", [], "number of heads in the table is 0"),
    ],
)
def test_heads_that_do_not_fit_are_refused(
    tiny_folder: Path, tmp_path: Path, field: str, value: object, sentence: str
) -> None:
    """They would crash inside the loop, long after the door."""
    config = json.loads((tiny_folder / "heads" / "config.json").read_text())
    for name in FILES:
        (tmp_path / name).write_bytes((tiny_folder / "heads" / name).read_bytes())
    (tmp_path / "config.json").write_text(json.dumps({**config, field: value}))
    with pytest.raises(ModelUnavailable, match=sentence):
        propd.load(str(tiny_folder), heads=str(tmp_path))


@pytest.mark.parametrize("method", ["propd", "propd-heads"])
def test_phrases_change_the_guesses_and_never_the_text(
    tiny_folder: Path, tmp_path: Path, engine: propd.Engine, method: str
) -> None:
    """They are counted over the model's own answers, so they know what comes."""
    prompts = ["abc", "the same", "another one"]
    settings = {"max_new_tokens": 40, "tree_size": 6, "prune_when": "pays"}
    plain = engine.generate_batch(prompts, method="autoregressive", max_new_tokens=40)
    shutil.copytree(tiny_folder / "heads", tmp_path / "heads")
    texts = [
        ([*engine.encode(prompt), *run.token_ids], len(engine.encode(prompt)))
        for prompt, run in zip(prompts, plain, strict=True)
    ]
    save_phrases(tmp_path / "heads", count_phrases(texts))
    knowing = propd.load(str(tiny_folder), heads=str(tmp_path / "heads"))
    runs = [e.generate_batch(prompts, method=method, **settings) for e in (engine, knowing)]
    for found in runs:
        assert [run.token_ids for run in found] == [run.token_ids for run in plain]
    before, after = (sum(run.stats.steps for run in found) for found in runs)
    assert after < before


def test_no_prompts_are_refused(engine: propd.Engine) -> None:
    with pytest.raises(InvalidRequest, match="There is no prompt"):
        engine.generate_batch([])


def test_a_row_that_waited_is_not_charged_for_it(engine: propd.Engine) -> None:
    runs = engine.generate_batch(["abc"] * 6, max_new_tokens=20, max_rows=1)
    assert runs[-1].stats.seconds < 3 * runs[0].stats.seconds + 0.1


@pytest.mark.parametrize("method", ["autoregressive", "medusa", "propd", "lookup"])
def test_an_answer_goes_on_from_its_own_beginning_as_it_did(
    engine: propd.Engine, method: str
) -> None:
    """Where nothing is changed, "what if" must change nothing: forced tokens are only the past."""
    whole = engine.generate("abc", method=method, max_new_tokens=40)
    for cut in (1, 7, 39):
        rest = engine.generate(
            "abc", method=method, max_new_tokens=40 - cut, continuing=whole.token_ids[:cut]
        )
        assert rest.token_ids == whole.token_ids[cut:]
        assert engine.text_of(whole.token_ids[:cut]) + rest.text == whole.text


def test_an_answer_goes_on_from_a_token_that_was_not_chosen(engine: propd.Engine) -> None:
    """A dropped branch is a text like any other: every method writes what plain decoding does."""
    chosen = engine.generate("abc", max_new_tokens=3).token_ids
    forced = (*chosen[:2], (chosen[2] + 1) % 256)
    runs = [
        engine.generate("abc", method=method, max_new_tokens=20, continuing=forced).token_ids
        for method in ("autoregressive", "propd", "propd-static")
    ]
    assert runs[0] == runs[1] == runs[2]
    past = engine.generate("abc", max_new_tokens=4, continuing=forced).events[1].past_length
    assert past == len(engine.encode("abc")) + 3


def test_half_a_character_in_the_beginning_is_completed(engine: propd.Engine) -> None:
    """A branch may begin inside a character; the rest of it must not come out as rubbish."""
    first, second = engine.tokenizer("é")["input_ids"]
    stream = TextStream(engine.tokenizer, (), [first])
    stream.push([second])
    assert stream.take() == ("é",)


@pytest.mark.parametrize(
    ("beginning", "says"),
    [
        ([999], "token is a whole number from 0 to 256"),
        ([-1], "cannot begin with the token -1"),
        (["a"], "cannot begin with the token 'a'"),
        ([True], "cannot begin with the token True"),
        ([5, 256], "The text ends with the token 256"),
        ([5] * 300, "its answer begins with 300"),
    ],
)
def test_a_beginning_that_is_none_is_refused(
    engine: propd.Engine, beginning: list[Any], says: str
) -> None:
    """The tokens come from a browser."""
    with pytest.raises(InvalidRequest, match=says):
        engine.stream("abc", continuing=beginning)


def test_a_tree_of_fixed_size_has_that_size_in_every_step(engine: propd.Engine) -> None:
    for size in (1, 6, 40):
        run = engine.generate("abc", method="propd", max_new_tokens=30, tree_size=size)
        full = [event for event in run.events[1:] if event.decision.reason == "fixed"]
        assert full and all(event.drafted == size for event in full)
        assert run.text == engine.generate("abc", max_new_tokens=30).text
    with pytest.raises(InvalidRequest, match="drafts the same tree in every step"):
        engine.stream("abc", method="medusa", tree_size=4)
    with pytest.raises(InvalidRequest, match="The tree size is 64"):
        engine.stream("abc", tree_size=64)
