"""The page on planners, pruners and heads of one's own does what it says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import propd
from propd import InvalidRequest, ModelUnavailable, memory
from propd.core import SizeDecision, TokenTree
from propd.heads.protocol import HeadsShape
from propd.planning.drafts import RANKS, Drafts
from propd.planning.feedback import Feedback
from propd.planning.planner import FixedPlanner, Outlook, size_of
from propd.recording import write_run
from propd.trace import load
from propd.tree.growth import grow
from propd.tree.topology import ROOT_ONLY

PAGE = Path(__file__).resolve().parent.parent / "docs" / "extending.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def engine(tiny_folder: Path) -> propd.Engine:
    return propd.load(str(tiny_folder), heads=str(tiny_folder / "heads"))


def execute(block: str, engine: propd.Engine, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run a block of the page on the tiny model; the names it leaves."""
    monkeypatch.setattr(propd, "load", lambda name: engine)
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(block, str(PAGE), "exec"), names)
    return names


@pytest.mark.parametrize("block", BLOCKS, ids=re.findall(r"class (\w+)", "".join(BLOCKS)))
def test_every_example_runs_and_writes_the_plain_text(
    block: str,
    engine: propd.Engine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Examples grow stale, and one that changes the text would disprove the page."""
    names = execute(block, engine, monkeypatch)
    plain = engine.generate(names["prompt"], method="autoregressive")
    assert capsys.readouterr().out.startswith(plain.text)
    if "run" in names:
        assert names["run"].token_ids == plain.token_ids
        assert names["run"].stats.drafted > 0


def test_a_run_with_a_planner_of_ones_own_can_be_recorded(
    engine: propd.Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A trace with decisions that its reader does not accept would be lost."""
    events = execute(BLOCKS[0], engine, monkeypatch)["run"].events
    config = propd.DecodingConfig()
    write_run(tmp_path / "run.json", engine.describe(), "Why is the sky blue?", config, events)
    read = load(tmp_path / "run.json").events
    assert [event.drafted for event in read] == [event.drafted for event in events]


def test_the_page_has_an_example_of_each() -> None:
    text = "".join(BLOCKS)
    assert len(BLOCKS) == 4
    for passed in ("planner=", "pruner=", "with_heads(", ".open("):
        assert passed in text


def test_the_pruner_of_the_page_keeps_as_few_as_it_says(
    engine: propd.Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pruner that is taken and never asked leaves the text right, too."""
    run = execute(BLOCKS[1], engine, monkeypatch)["run"]
    full = [event for event in run.events if event.drafted == 63]
    assert full
    assert all(event.verified == 12 and event.prune_rule == "best-few" for event in full)


def test_the_heads_of_the_page_find_what_stands_in_the_text(
    engine: propd.Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Heads that guess the plain text itself must be right, or guesses go to the wrong depth."""
    names = execute(BLOCKS[2], engine, monkeypatch)
    plain = engine.generate("abc", max_new_tokens=60, method="autoregressive")
    known = names["LookupHeads"](
        list(plain.token_ids), engine.backbone.layer_count, engine.backbone.device
    )
    run = engine.with_heads(known).generate("abc", max_new_tokens=60, method="bpd")
    assert run.token_ids == plain.token_ids
    assert run.stats.tokens_per_pass > 1.5


def test_an_engine_with_other_heads_leaves_the_first_alone(engine: propd.Engine) -> None:
    """Costs measured with one pair of heads are not those of another."""
    before, costs = engine.heads, engine.measure_costs()
    assert before is not None

    class Same:
        shape, draft, look_early = before.shape, before.draft, before.look_early

    other = engine.with_heads(Same())
    assert engine.heads is before and isinstance(other.heads, Same)
    assert other.backbone is engine.backbone
    assert other.measure_costs() is not costs
    assert engine.measure_costs() is costs


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"prune_layers": (0,)},
            "The heads Odd do not fit the model: layer of the early head is 0",
        ),
        ({"draft_heads": 3}, "number of heads in the table is 2 and must be 3"),
        ({"acceptance_table": ((0.5,),) * 2}, "number of ranks in the table is 1 and must be 10"),
        ({"draft_heads": 0}, "number of draft heads is 0 and must be 1 to 64"),
        ({"prune_layers": ()}, "number of layers with an early head is 0"),
    ],
)
def test_heads_that_do_not_fit_are_refused(
    engine: propd.Engine, change: dict[str, Any], sentence: str
) -> None:
    """They would crash inside the loop, or worse, write tokens that do not exist."""

    class Odd:
        shape = replace(HeadsShape(2, (2,), 1, ((0.1,) * RANKS,) * 2), **change)

    with pytest.raises(ModelUnavailable, match=sentence):
        engine.with_heads(Odd())  # type: ignore[arg-type]


class Given:
    """Gives the trees it was made with, wanted or not."""

    def __init__(self, *trees: TokenTree, max_nodes: int = 8, drafts: bool = True) -> None:
        self.trees, self.max_nodes, self.drafts = list(trees), max_nodes, drafts

    def wants_drafts(self, outlook: Outlook) -> bool:
        return self.drafts

    def plan(
        self, outlook: Outlook, drafts: Sequence[Drafts]
    ) -> tuple[list[TokenTree], SizeDecision]:
        return self.trees, size_of(self.trees)

    def learn(self, feedback: Feedback) -> None:
        pass


CHAIN = grow([[0.5]] * 4, 4)


@pytest.mark.parametrize(
    ("planner", "tokens", "sentence"),
    [
        (Given(CHAIN, CHAIN), 20, "2 trees for 1 rows; give one for each row"),
        (Given(CHAIN, max_nodes=3), 20, "a tree of 4 nodes and its max_nodes is 3; raise it"),
        (Given(grow([[0.5]] * 5, 5)), 20, "a tree of depth 5 where 4 is the most"),
        (Given(CHAIN), 4, "a tree of depth 4 where 2 is the most; cut it"),
        (Given(CHAIN, drafts=False), 20, "a tree of depth 4 where 0 is the most"),
        (Given(replace(CHAIN, depths=(0, 1, 1, 2, 3))), 20, "nodes that are no tree"),
        (Given(replace(CHAIN, parents=(-1, 0, 3, 1, 2))), 20, "nodes that are no tree"),
        (Given(replace(CHAIN, ranks=(0, 0, 0))), 20, "nodes that are no tree"),
        (
            Given(replace(CHAIN, ranks=(0, 0, 0, 0, 10))),
            20,
            "a tree where nothing of rank 10 was guessed",
        ),
    ],
)
def test_a_tree_that_cannot_run_is_refused(
    engine: propd.Engine, planner: Given, tokens: int, sentence: str
) -> None:
    """It would write more than was asked for, overrun the cache, or crash without a word."""
    with pytest.raises(InvalidRequest, match=f"The planner Given gave {sentence}"):
        engine.generate(
            "abc", method="bpd", planner=planner, max_new_tokens=tokens, ignore_eos=True
        )


def test_a_tree_that_can_run_is_not_refused(engine: propd.Engine) -> None:
    plain = engine.generate("abc", method="autoregressive", max_new_tokens=20)
    for tree in (CHAIN, ROOT_ONLY, grow([[0.5, 0.4], [0.3]], 6)):
        planner = FixedPlanner(tree)
        run = engine.generate("abc", planner=planner, method="bpd", max_new_tokens=20)
        assert run.token_ids == plain.token_ids
        assert run.events[1].drafted == tree.size


def test_a_pruner_must_answer_for_every_node(engine: propd.Engine) -> None:
    class Short:
        name = "short"

        def keep(self, view: object) -> list[bool]:
            return [True]

        def learn(self, feedback: Feedback) -> None:
            pass

    with pytest.raises(InvalidRequest, match="The pruner answered for 1 nodes of 64; answer for"):
        engine.generate("abc", method="propd-static", pruner=Short())


def test_memory_is_reserved_for_the_trees_of_the_planner(
    engine: propd.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The largest tree of the method was taken, and a larger one could die in its middle."""
    free = memory.needed_bytes(engine.backbone, 1, 40 + 64, 64) * 2
    monkeypatch.setattr(memory, "available_bytes", lambda device: free)
    engine.open(max_new_tokens=20, longest_prompt=20).close()
    with pytest.raises(InvalidRequest, match="of memory"):
        engine.open(max_new_tokens=20, longest_prompt=20, planner=Given(max_nodes=500))


def test_a_planner_of_ones_own_is_not_kept_waiting_for_a_measurement(
    tiny_folder: Path,
) -> None:
    """Two seconds of measuring, for a planner that never asks."""
    engine = propd.load(str(tiny_folder), heads=str(tiny_folder / "heads"))
    engine.generate("abc", planner=FixedPlanner(CHAIN), max_new_tokens=5)
    assert engine._costs._tables == {}
    engine.generate("abc", method="propd-static", prune_rule="budget", max_new_tokens=5)
    assert list(engine._costs._tables) == [1]


def test_the_rule_budget_prunes_a_fixed_tree(engine: propd.Engine) -> None:
    """It was asked with made-up costs, by which every node came free."""
    costs = replace(engine.measure_costs(), late=((1, 1.0), (64, 500.0)))
    settings = {"prune_rule": "budget", "cost_table": costs, "max_new_tokens": 30}
    run = engine.generate("abc", method="propd-static", ignore_eos=True, **settings)
    assert run.stats.pruned > 0
