"""Open sessions, as a researcher or a server uses them: join, step, cancel, close."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

import propd
from propd import DecodingConfig, InvalidRequest, memory
from propd.planning.experience import Experience


@pytest.fixture(scope="module")
def engine(tiny_folder: Path) -> propd.Engine:
    return propd.load(str(tiny_folder), heads=str(tiny_folder / "heads"))


def finish(session: propd.Session) -> dict[int, list[int]]:
    """Step until nobody is left; the tokens by row."""
    tokens: dict[int, list[int]] = {}
    while session.rows:
        for event in session.step():
            tokens.setdefault(event.row, []).extend(event.token_ids)
        session.check_integrity()
    return tokens


def test_rows_join_and_leave_at_any_step(engine: propd.Engine) -> None:
    prompts = ["one", "second", "a third"]
    alone = [engine.generate(p, max_new_tokens=20).token_ids for p in prompts]
    with engine.open(max_new_tokens=20, max_rows=2, longest_prompt=50) as session:
        first = [session.join(prompts[0])]
        late: list[int] = []
        for _ in range(3):
            late += [t for event in session.step() for t in event.token_ids]
        first.append(session.join(prompts[1]))
        with pytest.raises(InvalidRequest, match="All 2 rows are taken"):
            session.join(prompts[2])
        tokens = finish(session)
        third = session.join(prompts[2])
        tokens |= finish(session)
    assert [e.row for e in (*first, third)] == [0, 1, 2]
    assert (*first[0].token_ids, *late, *tokens[0]) == alone[0]
    assert (*first[1].token_ids, *tokens[1]) == alone[1]
    assert (*third.token_ids, *tokens[2]) == alone[2]


def test_cancelling_a_row_leaves_the_others_alone(engine: propd.Engine) -> None:
    expected = engine.generate("second", max_new_tokens=20).token_ids
    with engine.open(max_new_tokens=20, max_rows=3, longest_prompt=20) as session:
        events = [session.join(text) for text in ("one", "second", "third")]
        session.step()[1]
        tokens = list(events[1].token_ids)
        session.cancel(0)
        assert session.rows == [2, 1]
        with pytest.raises(
            InvalidRequest, match=r"Row 0 is not being decoded; the rows are \[2, 1"
        ):
            session.cancel(0)
        written = finish(session)[1]
    assert expected[-len(written) :] == tuple(written)
    assert expected[0] == tokens[0]


def test_a_closed_session_says_so(engine: propd.Engine) -> None:
    session = engine.open(max_new_tokens=5)
    session.join("abc")
    session.close()
    session.close()
    for act in (session.step, lambda: session.join("abc"), session.check_integrity):
        with pytest.raises(InvalidRequest, match="The session is closed; open a new one"):
            act()
    assert session.decoding.cache.keys.numel() == 0


def test_a_broken_cache_is_noticed(engine: propd.Engine) -> None:
    """The check must be able to fail."""
    with engine.open(max_new_tokens=9, longest_prompt=9) as session:
        session.join("abc")
        session.check_integrity()
        session.decoding.cache.lengths[0] += 1
        with pytest.raises(RuntimeError, match=r"the cache holds \[4\] and the rows say \[3\]"):
            session.check_integrity()
        session.decoding.cache.lengths[0] -= 1
        session.decoding.cache.values[2, 0, :, 1] = float("nan")
        with pytest.raises(RuntimeError, match="not finite"):
            session.check_integrity()


def test_a_prompt_that_cannot_be_read_takes_no_place(engine: propd.Engine) -> None:
    with engine.open(max_new_tokens=9, longest_prompt=9) as session:
        for prompt in ("x" * 400, " "):
            with pytest.raises(InvalidRequest):
                session.join(prompt)
        assert session.rows == []
        session.check_integrity()
        assert session.join("abc").row == 0


def stops_of(text: str) -> list[str]:
    """Stop strings of one, two and three characters from all over a text."""
    return [text[i : i + n] for n in (1, 2, 3) for i in range(0, len(text) - n, 3)]


@pytest.mark.parametrize("method", ["autoregressive", "bpd", "medusa", "propd"])
def test_a_stop_string_ends_the_text_exactly(engine: propd.Engine, method: str) -> None:
    """Wherever it stands: across tokens, in the middle of an accepted path, as the bonus."""
    whole = engine.generate("abc", max_new_tokens=40).text
    assert len(set(whole)) > 5
    for stop in stops_of(whole):
        run = engine.generate("abc", max_new_tokens=40, method=method, stop=("\x00", stop))
        assert run.text == whole[: whole.index(stop)]
        assert run.events[-1].finish_reason == "stop"
        assert "".join(event.text for event in run.events) == run.text
        plain = engine.generate("abc", max_new_tokens=40, method="autoregressive", stop=(stop,))
        assert run.token_ids == plain.token_ids


def test_a_stop_string_that_never_comes_changes_nothing(engine: propd.Engine) -> None:
    whole = engine.generate("abc", max_new_tokens=30)
    end = whole.text[-2:] + "never"  # its beginning stands at the very end, and is not swallowed
    run = engine.generate("abc", max_new_tokens=30, stop=(end, "xyz!"))
    assert (run.text, run.token_ids) == (whole.text, whole.token_ids)
    assert run.events[-1].finish_reason == "length"


def test_the_memory_of_a_run_is_known_before_it_starts(
    engine: propd.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that does not fit must not die in its middle."""
    backbone = engine.backbone
    cache = backbone.new_cache(3, 100)
    exact = cache.keys.nbytes + cache.values.nbytes
    assert exact <= memory.needed_bytes(backbone, 3, 100, 1) < exact + 100_000
    monkeypatch.setattr(memory, "available_bytes", lambda device: 100_000)
    with pytest.raises(
        InvalidRequest, match=r"The run needs .* GB of memory for 2 rows of .* free"
    ):
        engine.stream_batch(["abc", "de"], max_new_tokens=200)
    with pytest.raises(InvalidRequest, match="for 32 rows of"):
        engine.open(max_rows=32)


def test_what_measuring_costs_takes_is_counted(
    engine: propd.Engine, monkeypatch: pytest.MonkeyPatch, tiny_folder: Path
) -> None:
    """The first run of a batch size measures, with longer rows than a short run has; that must not
    be refused in its middle. Once the costs are known they take nothing."""
    fresh = propd.load(str(tiny_folder), heads=str(tiny_folder / "heads"))
    known = Experience({4: engine.measure_costs(rows=4)})
    short = memory.needed_bytes(fresh.backbone, 4, 70, 64)
    monkeypatch.setattr(memory, "available_bytes", lambda device: short / memory.RESERVE + 1)
    ask = {"max_new_tokens": 5, "method": "propd"}
    with pytest.raises(InvalidRequest, match="for 4 rows of"):
        fresh.stream_batch(["a"] * 4, **ask)
    fresh.stream_batch(["a"] * 4, max_new_tokens=5, method="medusa")
    fresh.learn(known)
    assert len(list(fresh.stream_batch(["a"] * 4, **ask))) >= 4


def test_a_container_limit_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A Space shows the memory of its host; what it may use stands in the control group."""
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("2500000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 400000\n")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    assert memory.available_bytes(propd.load.__globals__["torch"].device("cpu")) == 900_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._container_bytes() is None


def test_a_recorded_cost_table_makes_a_run_repeat(engine: propd.Engine) -> None:
    """Every size follows the table, not the clock: the same decisions on any machine."""
    table = engine.measure_costs()

    def decisions(**settings: object) -> list[object]:
        run = engine.generate("abc", max_new_tokens=60, ignore_eos=True, **settings)
        return [event.decision for event in run.events]

    first, again = (decisions(cost_table=table) for _ in range(2))
    assert first == again
    assert all(d.reason != "explore" for d in first)  # type: ignore[attr-defined]
    assert decisions() != first  # with the clock, estimates move from step to step


def test_the_costs_of_a_batch_know_the_batch(engine: propd.Engine) -> None:
    table = engine.measure_costs(rows=4)
    assert [rows for rows, _ in table.draft] == [1, 4]
    # below the batch, for when rows have left, it is what one row takes
    assert [tokens for tokens, _ in table.early][:7] == [1, 2, 4, 5, 8, 9, 12]
    assert table.early[-1][0] == 256
    odd = engine.measure_costs(rows=3)
    assert [tokens for tokens, _ in odd.early][:6] == [1, 2, 3, 4, 5, 8]


def test_the_costs_of_late_layers_are_those_of_whole_trees(engine: propd.Engine) -> None:
    """What pruning leaves is an odd number of tokens, run once and slow as all first calls are:
    one such point made trees of four nodes look 10% dearer than they are."""
    table = engine.measure_costs()
    assert {tokens for tokens, _ in table.late} == {tokens for tokens, _ in table.early}


@pytest.mark.parametrize("rule", ["topk", "threshold", "budget"])
@pytest.mark.parametrize("when", ["always", "pays"])
def test_every_pruning_rule_leaves_the_text_alone(
    engine: propd.Engine, rule: str, when: str
) -> None:
    settings = {"prune_rule": rule, "prune_when": when, "prune_threshold": 0.02, "prune_top_k": 5}
    plain = engine.generate("abc", max_new_tokens=60, method="autoregressive", ignore_eos=True)
    for method in ("propd", "propd-static"):
        run = engine.generate("abc", max_new_tokens=60, method=method, ignore_eos=True, **settings)
        assert run.token_ids == plain.token_ids
    assert {e.prune_rule for e in run.events[1:-5]} == {rule}
    if rule != "budget":
        assert 0 < run.stats.pruned < run.stats.drafted


def test_typical_acceptance_is_reproducible_and_needs_a_temperature(engine: propd.Engine) -> None:
    settings = {"temperature": 1.0, "acceptance": "typical", "seed": 3, "method": "medusa"}
    one, again = (engine.generate("abc", max_new_tokens=40, **settings) for _ in range(2))
    assert one.token_ids == again.token_ids
    assert len(one.token_ids) == 40
    with pytest.raises(InvalidRequest, match="Typical acceptance needs a temperature"):
        engine.generate("abc", DecodingConfig(acceptance="typical"))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"stop": "END"}, "The stop strings are no list"),
        ({"stop": ("",)}, "A stop string has 0 characters"),
        ({"stop": ("x",) * 17}, "There are 17 stop strings; give at most 16"),
        ({"prune_rule": "luck"}, "The prune rule is 'luck'; use one of topk, threshold, budget"),
        ({"prune_threshold": 2.0}, "The pruning threshold is 2.0"),
        ({"values": None}, "The values is 'None'"),
        ({"topk": 4}, "There is no setting 'topk'; did you mean top_k?"),
        ({"max_new_tokens": 2.5}, "The setting max_new_tokens is 2.5; it must be a whole number"),
        ({"seed": True}, "The setting seed is True"),
        ({"temperature": "hot"}, "The setting temperature is 'hot'; it must be a number"),
        ({"temperature": None}, "The setting temperature is None"),
        ({"temperature": float("nan")}, "The temperature is nan"),
        ({"top_p": True}, "The setting top_p is True; it must be a number"),
        ({"stop": None}, "The stop strings are no list"),
        ({"method": []}, "There is no method"),
        ({"ignore_eos": 1}, "The setting ignore_eos is 1; it must be True or False"),
        ({"cost_table": "x"}, "The setting cost_table is 'x'; it must be a CostTable"),
        ({"cost_model": "line", "prune_rule": "budget"}, "The cost model 'line' cannot tell"),
    ],
)
def test_bad_settings_get_one_sentence(
    engine: propd.Engine, settings: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        engine.stream("abc", **settings)


@pytest.mark.parametrize("rows", ["2", 2.5, True])
def test_a_batch_of_no_whole_number_is_refused(engine: propd.Engine, rows: Any) -> None:
    with pytest.raises(InvalidRequest, match="it must be a whole number"):
        engine.stream_batch(["abc"], max_rows=rows)


def test_half_a_character_is_no_prompt(engine: propd.Engine) -> None:
    """JSON may bring one; a tokenizer dies of it."""
    with pytest.raises(InvalidRequest, match=r"half a character \(U\+D800, character 3\)"):
        engine.stream("ab\ud800")


@pytest.mark.parametrize("layer", [99, -3, 1])
def test_no_heads_look_early_after_any_layer(tiny_folder: Path, layer: int) -> None:
    with pytest.raises(InvalidRequest, match=f"early pruning is {layer} and this model has no"):
        propd.load(str(tiny_folder)).stream("abc", method="lookup", prune_layer=layer)


def test_the_smallest_temperature_is_nearly_greedy(engine: propd.Engine) -> None:
    """Divided by it, logits are infinite; the largest must stay the only one."""
    greedy = engine.generate("abc", max_new_tokens=20)
    for temperature in (1e-300, 5e-324):
        drawn = engine.generate("abc", max_new_tokens=20, temperature=temperature)
        assert drawn.token_ids == greedy.token_ids


@pytest.mark.parametrize("stop", [(), ("never this",)])
def test_a_row_cancelled_between_events_of_one_step_is_not_told_on(
    engine: propd.Engine, stop: tuple[str, ...]
) -> None:
    """Its event of that step is on its way already; the other rows must not die of it."""
    ids = [engine.encode(prompt) for prompt in ("one", "second", "a third")]
    alone = [engine.generate(p, max_new_tokens=20).token_ids for p in ("one", "second")]
    told: dict[int, list[int]] = {0: [], 1: [], 2: []}
    with engine.open(max_new_tokens=20, max_rows=3, longest_prompt=50, stop=stop) as session:
        for event in session.run(ids):
            told[event.row] += event.token_ids
            if event.kind == "decode" and event.row == 0 and 2 in session.rows:
                session.cancel(2)
        session.check_integrity()
    assert [tuple(told[row]) for row in (0, 1)] == alone
    assert len(told[2]) == 1


@pytest.mark.parametrize("ends_by", ["length", "eos"])
def test_a_row_that_ends_at_its_first_token_leaves(
    engine: propd.Engine, monkeypatch: pytest.MonkeyPatch, ends_by: str
) -> None:
    """The prefill writes a token too. A row that stays behind it fails the next step of all rows,
    or is decoded past its end (transformers#47912, at the very first token)."""
    first, other = (
        engine.generate(text, max_new_tokens=12).token_ids for text in ("abc", "second")
    )
    assert first[0] not in other
    if ends_by == "eos":
        monkeypatch.setattr(engine, "end_tokens", [first[0]])
    count = 1 if ends_by == "length" else 12
    with engine.open(max_new_tokens=count, max_rows=2, longest_prompt=20) as session:
        assert session.join("abc").finish_reason == ends_by
        assert session.rows == []
        neighbour = session.join("second")
        assert (*neighbour.token_ids, *finish(session).get(1, [])) == other[:count]


def test_a_step_without_rows_does_nothing(engine: propd.Engine) -> None:
    """A server steps whether or not somebody is there."""
    with engine.open(max_new_tokens=5, longest_prompt=20) as session:
        assert session.step() == []


def test_a_closed_run_leaves_no_rows(engine: propd.Engine) -> None:
    """Closing cancels; or the next run of the session meets the rows of the last."""
    with engine.open(max_new_tokens=5, longest_prompt=20) as session:
        stream = session.run([[1, 2]])
        next(stream)
        stream.close()  # type: ignore[attr-defined]
        assert session.rows == []


def test_a_prompt_longer_than_the_session_has_room_for_is_refused(engine: propd.Engine) -> None:
    """It would be answered with fewer tokens than asked for, and nobody would know why."""
    with engine.open(max_new_tokens=20, longest_prompt=5) as session:
        with pytest.raises(InvalidRequest, match="has 9 tokens and the session was opened for 5"):
            session.join("too long!")
        assert session.rows == []
    with pytest.raises(InvalidRequest, match="The longest prompt is -5 tokens"):
        engine.open(longest_prompt=-5)


def test_time_between_steps_is_not_counted(engine: propd.Engine) -> None:
    with engine.open(max_new_tokens=4, longest_prompt=5, method="autoregressive") as session:
        session.join("abc")
        time.sleep(0.4)
        assert session.step()[0].elapsed_s < 0.3


def test_a_run_needs_an_empty_session(engine: propd.Engine) -> None:
    with engine.open(max_new_tokens=9, longest_prompt=9, max_rows=2) as session:
        session.join("abc")
        with pytest.raises(InvalidRequest, match=r"The rows \[0\] are being decoded"):
            next(session.run([[1, 2]]))


def test_a_step_that_cannot_be_told_closes_the_session(
    engine: propd.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tokens are in the cache and in nobody's hands: going on would lose them in silence."""
    session = engine.open(max_new_tokens=9, longest_prompt=9)
    session.join("abc")

    def stop(feedback: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(session.decoding.planner, "learn", stop)
    with pytest.raises(KeyboardInterrupt):
        session.step()
    with pytest.raises(InvalidRequest, match="The session is closed"):
        session.step()


@pytest.mark.parametrize("prompts", ["abc", []])
def test_prompts_are_a_list(engine: propd.Engine, prompts: object) -> None:
    with pytest.raises(InvalidRequest, match=r"give a list of texts|give at least one"):
        engine.generate_batch(prompts)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="The prompt is of type list; give a text"):
        engine.generate(["abc"])  # type: ignore[arg-type]
