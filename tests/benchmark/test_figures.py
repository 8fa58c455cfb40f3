"""Totals, ratios and spreads of hand-made groups; the files that tell them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

import propd
from propd.benchmark.figures import Total, by_category, figures_of, totals
from propd.benchmark.plots import pictures, write_plots
from propd.benchmark.results import Results, read_results, write_results
from propd.benchmark.table import bandwidth_share, page, table
from propd.core import Milliseconds, SizeDecision, StepEvent
from tests.benchmark.benches import group, two_groups

ABOUT = {"model": "tiny", "dtype": "float32", "machine": "<none>"}


def test_a_ratio_is_one_of_totals() -> None:
    """Group by group it is 2 and 0.75, of totals (40 / 4.5) / (20 / 2): long texts weigh more."""
    plain, method = totals(two_groups())
    assert (plain.name, plain.ratio, plain.ratio_low, plain.ratio_high) == (
        "autoregressive", 1, 1, 1,
    )  # fmt: skip
    assert method.tokens_per_second == pytest.approx(40 / 4.5)
    assert method.ratio == pytest.approx(0.8889)
    assert (method.ratio_low, method.ratio_high) == pytest.approx((0.875, 1.875))
    assert (method.prompts, method.identical, method.groups) == (2, 1, 2)


def test_decoding_is_told_apart_from_the_first_tokens() -> None:
    _, method = totals(two_groups())
    assert method.decode_tokens_per_second == pytest.approx(38 / 4.1)
    assert method.first_ms == pytest.approx(200)
    assert method.tokens_per_pass == pytest.approx(18 / 10)


def test_who_cannot_tell_the_first_token_is_not_guessed_at() -> None:
    groups = [*two_groups(), group("peer", 0, 10, 2.0), group("peer", 1, 10, 2.0, first_seconds=1)]
    peer = totals(groups)[-1]
    assert peer.ratio == pytest.approx(0.5)
    assert peer.decode_tokens_per_second is peer.first_ms is peer.tokens_per_pass is None


def test_each_group_is_compared_with_its_own_repeat() -> None:
    slow = [replace(g, repeat=1, seconds=10 * g.seconds) for g in two_groups()]
    both = totals([*two_groups(), *slow])[1]
    assert (both.ratio_low, both.ratio_high) == pytest.approx((0.75, 2.0))


def test_batch_sizes_and_categories_have_their_own_ratios() -> None:
    wide = [replace(g, batch=4, seconds=g.seconds / 2) for g in two_groups()]
    found = totals([*two_groups(), *wide])
    assert [(t.batch, t.name) for t in found] == [
        (1, "autoregressive"), (1, "propd"), (4, "autoregressive"), (4, "propd"),
    ]  # fmt: skip
    assert found[3].ratio == found[1].ratio
    ratios = {name: told[1].ratio for name, told in by_category(two_groups()).items()}
    assert ratios == {"easy": 2.0, "hard": 0.75}


def step(row: int, rows: int, tokens: int, kind: str = "decode") -> StepEvent:
    decision = SizeDecision((0, 4), (2.0, 3.0), (10.0, 12.0), 4, "best")
    return StepEvent(
        index=1, kind=kind, nodes=(None,) * 3, bonus=None, accepted=(),  # type: ignore[arg-type]
        token_ids=(1,) * tokens, decision=decision, milliseconds=Milliseconds(early=6.0, late=8.0),
        past_length=3, elapsed_s=0.1, row=row, rows=rows,
    )  # fmt: skip


def test_the_time_of_a_step_counts_once_for_all_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StepEvent, "pruned", property(lambda event: 0))
    events = [step(0, 1, 1, "prefill"), step(0, 2, 1), step(1, 2, 4), step(0, 1, 2)]
    told = figures_of(events)
    assert (told["steps"], told["passes"], told["decoded_tokens"]) == (3, 2, 7)
    assert sum(told["phases"]) == 28
    assert told["sizes"] == ((4, 2, 6, 7, 24, 28),)


def test_a_fixed_tree_promises_nothing() -> None:
    event = replace(step(0, 1, 1), decision=SizeDecision((4,), (), (), 4, "fixed"), nodes=())
    assert figures_of([event])["sizes"] == ()


def test_results_survive_their_file(tmp_path: Path) -> None:
    results = Results.of({**ABOUT, "peers": {}}, two_groups())
    path = tmp_path / "results.json"
    write_results(path, results)
    assert read_results(path) == results
    assert json.loads(path.read_text())["format"] == "propd-bench/1"
    assert len(path.read_text().splitlines()) < 40  # a line each, not one for every number


def test_the_table_leaves_out_what_nobody_can_tell() -> None:
    old = table([Total("autoregressive", 1, 2, 2, 10, 1.0, 1.0, steps=8, decoded_tokens=8)])
    names = "method", "tokens/s", "x plain", "tokens per pass", "drafted/step", "verified/step"
    assert old.splitlines()[0] == f"| {' | '.join(names)} | same text |"
    assert old.splitlines()[2] == "| autoregressive | 10.0 | 1.00 | 1.00 | 0.0 | 0.0 | 2/2 |"


def test_the_page_tells_spread_categories_and_what_was_skipped() -> None:
    about = {
        **ABOUT, "skipped": ["llama.cpp: no file"], "peers": {"other": "other 1"},
        "peak_bytes": 2 * 10**9, "cache_bytes": {"1": 5 * 10**6},
    }  # fmt: skip
    text = page(Results.of(about, two_groups()))
    assert "| propd | 8.9 | 0.89 | 0.88 to 1.88 | 9.3 | 200 | 1.80 |" in text
    assert "| method | batch | easy | hard |" in text and "| propd | 1 | 2.00 | 0.75 |" in text
    assert "Skipped: llama.cpp: no file." in text
    assert "Peak memory: 2.00 GB, weights of the peers included" in text
    assert "5.0 MB at batch 1" in text and "other: other 1." in text


def test_plain_decoding_is_measured_against_the_memory() -> None:
    """1 MB a token at 10 MB/s is 0.1 s; 9 tokens after the first in 1.8 s are 0.2 s each: half."""
    plain = Total("autoregressive", 1, 1, 1, 10, 2.0, 1.0, first_seconds=0.2, groups=1)
    about = {**ABOUT, "pass_bytes": 10**6, "bandwidth": 10**7}
    results = Results(about, (plain,), {}, ())
    assert bandwidth_share(results) == pytest.approx(0.5)
    assert "reads 1 MB of weights a token; at the 0.0 GB/s" in page(results)
    assert "that is 50% of its time" in page(results)
    assert bandwidth_share(replace(results, about=ABOUT)) is None


def test_the_pictures_need_no_other_place(tmp_path: Path) -> None:
    results = Results.of(ABOUT, two_groups())
    write_plots(tmp_path / "plots.html", results)
    text = (tmp_path / "plots.html").read_text(encoding="utf-8")
    assert not re.findall(r"<(?:script|img|link|iframe)[^>]*\s(?:src|href)=", text)
    assert text.count("<h2>") == 4
    assert "&lt;none&gt;" in text


def test_pictures_show_the_figures() -> None:
    speed, where, trade, promise = (
        figure for _, _, figure in pictures(Results.of(ABOUT, two_groups()))
    )
    assert [(bar.name, list(bar.y)) for bar in speed.data] == [
        ("autoregressive", [1.0]), ("propd", [0.8889]),
    ]  # fmt: skip
    assert [bar.y[0] for bar in where.data] == [2 * place / 10 for place in range(7)]
    assert list(where.data[0].x[1]) == ["propd"]
    assert list(trade.data[1].x) == [1.8]
    expected, measured, *_ = promise.data
    assert (list(expected.x), list(expected.y)) == ([4, 8], [2.0, 2.5])
    assert list(measured.y) == [5 / 3, 2.0]


def test_an_unfinished_file_is_not_taken_for_results(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text('{"model": "x"')
    with pytest.raises(propd.InvalidRequest, match="holds no results"):
        read_results(path)
