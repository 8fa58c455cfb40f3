"""The player's pure functions, run by node on real events of the tiny model."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

import propd
from app.strings.watch import WATCH
from propd.core import RunStats, StepEvent
from propd.event_json import event_to_json
from tests.player.node import needs_node, run_script

pytestmark = needs_node


MODULES = {
    "* as W": "words.js",
    "* as F": "figures.js",
    "* as P": "phases.js",
    "* as S": "svg.js",
    "* as T": "timeline.js",
    "* as X": "what_if.js",
    "{ Runs }": "runs.js",
    "{ Playback }": "playback.js",
    "{ nodeNear }": "tree_view.js",
}
DRAW = """const draw = (event, more) =>
  F.treeFigure(event, { width: 700, height: 400, ink: "#000", faint: "#777", ...more });"""


def run(script: str, **values: Any) -> Any:
    """What a script returns that sees the player's functions and the given values."""
    return run_script(script, MODULES, {"words": WATCH, **values}, DRAW)


@pytest.fixture(scope="module")
def events(tiny_folder: Path) -> list[StepEvent]:
    engine = propd.load(str(tiny_folder), heads=str(tiny_folder / "heads"))
    return list(engine.stream("abc", max_new_tokens=30, ignore_eos=True, record_probabilities=True))


SMALL = {
    "index": 3,
    "kind": "decode",
    "nodes": {
        "fate": "raxpp",
        "token_id": [1, 2, 3, 4, 5],
        "parent": [-1, 0, 0, 1, 3],
        "depth": [0, 1, 1, 2, 3],
        "rank": [0, 0, 1, 0, 0],
        "value": [1, 0.5, 0.2, 0.3, 0.1],
        "draft_probability": [None, 0.5, 0.2, 0.6, 0.3],
        "early_rank": [None, 0, 3, 72, None],
        "choice_id": [2, 9, 7, None, None],
        "text": [" a", "<b>", "${1+1}", " ", "\n"],
        "choice_text": ["<b>", " c", " x", "", ""],
    },
    "bonus": {
        "fate": "b",
        "token_id": [9],
        "parent": [1],
        "depth": [2],
        "rank": [0],
        "value": [0],
        "text": [" c"],
    },
    "accepted": [1],
    "token_ids": [2, 9],
    "decision": {
        "sizes": [2, 4],
        "expected_lengths": [1.5, 1.8],
        "estimated_ms": [20, 30],
        "chosen": 4,
        "reason": "best",
    },
    "milliseconds": {"draft": 1.5, "late": 20},
    "prune_layer": 4,
    "prune_top_k": 50,
    "text": "<b> c",
    "pieces": ["<b>", " c"],
}


def test_parents_stand_in_the_middle_of_their_children() -> None:
    script = "return F.layoutTree(W.nodesOf(event));"
    assert run(script, event=SMALL) == {"rows": [1.25, 0.5, 2, 1, 1, 0], "leaves": 3, "depth": 3}


def test_nothing_moves_when_fates_change() -> None:
    """The story of a step would be unreadable if pruning moved the nodes."""
    script = """return P.PHASES.map((phase) => {
      const figure = draw(event, {phase});
      return [figure.points, figure.layout.width, figure.layout.height];
    });"""
    first, *others = run(script, event=SMALL)
    assert len(others) == 5 and all(other == first for other in others)


def test_labels_of_a_big_tree_never_overlap() -> None:
    """63 nodes in a chain of bushes: two nodes of one column are at least a line apart."""
    count = 64
    nodes = {
        "fate": "r" + "x" * (count - 1),
        "parent": [-1, *[(i - 1) // 3 for i in range(1, count)]],
        "text": [" internationalization"] * count,
        "value": [1.0] * count,
    }
    depth = [0]
    for parent in nodes["parent"][1:]:
        depth.append(depth[parent] + 1)
    event = {"nodes": {**nodes, "depth": depth}, "accepted": [], "token_ids": []}
    script = """
      const figure = draw(event, {vertical});
      const labels = figure.data[figure.data.length - 1].text.map((t) => t.length * 7.3);
      return [figure.points.map(({x, y}) => [Math.round(x), Math.round(y)]), labels];"""
    for vertical in (False, True):
        points, labels = run(script, event=event, vertical=vertical)
        for i in range(count):
            for j in range(i):
                if vertical:
                    apart = points[i][1] != points[j][1]
                    assert apart or abs(points[i][0] - points[j][0]) >= (labels[i] + labels[j]) / 2
                else:
                    apart = points[i][0] != points[j][0]
                    assert apart or abs(points[i][1] - points[j][1]) >= 16
                    assert labels[i] < 150


def test_token_text_is_escaped_for_plotly() -> None:
    """Plotly reads labels as markup: the token <b> would turn the next letters bold."""
    script = """const figure = draw(event);
      return figure.data[figure.data.length - 1].text;"""
    assert run(script, event=SMALL) == ["␣a", "&lt;b&gt;", "${1+1}", "␣", "↵", "␣c"]


def test_white_space_and_controls_become_visible() -> None:
    script = "return texts.map(W.visible);"
    texts = [" a", "\n\t\r", "\x1b[0m", "\u202eabc", "\u200b"]
    assert run(script, texts=texts) == ["␣a", "↵⇥␍", "\\u001b[0m", "\\u202eabc", "\\u200b"]


def test_every_fate_has_its_sentence() -> None:
    script = "return W.nodesOf(event).map((_, i) => W.why(event, i, words));"
    assert run(script, event=SMALL) == [
        "Decided by the step before; the tree grows from it.",
        "The model itself chose this token here too, so it was kept.",
        "The model itself chose “<b>” here.",
        "The early head ranked it 73rd after layer 4; the cut is 50.",
        "Its parent was pruned.",
        "The model's own next token; it becomes the next root.",
    ]


def test_a_wrongly_pruned_token_is_called_so() -> None:
    """The early head errs; the page must not make pruning look better than it is."""
    event = json.loads(json.dumps(SMALL))
    event["nodes"]["token_id"][3] = 9  # what the model chose after its parent
    assert run("return W.why(event, 3, words);", event=event) == (
        "The early head ranked it 73rd after layer 4; the cut is 50. "
        "The model itself would have chosen it, so here pruning cost a token."
    )


def test_the_caption_tells_the_real_numbers() -> None:
    said = run("return W.caption(event, words);", event=SMALL)
    assert said == "4 drafted, 2 pruned after layer 4, 2 verified, 1 accepted + 1 bonus."


def test_text_is_cut_by_where_it_came_from() -> None:
    assert run("return W.pieces(event);", event=SMALL) == [
        {"text": "<b>", "kind": "accepted"},
        {"text": " c", "kind": "bonus"},
    ]


def test_the_size_figure_marks_what_is_estimated_and_what_measured() -> None:
    script = """return F.sizeFigure(event, {width: 300, height: 300, words}).data
      .map((trace) => [trace.y, trace.marker.symbol]);"""
    data = run(script, event=SMALL)
    ratio = [pytest.approx(75), pytest.approx(60)]
    assert [[1.5, 1.8], "circle-open"] in data and [ratio, "circle-open"] in data
    assert [[21.5], "square"] in data and [[2], "square"] in data


def test_real_events_are_told_completely(events: list[StepEvent]) -> None:
    """Statistics, text and captions of the page are those of the engine."""
    stats = RunStats()
    for event in events:
        stats = stats.add(event)
    script = """
      const drawn = events.map((event) => draw(event));
      const cards = events.flatMap((event) =>
        W.nodesOf(event).map((_, i) => W.facts(event, i, words).length));
      const text = events.flatMap(W.pieces).map((piece) => piece.text).join("");
      const captions = events.map((event) => W.caption(event, words));
      return [W.runStats(events, events.length - 1), text, drawn.length, Math.min(...cards),
        captions, W.openingStep(events)];"""
    told = [event_to_json(event) for event in events]
    sums, text, drawn, facts, captions, opening = run(script, events=told)
    assert sums["tokens"] == stats.new_tokens and sums["steps"] == stats.steps
    assert sums["tokensPerPass"] == pytest.approx(stats.tokens_per_pass)
    assert sums["tokensPerSecond"] == pytest.approx(stats.tokens_per_second, rel=1e-3)
    assert text == "".join(event.text for event in events)
    assert drawn == len(events) and facts >= 1 and 0 <= opening < len(events)
    assert not any("{" in caption or "undefined" in caption for caption in captions)


def test_a_card_does_not_tell_the_end_of_the_story() -> None:
    """While a step plays, the card of a node must know no more than the tree shows."""
    script = """return P.PHASES.map((phase) => {
      const known = P.eventAt(event, phase);
      const told = ["early_rank", "choice_id"].map((name) => name in known.nodes);
      return [known.nodes.fate, W.why(known, 1, words), Boolean(known.bonus), ...told];
    });"""
    drafted = "Proposed; not judged yet."
    goes_on = "The early head ranked it 1st after layer 4; the cut is 50, so it goes on."
    agreed = "The model itself would put this token here."
    kept = "The model itself chose this token here too, so it was kept."
    assert run(script, event=SMALL) == [
        ["rdddd", drafted, False, False, False],
        ["rdddd", drafted, False, False, False],
        ["rddpp", goes_on, False, True, False],
        ["rvxpp", agreed, False, True, True],
        ["raxpp", kept, False, True, True],
        ["raxpp", kept, True, True, True],
    ]


def test_every_phase_has_its_line_of_numbers() -> None:
    script = "return P.phasesOf(event).map((phase) => P.phaseLine(event, phase, words));"
    assert run(script, event=MIXED) == [
        "What may come next? Guessed 1 by heads, 2 by the text, 1 by both.",
        "A tree of 4, 3 deep. Size 4 promised the most tokens per second.",
        "2 pruned after layer 4; 2 go on to the other layers.",
        "2 verified in one pass; the model itself agrees with 1 of them.",
        "1 accepted: as far as the model agrees, from the root on.",
        "4 drafted, 2 pruned after layer 4, 2 verified, 1 accepted + 1 bonus.",
    ]


def test_a_step_has_only_the_phases_that_happened() -> None:
    """A phase that did not happen must not be told as if it had."""
    unpruned = {name: value for name, value in SMALL.items() if name != "prune_layer"}
    root = {**SMALL, "nodes": {"fate": "r", "parent": [-1], "depth": [0]}, "accepted": []}
    script = "return [P.phasesOf(event), P.phasesOf(unpruned), P.phasesOf(root)];"
    whole, rest, alone = run(script, event=SMALL, unpruned=unpruned, root=root)
    assert whole == ["draft", "grow", "prune", "verify", "accept", "commit"]
    assert rest == [name for name in whole if name != "prune"]
    assert alone == ["commit"]


def test_an_agreed_node_below_a_wrong_one_is_told_apart() -> None:
    """The model may agree with a token whose parent it refuses; then the path ends before it."""
    event = json.loads(json.dumps(SMALL))
    event["nodes"].update(
        fate="raxxp", parent=[-1, 0, 0, 2, 3], depth=[0, 1, 1, 2, 3], choice_id=[2, 9, 4, 7, None]
    )
    script = """return ["verify", "accept"].map((phase) => {
      const known = P.eventAt(event, phase);
      return [known.nodes.fate, W.why(known, 3, words)];
    });"""
    verify, accept = run(script, event=event)
    assert verify == [
        "rvxvp",
        "The model itself would put this token here, if the one before it is kept.",
    ]
    assert accept == ["raxxp", "Its parent was not kept."]


def test_playback_shows_every_phase_in_order() -> None:
    """And at speeds that nobody could follow, or with reduced motion, the end of each step."""
    script = """
      globalThis.window = { matchMedia: () => ({ matches: calm }) };
      const player = { run: { events: [event, event] }, step: 0, phase: "commit" };
      const playback = new Playback(player);
      playback.speed = speed;
      const seen = [];
      while (seen.length < 20 && !(player.step === 1 && player.phase === "commit")) {
        Object.assign(player, playback.next());
        seen.push([player.step, player.phase]);
      }
      return seen;"""
    whole = [[1, name] for name in ("draft", "grow", "prune", "verify", "accept", "commit")]
    assert run(script, event=SMALL, speed="0.25", calm=False) == whole
    assert run(script, event=SMALL, speed="4", calm=False) == [[1, "commit"]]
    assert run(script, event=SMALL, speed="0.25", calm=True) == [[1, "commit"]]


def test_a_branch_is_the_text_so_far_and_the_path() -> None:
    script = """
      const run = { header: { prompt: "p", method: "propd", model: "m", continuing: [50] },
        events: [{ token_ids: [60] }, { token_ids: [61, 62] }, event] };
      return [X.request(run, 2, 4), [0, 1, 2, 3, 4, 5].map((i) => X.isOpen(event, i))];"""
    asked, open_ = run(script, event=SMALL)
    assert asked == {
        "prompt": "p",
        "method": "propd",
        "model": "m",
        "continuing": [50, 60, 61, 62, 2, 4, 5],
    }
    assert open_ == [False, False, True, True, True, False]  # only what the run did not take


def message(run_id: str, state: str, first: int, last: int) -> dict[str, Any]:
    events = {str(i): {"index": i, "token_ids": [i]} for i in range(first, last)}
    return {"run": run_id, "phase": state, "header": {"prompt": "p"}, "events": events}


def test_runs_of_the_visit_are_kept_and_named() -> None:
    """A stopped run takes no late message, a gap is never filled with what follows it, and a
    refused request is no run that counts."""
    script = """
      const runs = new Runs([], "", words);
      const told = (run) => [run.label, run.state, run.events.length];
      const state = () => [runs.busy(), runs.live.map(told)];
      const seen = [];
      for (const one of messages) {
        if (one === "asked") runs.asked("What if");
        else if (one === "stop") runs.ended();
        else runs.receive(one);
        seen.push(state());
      }
      return seen;"""
    told = run(
        script,
        messages=[
            message("r", "loading", 0, 0),
            message("r", "failed", 0, 0),
            message("a", "loading", 0, 0),
            message("a", "running", 0, 2),
            message("a", "running", 4, 6),
            message("a", "done", 0, 6),
            "asked",
            message("b", "running", 0, 3),
            "stop",
            message("b", "running", 3, 5),
        ],
    )
    first = ["Your run 1", "done", 6]
    assert told == [
        [True, []],
        [False, []],
        [True, []],
        [True, [["Your run 1", "running", 2]]],
        [True, [["Your run 1", "running", 2]]],
        [False, [first]],
        [True, [first]],
        [True, [first, ["What if", "running", 3]]],
        [False, [first, ["What if", "stopped", 3]]],
        [False, [first, ["What if", "stopped", 3]]],
    ]


def test_the_timeline_tells_what_the_events_tell(events: list[StepEvent]) -> None:
    told = [event_to_json(event) for event in events]
    script = """
      const { data, layout } = T.timelineFigure(events, { width: 600, words });
      return [data.map((trace) => trace.y), layout.xaxis.range, T.stepLine(events[1], words),
        [0, 7, 300, 599, 900].map((x) => T.stepAt(x, 600, events.length)),
        events.map((_, i) => T.stepAt(T.placeOf(i, 600, events.length), 600, events.length))];"""
    columns, axis, line, places, back = run(script, events=told)
    drafted, verified, tokens, *phases = columns
    steps = events[1:]
    assert drafted == [0, *(event.drafted for event in steps)]
    assert verified == [0, *(event.verified for event in steps)]
    assert tokens == [0, *(len(event.token_ids) for event in steps)]
    for step, event in enumerate(steps, start=1):
        measured = sum(column[step] for column in phases)
        assert measured == pytest.approx(event.milliseconds.total, rel=1e-2)
    assert axis == [-0.5, len(events) - 0.5]
    assert line.startswith(f"Step 1: {steps[0].drafted} drafted, {steps[0].verified} verified")
    assert places == [0, 0, len(events) // 2, len(events) - 1, len(events) - 1]
    assert back == list(range(len(events)))


def test_a_pointer_finds_the_node_it_means() -> None:
    """A marker is a few pixels wide; its label and its surroundings mean it too."""
    script = """
      const points = [{ x: 20, y: 20 }, { x: 120, y: 20 }, { x: 120, y: 40 }];
      const at = (x, y) => nodeNear(points, ["abc", "token", "x"], x, y, false) ?? null;
      return [at(22, 22), at(150, 22), at(118, 38), at(80, 20), at(300, 300)];"""
    assert run(script) == [0, 1, 2, None, None]


def test_every_mark_of_the_tree_has_an_outline() -> None:
    """A symbol that the drawing does not know would show as a circle, and say something else."""
    script = """
      const looks = Object.values(F.LOOKS).map((look) => look.symbol);
      const all = [...looks, ...Object.values(F.CORNERS)];
      return all.map((symbol) => [symbol.replace("-open", ""), S.outline(symbol, 10)]);"""
    drawn = run(script)
    by_shape = dict(drawn)
    assert set(by_shape) == {"diamond", "circle", "x", "square"}
    assert len(set(by_shape.values())) == 4
    assert ("A" in by_shape["circle"]) and not any("NaN" in path for path in by_shape.values())


def test_labels_survive_plotlys_markup_and_back() -> None:
    texts = ["<b>", "a & b", "&lt;", "&amp;lt;", "${1+1}"]
    assert run("return texts.map((t) => F.plainText(F.plotlyText(t)));", texts=texts) == texts


def test_a_live_run_says_how_long_it_may_still_take() -> None:
    script = """
      const header = { config: { max_new_tokens: 96 } };
      const event = { kind: "prefill", token_ids: [1, 2, 3, 4], elapsed_s: 2 };
      const run = { live: true, state: "running", header, events: [event] };
      const waits = { queued: { since: 1000 }, now: 4100 };
      return [W.statusLine({ run }, words), W.statusLine(waits, words)];"""
    assert run(script) == [
        "Live: 4 of 96 tokens in 2.0 s, at most 46 s to go",
        "Waiting for its turn (3 s)",
    ]


def test_a_screen_reader_is_told_the_step() -> None:
    assert run("return W.summary(event, 9, words);", event=MIXED) == (
        "Step 3 of 9. 4 drafted, 2 pruned after layer 4, 2 verified, 1 accepted + 1 bonus. "
        "Guessed: 1 by heads, 2 by the text, 1 by both. Added: <b>␣c"
    )


MIXED = {**SMALL, "nodes": {**SMALL["nodes"], "source": "hhtbt"}}


def test_a_step_tells_who_guessed() -> None:
    script = """return [W.guesses(event, words),
      W.nodesOf(event).map((_, i) => W.guessedBy(event, i, words)), W.facts(event, 2, words)[1]];"""
    line, sentences, rank = run(script, event=MIXED)
    assert line == "Guessed: 1 by heads, 2 by the text, 1 by both."
    assert sentences == [
        "",
        "Guessed by draft head 1.",
        "Guessed by the text: this followed the same words earlier.",
        "Guessed by draft head 2, and by the text: this followed the same words earlier.",
        "Guessed by the text: this followed the same words earlier.",
        "",
    ]
    assert rank == ["rank among the guesses here", 2]


def test_a_run_of_heads_alone_looks_as_it_did() -> None:
    script = """return [W.guessedBy(event, 2, words), W.facts(event, 2, words)[1],
      W.tableColumns(event, words), draw(event).data.some((trace) => trace.uid === "corners")];"""
    sentence, place, columns, corners = run(script, event=SMALL)
    assert (sentence, place, corners) == ("", ["head, rank", "head 1, rank 2"], False)
    assert columns == WATCH["table_columns"]


@pytest.mark.parametrize("event", [SMALL, MIXED], ids=["heads", "mixed"])
def test_the_table_has_a_heading_for_every_cell(event: dict[str, Any]) -> None:
    """And the bonus, which nobody guessed, has no head and no rank."""
    script = "return [W.tableColumns(event, words), ...W.tableRows(event, words)];"
    columns, *rows = run(script, event=event)
    assert {len(row) for row in rows} == {len(columns)}
    told = [dict(zip(columns, row, strict=True)) for row in rows]
    guesser = "head" if event is SMALL else "guessed by"
    shown = [row[guesser] for row in told]
    assert shown[1:] == (
        ["1", "1", "2", "3", ""]
        if event is SMALL
        else ["head 1", "text", "head 2, text", "text", ""]
    )
    assert told[-1]["rank"] == ""


def test_what_the_text_guessed_has_a_mark_of_its_own_shape() -> None:
    """In every phase, beside the mark of the fate, full or hollow: no colour is needed."""
    script = """return P.PHASES.map((phase) => {
      const { data, points } = draw(event, { phase });
      const corners = data.find((trace) => trace.uid === "corners");
      const left = corners.x.map((x, k) => x < points[k + 2].x);
      return [corners.marker.symbol, left, data[data.length - 1].uid];
    });"""
    told = [["square", "square-open", "square"], [True, True, True], "nodes"]
    assert run(script, event=MIXED) == [told] * 6


def test_a_deep_step_shows_its_words_whole() -> None:
    """Twelve levels: no label meets its neighbour, and none is cut but among many on a phone."""
    chain = [-1, *range(12)]  # and two more guesses at its first four places
    parents = [*chain, *(place for place in range(4) for _ in range(2))]
    depths = [0]
    for parent in parents[1:]:
        depths.append(depths[parent] + 1)
    nodes = {
        "fate": "r" + "a" * 12 + "x" * 8,
        "parent": parents,
        "depth": depths,
        "value": [0.9**depth for depth in depths[:13]] + [0.01] * 8,
        "text": [" council"] * 13 + [" new"] * 8,
    }
    event = {"nodes": nodes, "accepted": [], "token_ids": []}
    script = """
      const { data, points, layout } = draw(event, { width, vertical: width < 560 });
      return [points, data[data.length - 1].text, layout.width];"""
    for width in (810, 300):
        points, labels, wide = run(script, event=event, width=width)
        bushy = range(1, 5) if width < 560 else ()
        whole = ["␣council"] * 13 + ["␣new"] * 8
        assert all(labels[i] == whole[i] for i in range(21) if i not in bushy)
        before, after = (3.65, 3.65) if width < 560 else (0, 7.3)  # below the node or behind it
        ends = sorted(
            (point["y"], point["x"] - before * len(label), point["x"] + after * len(label))
            for point, label in zip(points, labels, strict=True)
        )
        assert min(start for _, start, _ in ends) >= 0 and max(end for *_, end in ends) <= wide
        for (line, _, end), (other, start, _) in itertools.pairwise(ends):
            assert line != other or end <= start


def test_a_run_without_a_trained_early_head_says_so() -> None:
    script = """return [{early: "logit lens"}, {early: "trained"}, undefined].map((heads) =>
      W.statusLine({ run: { live: true, state: "done", header: { heads } } }, words));"""
    done = "Live run, finished"
    lens = f"{done}. Early pruning looks through the model's own LM head (logit lens)."
    assert run(script) == [lens, done, done]
