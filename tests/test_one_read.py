"""The loop for a GPU, run on the CPU: one read a step, and the text is that of plain decoding."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from propd import host
from propd.core import Milliseconds, StepEvent
from propd.decoding import DecodingSession
from propd.graphs import Graphs
from propd.methods import METHODS
from propd.models import placement
from propd.one_read import OneReadSession
from propd.planning.planner import size_of
from propd.tree import sampling
from propd.tree.sampling import Chooser
from propd.tree.topology import ROOT_ONLY
from tests.harness import (
    PRUNING_METHODS,
    RandomTrees,
    Rule,
    at_random,
    join,
    keep_all,
    leave_finished,
    only_roots,
    open_session,
    plain_texts,
    random_prompt,
    run,
    small_world,
    texts,
)

PROMPTS = [random_prompt(random.Random(seed), small_world()) for seed in range(5)]
SAMPLED: dict[str, Any] = {"temperature": 0.9, "top_k": 8, "top_p": 0.9, "min_p": 0.02}
LAWS: dict[str, dict[str, Any]] = {"greedy": {}, "sampled": SAMPLED}


def one_read(method: str, **settings: Any) -> OneReadSession:
    session = open_session(small_world(), method, kind=OneReadSession, **settings)
    assert isinstance(session, OneReadSession)
    return session


# The text.


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_writes_the_plain_text(method: str, rows: int, law: str) -> None:
    """Masks of padded shapes, slots that stay, the walk: any slip changes the text."""
    settings = {"max_new_tokens": 16, "seed": 3, **LAWS[law]}
    plain = plain_texts(small_world(), PROMPTS, **settings)
    assert texts(run(one_read(method, rows=rows, **settings), PROMPTS)) == plain


@pytest.mark.parametrize("rule", [keep_all, only_roots, at_random(), at_random(1, 0.9)])
@pytest.mark.parametrize("share", [0.05, 1.0])
def test_any_pruning_leaves_the_text_alone(rule: Rule, share: float) -> None:
    """Adversarial pruners and any trees; too little room sends living nodes away, too."""
    plain = plain_texts(small_world(), PROMPTS, max_new_tokens=16)
    for rows in (1, 4):
        session = one_read(
            "propd-static", rows=rows, pruner=rule, planner=RandomTrees(), max_new_tokens=16
        )
        session._expected = lambda drafted: round(share * drafted)  # type: ignore[method-assign]
        told = run(session, PROMPTS)
        assert texts(told) == plain
        for event in (event for events in told for event in events[1:]):
            assert event.verified <= event.drafted
            assert rule is not only_roots or event.verified == 0


# Events.


NUMBERS = ("value", "draft_probability", "early_probability", "final_probability")


def bare(event: StepEvent) -> StepEvent:
    """An event without times, estimates and probabilities, which agree only nearly."""
    nothing = dict.fromkeys(NUMBERS)
    nodes = tuple(replace(node, **nothing) for node in event.nodes)  # type: ignore[arg-type]
    decision = replace(event.decision, expected_lengths=(), estimated_ms=(), acceptance_table=())
    times = {"milliseconds": Milliseconds(), "elapsed_s": 0.0}
    return replace(event, nodes=nodes, decision=decision, **times)  # type: ignore[arg-type]


def numbers(events: list[StepEvent]) -> list[float]:
    found = [getattr(n, name) for event in events for n in event.nodes for name in NUMBERS]
    return [-1.0 if number is None else number for number in found]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("rule", ["topk", "threshold", "budget"])
@pytest.mark.parametrize("method", ["propd", "propd-paper", "propd-static", "medusa", "bpd"])
def test_events_tell_what_those_of_the_other_loop_tell(method: str, rule: str, law: str) -> None:
    """With room for every survivor both loops do the same; a picture must not see which ran."""
    settings: dict[str, Any] = {
        "max_new_tokens": 24, "rows": 3, "record_probabilities": True, "prune_rule": rule,
        "prune_threshold": 0.08, **LAWS[law],
    }  # fmt: skip
    if rule == "budget" and method == "propd-paper":
        pytest.skip("a line cannot tell what pruning saves")
    ours = one_read(method, **settings)
    ours._expected = lambda drafted: drafted  # type: ignore[method-assign]
    other = open_session(small_world(), method, **settings)
    expected, told = run(other, PROMPTS), run(ours, PROMPTS)
    for mine, theirs in zip(told, expected, strict=True):
        assert list(map(bare, mine)) == list(map(bare, theirs))
        assert numbers(mine) == pytest.approx(numbers(theirs), abs=1e-3)
    if method in PRUNING_METHODS:
        fates = {node.fate for events in expected for e in events for node in e.nodes}
        assert "pruned" in fates


# The door.


WAITS = {
    "tolist", "item", "cpu", "numpy", "__bool__", "__int__", "__float__", "__index__", "nonzero",
    "masked_select", "unique", "equal", "allclose", "is_nonzero", "__contains__", "__array__",
}  # fmt: skip
SENDS = {"tensor", "as_tensor", "from_numpy", "asarray"}


class Guard(TorchFunctionMode):
    """Stands between Python and tensors: who reads or sends beside the door is caught."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.reads = 0, 0
        self.caught: list[str] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = getattr(func, "__name__", str(func))
        if not self.open and (name in WAITS | SENDS or (name == "__getitem__" and _waits(args[1]))):
            self.caught.append(name)
        return func(*args, **(kwargs or {}))


def _waits(index: Any) -> bool:
    """Whether an index holds a list, which is sent, or a truth for each place, which is counted."""
    parts = index if isinstance(index, tuple) else (index,)
    return any(
        isinstance(part, list) or (isinstance(part, torch.Tensor) and part.dtype is torch.bool)
        for part in parts
    )


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch) -> Guard:
    """A guard that counts what goes through the door; a host's own random numbers may pass."""
    here = Guard()

    def passing(function: Callable[..., Any], read: bool) -> Callable[..., Any]:
        def passes(*given: Any) -> Any:
            here.open += 1
            here.reads += read
            try:
                return function(*given)
            finally:
                here.open -= 1

        return passes

    for name, function in (("read", host.read), ("send", host.send)):
        for module in _modules():
            if getattr(module, name, None) is function:
                monkeypatch.setattr(module, name, passing(function, name == "read"))
    monkeypatch.setattr(Chooser, "_new_number", passing(Chooser._new_number, False))
    # the host's own work on what it then sends
    monkeypatch.setattr(placement, "_mask", passing(placement._mask, False))
    # for a CPU only
    monkeypatch.setattr(sampling, "_worth_sorting", passing(sampling._worth_sorting, False))
    return here


def _modules() -> list[Any]:
    return [module for name, module in list(sys.modules.items()) if name.startswith("propd.")]


def roots_only(outlook: Any) -> Any:
    """What a planner must plan that wanted no drafts."""
    trees = [ROOT_ONLY] * outlook.rows
    return trees, size_of(trees)


def reads_a_step(session: DecodingSession, guard: Guard, rows: int) -> list[int]:
    """Decode with the guard on; reads of the prefills, and of each step."""
    counts = []
    with guard:
        for number in range(rows):
            guard.reads = 0
            join(session, number, PROMPTS[number])
            counts.append(guard.reads)
        while session.rows:
            guard.reads = 0
            session.step()
            counts.append(guard.reads)
            leave_finished(session)
    assert guard.caught == []
    return counts


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("method", METHODS)
def test_the_host_reads_once_a_step(method: str, rows: int, law: str, guard: Guard) -> None:
    """Each further read lets the device wait for Python once more."""
    session = one_read(method, rows=rows, max_new_tokens=16, **LAWS[law])
    counts = reads_a_step(session, guard, rows)
    assert len(counts) > rows + 2
    assert set(counts) == {1}


@pytest.mark.parametrize("rows", [1, 3])
def test_a_planner_that_changes_its_mind_waits_a_step(rows: int, guard: Guard) -> None:
    """Its guesses come with the read of a plain step, and the text is the same."""
    session = one_read("medusa", rows=rows, max_new_tokens=24)
    asked, ask = [], session.planner.wants_drafts

    def every_other_pair(outlook: Any) -> bool:
        asked.append(ask(outlook))
        return asked[-1] and len(asked) % 4 < 2

    session.planner.wants_drafts = every_other_pair  # type: ignore[method-assign]
    plan = session.planner.plan
    session.planner.plan = lambda outlook, drafts: (  # type: ignore[method-assign]
        plan(outlook, drafts) if any(row.depth for row in drafts) else roots_only(outlook)
    )
    drafted = []
    for number in range(rows):
        join(session, number, PROMPTS[number])
    with guard:
        while session.rows:
            guard.reads = 0
            drafted.append([event.drafted for event in session.step()])
            assert guard.reads == 1
            leave_finished(session)
    # steps 0, 3, 4, 7, ... want drafts; of 3 and 4 only 4 has them
    assert all(drafted[0]) and not any(map(any, drafted[1:4])) and all(drafted[4])


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("method", METHODS)
def test_the_other_loop_reads_through_the_door(method: str, law: str, guard: Guard) -> None:
    """Guesses, early look, choices; sampling reads every token by itself."""
    session = open_session(small_world(), method, rows=3, max_new_tokens=20, **LAWS[law])
    counts = reads_a_step(session, guard, 3)
    if law == "greedy":
        assert max(counts) <= 3


def test_the_guard_catches_what_it_shall(guard: Guard) -> None:
    x = torch.arange(4.0)
    with guard:
        for read in (
            lambda: x.tolist(), lambda: float(x[0]), lambda: x[x > 1], lambda: x[[0, 1]],
            lambda: torch.tensor([1]), lambda: bool(x[0]), lambda: x.nonzero(),
        ):  # fmt: skip
            read()
    assert len(guard.caught) >= 7
    assert guard.reads == 0


def test_several_tensors_arrive_as_they_are() -> None:
    """Bytes of all formats go through one transfer; here without one."""
    tensors = [torch.tensor([[1, -2]]), torch.tensor([0.1], dtype=torch.float64),
               torch.tensor([True, False]), torch.tensor(3), torch.rand(2).bfloat16()]  # fmt: skip
    assert host.unpacked(host.packed(tensors), tensors) == host.read(*tensors)


# Graphs.


class Tape(TorchDispatchMode):
    """Writes down the operations of a call and repeats them, without Python: as a graph does."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, out))
        return out

    def repeat(self) -> None:
        for func, args, kwargs, out in self.calls:
            news = func(*args, **kwargs)
            pairs = zip(_flat(out), _flat(news), strict=True)
            for old, new in pairs:
                if old.data_ptr() != new.data_ptr():
                    old.copy_(new)


def _flat(out: Any) -> list[torch.Tensor]:
    parts = out if isinstance(out, (tuple, list)) else [out]
    return [part for part in parts if isinstance(part, torch.Tensor)]


@contextmanager
def recording(tapes: list[Tape]) -> Iterator[Callable[..., Any]]:
    def record(call: Callable[[], tuple[torch.Tensor, ...]]) -> Any:
        tape = Tape()
        tapes.append(tape)
        with tape:
            outputs = call()
        addresses = [x.data_ptr() for x in outputs]

        def repeat() -> None:
            tape.repeat()
            assert [x.data_ptr() for x in outputs] == addresses

        return repeat, outputs

    yield record


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("method", METHODS)
def test_repeated_passes_write_the_plain_text(method: str, rows: int, law: str) -> None:
    """A pass that read a list of the host or made a buffer anew would repeat an old step."""
    settings = {"max_new_tokens": 16, "seed": 3, **LAWS[law]}
    plain = plain_texts(small_world(), PROMPTS, **settings)
    tapes: list[Tape] = []
    with recording(tapes) as record:
        session = one_read(method, rows=rows, **settings)
        session.graphs = Graphs(record)
        assert texts(run(session, PROMPTS)) == plain
    assert len(tapes) >= 3


def test_a_pass_that_reads_the_host_is_caught() -> None:
    """The tape repeats what the host said then, not what it says now."""
    said, graphs = [1.0], None
    with recording([]) as record:
        graphs = Graphs(record)
        x = torch.ones(2)
        found = []
        for said[0] in (1.0, 2.0, 3.0):
            (y,) = graphs("key", lambda x: (x * said[0],), x)
            found.append(y.tolist())
    assert found == [[1.0, 1.0], [2.0, 2.0], [2.0, 2.0]]
