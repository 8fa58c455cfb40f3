"""The app in a real browser, on the tiny model: what a visitor sees, does, and could try."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import propd
from app.runs import EngineRoom
from propd.core import DecodingConfig
from propd.trace import Header, Trace, save
from tests.browser.engines import NASTY, SlowEngine
from tests.browser.pages import MARKS, served, watched

pytestmark = MARKS


@pytest.fixture(scope="module")
def address(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running app with one recorded run."""
    engine = propd.load(str(tiny_folder), heads=str(tiny_folder / "heads"))
    traces = tmp_path_factory.mktemp("traces")
    config = DecodingConfig(
        max_new_tokens=40,
        ignore_eos=True,
        tree_size=12,  # random heads are not worth a node; what is drawn shall have branches
        prune_when="always",
        prune_top_k=20,
        record_probabilities=True,
    )
    events = tuple(engine.stream("abc", config))
    header = Header(engine.name, "propd", NASTY, machine="2 CPU cores", recorded="2026-01-02")
    save(Trace(header, events), traces / "1-question-propd.json")
    room = EngineRoom("tiny")
    room.engine = SlowEngine(engine)
    room.done.set()
    with served(room, traces) as where:
        yield where


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The opened app; the test fails on a script error, a dialog, or a request elsewhere."""
    with watched(browser, address) as page:
        page.goto(address)
        page.wait_for_selector(".propd-tree .points path", state="attached")
        yield page


def place(page: Any) -> str:
    return str(page.locator(".propd-place").inner_text())


def generate(page: Any, prompt: str) -> None:
    page.locator("#composer textarea").fill(prompt)
    page.get_by_role("button", name="Generate").click()


def open_settings(page: Any) -> Any:
    """Unfold the further settings; a click while Gradio still wires the page up goes nowhere."""
    folded = page.locator("#more-settings")
    for _ in range(20):
        page.get_by_role("button", name="More settings").click()
        page.wait_for_timeout(1000)
        if folded.get_by_label("Tree size").first.is_visible():
            return folded
    raise AssertionError("The further settings did not open after 20 clicks.")


def wait_for_status(page: Any, words: str) -> None:
    page.locator(".propd-status", has_text=re.compile(words)).wait_for()


def test_a_recorded_run_is_there_and_can_be_stepped_through(page: Any) -> None:
    """Before any model has loaded: text, tree, caption, decision, card and legend."""
    assert "Recorded on 2 CPU cores, 2026-01-02" in page.locator(".propd-status").inner_text()
    assert page.locator(".propd-prompt").inner_text().startswith("<img src=x")
    assert "drafted" in page.locator(".propd-caption").inner_text()
    assert page.locator(".propd-why").inner_text()
    page.get_by_role("button", name="First step").click()
    page.wait_for_function("document.querySelector('.propd-place').textContent === 'Prefill'")
    page.locator(".propd-player").focus()
    for key, index in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("Home", 0)):
        page.keyboard.press(key)
        page.wait_for_function(f"propdPlayer.step === {index}")
    page.keyboard.press("End")
    page.wait_for_function("propdPlayer.step === propdPlayer.run.events.length - 1")
    last = page.locator(".propd-step").last.bounding_box()
    box = page.locator(".propd-text").bounding_box()
    assert last["y"] + last["height"] <= box["y"] + box["height"] + 1  # the text follows the step
    page.locator(".propd-step").nth(3).click()
    page.wait_for_function("propdPlayer.step === 3")


def test_a_permalink_opens_its_step_and_the_address_follows(page: Any, address: str) -> None:
    page.goto(f"{address}#watch/1-question-propd/5/draft")
    page.reload()
    page.wait_for_function("window.propdPlayer && propdPlayer.run && propdPlayer.step === 5")
    assert page.evaluate("propdPlayer.phase") == "draft"
    page.get_by_role("button", name="Next step").click()
    page.wait_for_function("location.hash === '#watch/1-question-propd/6/commit'")
    page.evaluate("location.hash = '#watch/1-question-propd/2'")
    page.wait_for_function("propdPlayer.step === 2")


def test_the_page_says_who_guessed_and_what_a_method_is(page: Any) -> None:
    """The legend names the text's mark where a run has it; the card of such a node says so."""
    mixed = "propdPlayer.run.events.findIndex((e) => (e.nodes.source || '').includes('t'))"
    page.wait_for_function(f"{mixed} > 0")  # the run may still be on its way
    step = page.evaluate(mixed)
    node = page.evaluate(f"propdPlayer.run.events[{step}].nodes.source.indexOf('t')")
    page.evaluate(f"propdPlayer.go({step}); propdPlayer.point({node})")
    page.locator(".propd-by", has_text="Guessed by the text").wait_for()
    page.locator('.propd-legend [data-source="t"]').wait_for()
    page.get_by_role("button", name="Draft").click()
    page.locator(".propd-caption", has_text="by the text").wait_for()
    page.evaluate(
        "propdPlayer.run.events.forEach((e) => { delete e.nodes.source; }); propdPlayer.render()"
    )
    page.locator('.propd-legend [data-source="t"]').wait_for(state="hidden")
    page.get_by_label("Method").click()
    page.get_by_role("option", name="Prompt lookup").click()
    page.locator("#method-about", has_text="No heads").wait_for()


def test_playback_plays_and_pauses(page: Any) -> None:
    page.get_by_role("button", name="First step").click()
    page.locator(".propd-speed").select_option("4")
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("propdPlayer.step >= 2")
    page.get_by_role("button", name="Pause").click()
    step = page.evaluate("propdPlayer.step")
    page.wait_for_timeout(900)
    assert page.evaluate("propdPlayer.step") == step


def test_the_keyboard_reaches_every_node(page: Any) -> None:
    """Hover is not for everyone: focus shows the same card."""
    page.get_by_role("button", name="Next step").click()
    page.locator('.propd-tree .points path[tabindex="0"]').focus()
    first = page.locator(".propd-card code").inner_text()
    assert first == page.evaluate("document.querySelector('.propd-card code').textContent")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("propdPlayer.pointed === 1")
    page.locator(".propd-table summary").click()
    rows = page.locator(".propd-table tbody tr")
    rows.first.wait_for()
    count = page.evaluate("propdPlayer.run.events[propdPlayer.step].nodes.fate.length")
    assert rows.count() in (count, count + 1)


def test_hover_shows_the_card_of_a_node(page: Any) -> None:
    page.locator(".propd-tree .points path").first.hover()
    page.wait_for_function("propdPlayer.pointed === 0")
    assert "root" in page.locator(".propd-card-head").inner_text()


def test_a_live_run_is_followed_left_and_joined_again(
    page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SlowEngine, "pause", 0.4)
    generate(page, NASTY)
    wait_for_status(page, "^Live")
    page.wait_for_function("propdPlayer.runs.newest && propdPlayer.runs.newest.events.length > 4")
    assert page.evaluate("propdPlayer.follow")
    page.get_by_role("button", name="Previous step").click()
    assert not page.evaluate("propdPlayer.follow")
    page.get_by_role("button", name="Jump to live").click()
    page.wait_for_function("propdPlayer.follow")
    page.get_by_role("button", name="Stop").click()
    wait_for_status(page, "stopped")
    text = page.locator(".propd-text").text_content()
    assert text and page.locator(".propd-text img, .propd-prompt img").count() == 0
    page.wait_for_timeout(500)
    assert page.locator(".propd-text").text_content() == text
    page.get_by_role("button", name="Generate").wait_for()
    assert page.get_by_role("button", name="Generate").is_enabled()


def test_a_live_run_is_whole_in_the_end(page: Any) -> None:
    """Messages may be skipped on the way; the text must not have holes."""
    generate(page, "abc")
    wait_for_status(page, "finished")
    told = "propdPlayer.runs.newest.events.map((event) => event.text).join('')"
    assert page.locator(".propd-text").text_content() == page.evaluate(told)
    tokens = page.evaluate("propdPlayer.runs.newest.events.flatMap((e) => e.token_ids).length")
    assert tokens == 96


@pytest.mark.parametrize(("prompt", "says"), [("  ", "prompt is empty"), ("x" * 100_000, "reads")])
def test_a_refused_prompt_is_a_toast_and_loses_nothing(page: Any, prompt: str, says: str) -> None:
    """Generate stayed locked after an error: Gradio skips `then` when an event fails."""
    before = page.locator(".propd-text").text_content()
    generate(page, prompt)
    page.locator(".toast-body", has_text=says).wait_for()
    assert page.locator(".propd-text").text_content() == before
    page.wait_for_selector("#go button.primary:not([disabled])")
    assert "Recorded" in page.locator(".propd-status").inner_text()


def test_a_phone_shows_one_column_and_a_tree_from_the_top(browser: Any, address: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(address)
    page.wait_for_selector(".propd-tree .points path", state="attached")
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth <= 390")
    text, tree, card = (
        page.locator(part).bounding_box()
        for part in (".propd-text", ".propd-tree-box", ".propd-card")
    )
    assert text["y"] < tree["y"] < card["y"]
    assert abs(tree["x"] - card["x"]) < 30
    page.close()


def busiest(page: Any) -> tuple[int, int]:
    """A step that pruned and rejected, and one of its rejected nodes."""
    script = """(() => {
      const step = propdPlayer.run.events.findIndex(({ index, nodes }) =>
        index > 1 && nodes.fate.includes("p") && nodes.fate.includes("x"));
      return [step, propdPlayer.run.events[step].nodes.fate.indexOf("x")];
    })()"""
    page.wait_for_function("window.propdPlayer && propdPlayer.run")
    step, node = page.evaluate(script)
    page.evaluate(f"propdPlayer.go({step})")
    return step, node


def test_the_phases_of_a_step_are_told_in_their_order(page: Any) -> None:
    step, _node = busiest(page)
    page.evaluate(f"propdPlayer.go({step}, 'draft')")
    page.locator(".propd-player").focus()
    told = []
    for name in ("Draft", "Grow", "Early prune", "Verify", "Accept", "Commit"):
        page.locator('.propd-phases [aria-pressed="true"]', has_text=name).wait_for()
        told.append(page.locator(".propd-caption").inner_text())
        page.keyboard.press("Shift+ArrowRight")
    for words, line in zip(
        ("Guessed", "deep", "after layer", "agrees", "ccepted", "drafted"), told, strict=True
    ):
        assert words in line
    page.wait_for_function(f"propdPlayer.step === {step + 1}")
    page.get_by_role("button", name="First step").click()
    page.locator(".propd-phases button:disabled", has_text="Early prune").wait_for()


def test_a_click_on_the_timeline_goes_to_its_step(page: Any) -> None:
    page.locator(".propd-timeline-chart .plot-container").wait_for()
    page.locator(".propd-timeline-box").scroll_into_view_if_needed()
    box = page.locator(".propd-timeline-box").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    page.locator(".propd-timeline-line", has_text=re.compile(r"^Step \d+: \d+ drafted")).wait_for()
    told = re.match(r"Step (\d+)", page.locator(".propd-timeline-line").inner_text())
    page.mouse.down()
    page.mouse.up()
    assert told
    page.wait_for_function(f"propdPlayer.step === {told[1]}")


def test_the_keys_are_told(page: Any) -> None:
    page.locator(".propd-player").focus()
    page.keyboard.press("?")
    page.locator("dialog.propd-help", has_text="previous and next phase").wait_for()
    step = page.evaluate("propdPlayer.step")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("propdPlayer.step") == step  # the keys behind a dialog rest
    page.keyboard.press("Escape")
    page.locator("dialog.propd-help").wait_for(state="hidden")


def test_what_if_goes_on_from_a_branch_that_was_not_taken(page: Any) -> None:
    """A run of its own: its text begins with the branch, the recorded run stays as it was."""
    step, node = busiest(page)
    page.locator('.propd-tree .points path[tabindex="0"]').focus()
    for _ in range(node):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="had been chosen").click()
    page.locator(".propd-chip", has_text=f"in step {step}").wait_for()
    wait_for_status(page, "finished")
    script = f"""(() => {{
      const recorded = propdPlayer.runs.traces[0].run, made = propdPlayer.run;
      const before = recorded.events.slice(0, {step}).flatMap((e) => e.token_ids);
      return [before, recorded.events[{step}].nodes.token_id[{node}], made.header.continuing];
    }})()"""
    before, token, continuing = page.evaluate(script)
    assert continuing[: len(before)] == before and continuing[-1] == token
    given = page.evaluate("propdPlayer.run.header.continuing_text")
    assert page.locator(".propd-text").text_content().startswith(given)
    assert page.get_by_role("button", name="Generate").is_enabled()
    page.locator(".propd-chip", has_text="Question").click()
    wait_for_status(page, "Recorded")


def test_a_branch_of_another_model_is_refused_in_plain_words(page: Any) -> None:
    _step, node = busiest(page)
    page.evaluate("propdPlayer.run.header.model = 'another'")
    page.evaluate(f"propdPlayer.pick({node})")
    page.get_by_role("button", name="had been chosen").click()
    page.locator(".toast-body", has_text="made by another").wait_for()
    page.wait_for_selector("#go button.primary:not([disabled])")
    wait_for_status(page, "Recorded")


def test_without_motion_a_step_is_shown_at_its_end(browser: Any, address: str) -> None:
    page = browser.new_page(reduced_motion="reduce")
    page.goto(address)
    page.wait_for_selector(".propd-tree .points path", state="attached")
    page.get_by_role("button", name="First step").click()
    page.locator(".propd-speed").select_option("4")
    page.get_by_role("button", name="Play").click()
    phases = set()
    while page.evaluate("propdPlayer.step") < 3:
        phases.add(page.evaluate("propdPlayer.phase"))
    assert phases == {"commit"}
    page.close()


def test_a_tree_is_there_before_plotly(browser: Any, address: str) -> None:
    """The charts' program is 4.8 MB; a slow line must not keep the first picture waiting."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.route("**/plotly.min.js", lambda route: None)  # it never comes
    page.goto(address)
    page.wait_for_selector(".propd-tree .points path", state="attached")
    page.get_by_role("button", name="Next step").click()
    assert page.locator(".propd-caption").inner_text()
    page.close()


def test_settings_of_the_sidebar_reach_the_engine(page: Any) -> None:
    size = open_settings(page).get_by_label("Tree size").first
    size.fill("5")
    page.locator("#more-settings").get_by_label("Temperature").first.fill("0.8")
    generate(page, "abc")
    wait_for_status(page, "finished")
    config = page.evaluate("propdPlayer.run.header.config")
    assert (config["tree_size"], config["temperature"]) == (5, 0.8)
    drafted = page.evaluate("propdPlayer.run.events.map((e) => e.nodes.fate.length - 1)")
    assert set(drafted[1:-6]) == {5}


def test_a_phone_keeps_its_settings_folded(browser: Any, address: str) -> None:
    """Gradio opens a sidebar over the whole screen of a phone."""
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(address)
    page.wait_for_selector(".propd-tree .points path", state="attached")
    page.wait_for_selector("#settings[data-ready]:not(.open)", state="attached")
    page.get_by_role("button", name="Generate").click()
    page.locator(".propd-status", has_text="Live").wait_for()
    page.close()
