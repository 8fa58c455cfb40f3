"""The benchmark: who runs when, who is compared with whom, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import propd
from propd.benchmark import run
from propd.benchmark.plan import BenchPlan
from propd.benchmark.run import WARM_UP_TOKENS, order_of, run_bench
from propd.cli import main
from propd.planning.cost_book import CostBook
from tests.benchmark.benches import Fake


@pytest.fixture(scope="module")
def engine(tiny_folder: Path) -> propd.Engine:
    return propd.load(str(tiny_folder), heads=str(tiny_folder / "heads"), dtype="float32")


def plan(*methods: str, **more: Any) -> BenchPlan:
    prompts = (("a", "abc"), ("a", "hello"), ("b", "xyzxyz"))
    known = {"peers": (), "batch_sizes": (1,), "prompts": prompts, "max_new_tokens": 10}
    return BenchPlan(methods=("autoregressive", *methods), **{**known, **more})


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8])
def test_nobody_always_meets_the_same_neighbour(count: int) -> None:
    turns = [order_of(count, turn) for turn in range(2 * count)]
    assert all(sorted(order) == list(range(count)) for order in turns)
    places = Counter((who, place) for order in turns for place, who in enumerate(order))
    assert set(places.values()) == {2}
    after = Counter(pair for order in turns for pair in pairwise(order))
    assert len(after) == count * (count - 1)
    assert set(after.values()) <= {2}


def test_groups_run_in_turn_and_warm_up_is_not_counted(
    engine: propd.Engine, tiny_folder: Path
) -> None:
    fake = Fake()
    todo = plan("bpd", peers=(fake,), batch_sizes=(2,), repeats=2)
    said: list[str] = []
    bench = run_bench(engine, todo, tiny_folder, said.append)
    assert fake.asked == [(2, WARM_UP_TOKENS), (1, WARM_UP_TOKENS), *[(2, 10), (1, 10)] * 2]
    assert len(bench.groups) == 3 * 2 * 2
    turns = [(repeat, number) for repeat in range(2) for number in range(2)]
    for turn, (repeat, number) in enumerate(turns):
        here = [g for g in bench.groups if (g.repeat, g.number) == (repeat, number)]
        assert [here[who].place for who in order_of(3, turn)] == [0, 1, 2]
    assert [g.category for g in bench.groups[::3]] == ["a", "b"] * 2
    assert bench.peers == {"fake": f"fake 1, {engine.threads} threads"}
    assert said[-1] == "batch 2: group 4/4"


def test_a_group_of_several_categories_is_mixed(engine: propd.Engine, tiny_folder: Path) -> None:
    bench = run_bench(engine, plan(batch_sizes=(3,)), tiny_folder, lambda _: None)
    assert [g.category for g in bench.groups] == ["mixed"]


def test_no_costs_are_measured_inside_the_time(
    engine: propd.Engine, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last group is smaller, and its costs took two seconds of its method's time."""
    sweeps: list[int] = []
    honest, timed = CostBook._sweep, run._timed

    def sweep(self: CostBook, rows: int) -> propd.CostTable:
        sweeps.append(rows)
        return honest(self, rows)

    def time(*arguments: Any) -> Any:
        before = list(sweeps)
        answer = timed(*arguments)
        assert sweeps == before
        return answer

    monkeypatch.setattr(CostBook, "_sweep", sweep)
    monkeypatch.setattr(run, "_timed", time)
    fresh = engine.with_heads(engine.heads)  # type: ignore[arg-type]
    run_bench(fresh, plan("propd", batch_sizes=(2,)), tiny_folder, lambda _: None)
    assert sorted(sweeps) == [1, 2]


def test_texts_are_compared_with_plain_decoding(engine: propd.Engine, tiny_folder: Path) -> None:
    bench = run_bench(engine, plan("bpd", peers=(Fake(),)), tiny_folder, lambda _: None)
    identical = Counter[str]()
    for group in bench.groups:
        identical[group.name] += group.identical
    assert identical == {"autoregressive": 3, "bpd": 3, "fake": 0}


def test_who_cannot_run_is_named_with_the_reason(engine: propd.Engine, tiny_folder: Path) -> None:
    peers = (Fake("gone", reason="it is not installed"), Fake("alone", most_rows=1))
    todo = plan(peers=peers, batch_sizes=(1, 2, 8))
    bench = run_bench(engine, todo, tiny_folder, lambda _: None)
    assert bench.skipped == [
        "gone: it is not installed",
        "alone, batch 2: it answers 1 at once",
        "batch 8: there are 3 prompts",
    ]
    assert {(g.name, g.batch) for g in bench.groups} == {
        ("autoregressive", 1), ("alone", 1), ("autoregressive", 2),
    }  # fmt: skip


def test_memory_is_told(engine: propd.Engine, tiny_folder: Path) -> None:
    bench = run_bench(engine, plan(batch_sizes=(1, 2)), tiny_folder, lambda _: None)
    assert set(bench.cache_bytes) == {1, 2}
    assert bench.cache_bytes[1] < bench.cache_bytes[2] <= 2 * bench.cache_bytes[1]
    assert bench.peak_bytes > 10**7
    assert 10**8 < bench.bandwidth < 10**13
    shape = engine.backbone
    layer = 32 * 32 * 2 + 2 * 16 * 32 + 3 * 32 * 48  # q and o, k and v, gate, up and down
    assert shape.pass_bytes == 4 * (shape.layer_count * layer + shape.vocabulary_size * 32)


def arguments(tiny_folder: Path, *more: str) -> list[str]:
    model = ["--model", str(tiny_folder), "--heads", str(tiny_folder / "heads")]
    return ["bench", *model, "--dtype", "float32", "--max-new-tokens", "10", *more]


def test_a_real_run_writes_its_files(
    tiny_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.argv", ["propd", "bench", "--limit", "3"])  # as it was called
    prompts = tmp_path / "prompts.jsonl"
    told = [("maths", "1 + 1"), ("maths", "2 + 2"), ("words", "abcabc")]
    lines = [json.dumps({"category": name, "turns": [text]}) for name, text in told]
    prompts.write_text("\n".join(lines))
    methods = ("--methods", ",".join(propd.METHODS), "--peers", "transformers,llama.cpp")
    more = ("--batch-sizes", "1,2", "--repeats", "2", "--prompts", str(prompts))
    out = tmp_path / "new" / "out"
    assert main(arguments(tiny_folder, *methods, *more, "--out", str(out))) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "plots.html", "results.json", "table.md",
    ]  # fmt: skip
    printed = capsys.readouterr().out
    assert printed == (out / "table.md").read_text()
    body = json.loads((out / "results.json").read_text())
    assert len(body["results"]) == 2 * (len(propd.METHODS) + 1)
    assert all(row["identical"] == row["prompts"] == 6 for row in body["results"])
    assert {row["category"] for row in body["categories"]} == {"maths", "words"}
    assert body["skipped"] == ["llama.cpp: no GGUF file was given (--gguf FILE)"]
    assert body["repeats"] == 2 and body["dtype"] == "float32"
    assert body["command"] == "bench --limit 3"


def test_a_stopped_run_keeps_what_was_finished(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hours of a long benchmark were lost with its last minute."""
    calls, timed = [0], run._timed

    def time(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == 6:
            raise KeyboardInterrupt
        return timed(*arguments)

    monkeypatch.setattr(run, "_timed", time)
    more = ("--methods", "bpd", "--limit", "4", "--out", str(tmp_path))
    assert main(arguments(tiny_folder, *more)) == 130
    body = json.loads((tmp_path / "results.json").read_text())
    assert [row["prompts"] for row in body["results"]] == [2, 2]
    assert body["skipped"] == ["the rest: the run was stopped"]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (("--methods", "bpd,magic"), "There is no method 'magic'"),
        (("--peers", "vllm"), "There is no peer 'vllm'"),
        (("--batch-sizes", "1,x"), "is no list of whole numbers"),
        (("--batch-sizes", "33"), "must be between 1 and 32"),
        (("--batch-sizes", "0"), "must be between 1 and 32"),
        (("--batch-sizes", "4", "--limit", "3"), "there are 3 prompts"),
        (("--repeats", "0"), "must be at least 1"),
        (("--max-new-tokens", "0"), "must be at least 1"),
        (("--prompts", "no-such-file"), "holds no prompts"),
        (("--peers", "transformers-assisted", "--assistant", "no-such"), "Unknown model"),
        (("--assistant", "tiny"), "for the peer transformers-assisted"),
        (("--gguf", "tiny.gguf"), "for the peer llama.cpp"),
        (("--out", __file__), "is a file"),
    ],
)
def test_mistakes_are_told_before_the_model_is_loaded(
    wrong: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "--model", "no-such-model", *wrong]) == 2
    said = capsys.readouterr().err
    assert sentence in said and "no-such-model" not in said
    assert said.count("\n") == 1
