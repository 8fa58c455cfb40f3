"""The report of a GPU: stages that fail, go on and are checked; the whole command on a CPU."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from propd.benchmark import run as bench_run
from propd.benchmark.run import run_bench
from propd.cli import main
from propd.errors import InvalidRequest, InvalidTrace
from propd.report.checks import checked_report, read_report
from propd.report.page import page_of
from propd.report.paper import TABLES, paper_table
from propd.report.stages import Run, Stage


@pytest.fixture(scope="module")
def smoke(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    assert main(arguments(tiny_folder, out)) == 0
    return out


def arguments(folder: Path, out: Path) -> list[str]:
    model = ["--model", str(folder), "--heads", str(folder / "heads"), "--dtype", "float32"]
    return ["doctor", "--smoke", "--out", str(out), *model]


def body_of(out: Path) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((out / "report.json").read_text())
    return body


def test_the_whole_command_runs_on_a_cpu_and_its_report_is_checked(smoke: Path) -> None:
    about, outcomes = read_report(smoke / "report.json")
    assert about["smoke"]
    assert [outcome.state for outcome in outcomes] == ["done"] * 7
    found = {outcome.name: outcome.found for outcome in outcomes}
    assert found["layers in float32"]["agrees"]
    assert found["parity in float32"]["different"] == 0
    page = (smoke / "report.html").read_text()
    assert len(page.encode()) < 1_000_000
    assert "http" not in page and "<script" not in page
    for word in ("Speed-up over AR", "Medusa", "ablation: dynamic tree only", "B = 2", "smoke run"):
        assert word in page


def test_it_goes_on_where_it_stopped(
    smoke: Path, tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (smoke / "report.json").read_text()
    path = smoke / "report.json"
    body = body_of(smoke)
    body["stages"] = body["stages"][:5]
    path.write_text(json.dumps(body))
    try:
        assert main(arguments(tiny_folder, smoke)) == 0
    finally:
        kept = body_of(smoke)
        path.write_text(before)
    assert capsys.readouterr().err.count("kept from before") == 5
    assert kept["stages"][:5] == body["stages"]
    assert len(kept["stages"]) == 7


def test_without_a_gpu_the_smoke_run_is_offered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["doctor", "--gpu"]) == 2
    assert "PyTorch sees no GPU here" in capsys.readouterr().err


def stage(name: str, answer: Callable[..., Any]) -> Stage:
    return Stage(name, 1, answer)


def broken(tell: object) -> dict[str, Any]:
    raise torch.OutOfMemoryError("CUDA out of memory.\nmore")


def test_a_stage_that_fails_takes_none_with_it(tmp_path: Path) -> None:
    path, told = tmp_path / "report.json", list[str]()
    stages = [stage("a", lambda tell: {"x": 1}), stage("b", broken), stage("c", lambda tell: {})]
    outcomes = Run(path, {}, "key", told.append).all(stages)
    assert [outcome.state for outcome in outcomes] == ["done", "failed", "done"]
    assert outcomes[1].why == "OutOfMemoryError: CUDA out of memory."
    again = Run(path, {}, "key", told.append).all(
        [stage("a", broken), stage("b", lambda tell: {"y": 2}), stage("c", broken)]
    )
    assert [outcome.found for outcome in again] == [{"x": 1}, {"y": 2}, {}]
    with pytest.raises(InvalidRequest, match="report of another run"):
        Run(path, {}, "other", told.append)


def test_a_stopped_run_does_not_lose_later_stages_of_an_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    Run(path, {}, "k", print).all([stage("a", broken), stage("b", lambda tell: {"x": 1})])

    def stop(name: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Run(path, {}, "k", print).all([stage("a", lambda t: {}), stage("b", broken)], stop)
    assert [told["found"] for told in body_of(tmp_path)["stages"]] == [{}, {"x": 1}]


DOCTORED: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda b: b.update(format="propd-gpu/9"), "its format must be"),
    (lambda b: b["stages"][0].update(state="great"), "be one of done, failed"),
    (lambda b: b["stages"][0].update(name="x" * 81), "text of at most 80"),
    (lambda b: b["stages"][1]["found"].update(agrees="yes"), "be true or false"),
    (lambda b: b["stages"][2]["found"].update(different=1e99), "be a whole number"),
    (lambda b: b["stages"][4]["found"].update(groups=[[1]]), "entries, one for each"),
    (lambda b: b["stages"][5].update(name="<script>"), "a stage that this version knows"),
]


@pytest.mark.parametrize(("change", "complaint"), DOCTORED)
def test_a_doctored_report_is_refused(
    smoke: Path, change: Callable[[dict[str, Any]], Any], complaint: str
) -> None:
    body = copy.deepcopy(body_of(smoke))
    change(body)
    with pytest.raises(InvalidTrace, match=complaint):
        checked_report(body)


def test_no_string_of_a_report_becomes_markup(smoke: Path) -> None:
    body = body_of(smoke)
    evil = "<img src=x onerror=alert(1)>"
    body["model"] = body["command"] = body["recorded"] = evil
    machine = body["stages"][0]["found"]
    machine["smi"], machine["cpu"], machine["versions"] = [evil], evil, {evil: evil}
    body["stages"][1] = {"name": evil, "state": "failed", "seconds": 1, "why": evil}
    body["stages"][4]["found"]["about"]["skipped"] = [evil]
    page = page_of(*checked_report(body))
    assert page.count("&lt;img") >= 8 and "<img" not in page


def test_the_paper_s_layout_leaves_empty_what_did_not_run() -> None:
    from propd.benchmark.figures import totals
    from tests.benchmark.benches import two_groups

    (_title, ratio, digits), *_ = TABLES
    groups = two_groups()
    assert paper_table(totals(groups), ratio, digits) == [
        ["method", "B = 1"], ["AR", "1.00"], ["ProPD, ours", f"{(40 / 4.5) / (20 / 2):.2f}"],
    ]  # fmt: skip


def test_a_method_without_memory_is_left_out_and_told(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of memory in one method ended the whole benchmark."""
    import propd
    from propd.benchmark.plan import BenchPlan

    honest = bench_run.Method.answer

    def answer(self: Any, prompts: Any, tokens: int) -> Any:
        if self.name == "medusa" and len(prompts) == 2:
            raise torch.OutOfMemoryError("no")
        return honest(self, prompts, tokens)

    monkeypatch.setattr(bench_run.Method, "answer", answer)
    engine = propd.load(str(tiny_folder), heads=str(tiny_folder / "heads"), dtype="float32")
    plan = BenchPlan(("autoregressive", "medusa"), (), (1, 2), (("a", "x"), ("a", "yz")), 4)
    found = run_bench(engine, plan, tiny_folder, lambda line: None)
    ran = {(group.name, group.batch) for group in found.groups}
    assert ran == {("autoregressive", 1), ("medusa", 1), ("autoregressive", 2)}
    assert found.skipped == ["medusa, batch 2: out of memory"]
