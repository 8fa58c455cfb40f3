"""Every sentence in every language: the same keys, the same holes, nothing left in English."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from app import languages, settings
from app.languages import FIRST, LANGUAGES, localised, others, phrases, translated
from propd.errors import InvalidTrace
from propd.json_values import refusal
from propd.methods import METHODS
from propd.requests import prompt_too_long

OTHERS = [language for language in LANGUAGES if language != FIRST]
STRINGS = settings.ROOT / "app" / "strings"
HERE_ALONE = {"__init__", "serving"}
"""Without a counterpart: what visitors read of serving stands among the sentences of the engine."""
MODULES = sorted({path.stem for path in STRINGS.glob("*.py")} - HERE_ALONE)
NOT_TOLD = {"UNSAID", "BATCH_PROMPTS", "MORE_PROMPTS", "PROMPTS", "COMMAND", "NOT_OURS", "README"}
"""Prompts, which are written for an English model, and what only a command says."""
COMMANDS = {"serving", "site"}
"""Modules with sentences of commands."""
HOLE = re.compile(r"\{(\w+)(?::[^{}|]*\|[^{}|]*)?\}")
TERM = re.compile(r"\[\[([^\]|]+)")
SENTENCE = re.compile(r"[A-Za-z]{2,} [a-z]{2,}")
"""Two words beside each other: no name, no sign, no unit."""
SAME_IN_ALL = {"{name} {ms}"}
Leaf = tuple[str, str, str]


def constants(module: str, language: str = FIRST) -> dict[str, Any]:
    folder = "app.strings" if language == FIRST else f"app.strings.{language}"
    found = vars(import_module(f"{folder}.{module}"))
    return {n: v for n, v in found.items() if n.isupper() and n not in NOT_TOLD}


def leaves(where: str, ours: Any, theirs: Any) -> Iterator[Leaf]:
    """All strings with their counterparts; fails where the tables have another shape."""
    if isinstance(ours, dict):
        ordinals = where.endswith(".ordinals")  # languages count places differently
        assert ordinals or list(ours) == list(theirs), f"{where}: other keys or another order"
        for key in theirs if ordinals else ours:
            yield from leaves(f"{where}.{key}", ours[key], theirs[key])
    elif isinstance(ours, (list, tuple)):
        assert len(ours) == len(theirs), f"{where}: {len(theirs)} entries for {len(ours)}"
        for place, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from leaves(f"{where}.{place}", one, other)
    else:
        yield where, ours, theirs


def all_leaves(language: str) -> list[Leaf]:
    found = []
    for module in MODULES:
        ours, theirs = constants(module), constants(module, language)
        missing = set(ours) - set(theirs) - (set(ours) if module in COMMANDS else set())
        assert not missing, f"{module}: {missing} not in {language}"
        for name in ours.keys() & theirs.keys():
            found += leaves(f"{module}.{name}", ours[name], theirs[name])
    return found


@pytest.mark.parametrize("language", OTHERS)
def test_every_module_name_and_key_is_there(language: str) -> None:
    mine = {path.stem for path in (STRINGS / language).glob("*.py")} - {"__init__", "engine"}
    assert mine == set(MODULES)
    told = all_leaves(language)
    assert len(told) > 700
    assert [where for where, ours, theirs in told if bool(ours) and theirs is None] == []


@pytest.mark.parametrize("language", OTHERS)
def test_holes_agree(language: str) -> None:
    """A hole that one language has and the other has not shows a brace, or loses a number."""
    wrong = [
        where
        for where, ours, theirs in all_leaves(language)
        if set(HOLE.findall(ours)) != set(HOLE.findall(theirs))
    ]
    assert wrong == []


@pytest.mark.parametrize("language", OTHERS)
def test_nothing_is_left_in_english(language: str) -> None:
    left = [
        where
        for where, ours, theirs in all_leaves(language)
        if ours == theirs and SENTENCE.search(HOLE.sub("", ours))
    ]
    assert left == []


@pytest.mark.parametrize("language", OTHERS)
def test_the_walkthrough_explains_the_same_words(language: str) -> None:
    ours, theirs = (languages.table("learn.LEARN", one) for one in (FIRST, language))
    assert list(ours["glossary"]) == list(theirs["glossary"]) == list(theirs["glossary_names"])
    for chapter, told in ours["chapters"].items():
        terms = [
            {
                term
                for step in one["steps"].values()
                for s in step["text"]
                for term in TERM.findall(s)
            }
            for one in (told, theirs["chapters"][chapter])
        ]
        assert terms[0] == terms[1] <= set(ours["glossary"]), chapter


@pytest.mark.parametrize("language", LANGUAGES)
def test_plurals_have_two_forms(language: str) -> None:
    """`{n:node|nodes}`: one word for one, another for the rest, and never in a Python sentence."""
    forms = re.compile(r"\{\w+:([^{}]*)\}")
    for where, _, said in all_leaves(language) if language != FIRST else all_leaves(OTHERS[0]):
        for inside in forms.findall(said):
            one, many = inside.split("|")
            assert one and many and one != many, where
    for ours, theirs in languages.pairs(OTHERS[0]):
        assert "|" not in ours + theirs, "str.format knows no plurals"


# --- what Python says ---------------------------------------------------------------------------


COMMANDS_OF_ENGINE = tuple(f"{one}commands.py" for one in ("", "measure_", "trace_"))
ERRORS = ("InvalidRequest", "InvalidTrace")


def raised() -> dict[str, str]:
    """Errors that can reach a visitor: template, holes as {}, to where it is raised."""
    found = {}
    root = settings.ROOT / "propd"
    away = (
        "training",
        "benchmark",
        "report",
        "heads",
        "models",
        "config_options.py",
        *COMMANDS_OF_ENGINE,
    )
    files = [p for p in root.rglob("*.py") if p.relative_to(root).parts[0] not in away]
    for path in [*files, root / "benchmark" / "result_checks.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = isinstance(node, ast.Call) and getattr(node.func, "id", "") in ERRORS
            if named and (template := _template(node.args[0])):
                found[template] = f"{path.name}:{node.lineno}"
    return found


def _template(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if not isinstance(node, ast.JoinedStr):
        return ""
    parts = (part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return "".join(parts).replace("{}{}", "{}")


OF_COMMANDS = re.compile(
    r"checkpoint|cost table|planner|pruner|longest|No file can|peer|cannot be (read|written)"
    r"|is closed|[Rr]ows? \{\} (is not|are) being|was opened for|GPU|device|layers|memory"
)
"""Said by commands and to those who write programs; the page cannot bring these about."""


@pytest.mark.parametrize("language", OTHERS)
def test_errors_of_the_engine_are_known(language: str) -> None:
    known = {
        re.sub(r"\{\w+\}", "{}", english) for english in languages.table("engine.ENGINE", language)
    }
    unknown = {t: where for t, where in raised().items() if t not in known}
    assert {t: w for t, w in unknown.items() if not OF_COMMANDS.search(t)} == {}
    assert len(raised()) > 30


@pytest.mark.parametrize("language", OTHERS)
def test_holes_of_the_engines_sentences_agree(language: str) -> None:
    for ours, theirs in languages.table("engine.ENGINE", language).items():
        assert set(HOLE.findall(ours)) == set(HOLE.findall(theirs)), ours


@pytest.mark.parametrize("language", OTHERS)
def test_the_same_english_is_said_in_one_way(language: str) -> None:
    """Python's sentences are found by their English: two translations of one would be a lottery."""
    found: dict[str, str] = {}
    for ours, theirs in languages.pairs(language):
        assert found.setdefault(ours, theirs) == theirs, ours


def test_methods_are_called_and_explained_in_chinese() -> None:
    for method in METHODS.values():
        assert translated(method.description, "zh") != method.description
        shown = translated(f"Code · {method.label}", "zh")
        assert shown.startswith("代码 · ") and not SENTENCE.search(shown)


def test_a_sentence_is_found_with_its_values() -> None:
    assert translated("The prompt is empty; write a question or an instruction.", "zh").startswith(
        "提示词是空的"
    )
    long = translated(str(prompt_too_long("9,000 tokens", 2048)), "zh")
    assert "9,000 个词元" in long and "2,048" in long
    told = translated(str(refusal("events.3.nodes", "be an object", [1, 2])), "zh")
    assert told == "文件格式有误：events.3.nodes 必须是对象，而不是 2 项的列表。"
    asked = "This page writes at most 256 tokens and 300 were asked for; ask for fewer."
    assert translated(asked, "zh") == "本页面最多写 256 个词元，而请求了 300 个；请减少。"


def test_what_a_stranger_wrote_stays_what_it_is() -> None:
    """Values are found by patterns, so they must neither be read as templates nor as markup."""
    nasty = "<img src=x> ${1+1} {model} {0} {{value}} \\g<1>"
    said = translated(f"There is no method '{nasty}'; use one of propd.", "zh")
    assert nasty in said
    assert translated(nasty, "zh") == nasty and translated("", "zh") == ""
    long = f"There is no method '{' must be from to ' * 200}'; use one of propd."
    assert translated(long, "zh") == long  # so long a sentence is not looked at
    assert translated("ready", "en") == "ready"


def test_names_given_to_the_page_are_translated_and_nothing_else() -> None:
    given = {"traces": [{"label": "Code · Medusa", "title": "Code", "header": {"prompt": "Code"}}]}
    assert localised(given, "zh") == {
        "traces": [{"label": "代码 · Medusa", "title": "Code", "header": {"prompt": "Code"}}]
    }
    made = others("watch.WATCH", {**given, "limit": 3})["zh"]
    assert set(made) == {"words", "traces"} and made["words"]["play"] == "播放"


def test_outside_of_a_request_english_is_spoken() -> None:
    assert languages.spoken() == FIRST
    assert languages.told("ready") == "ready"


def test_patterns_are_tried_from_the_most_telling_one() -> None:
    assert len(phrases("zh")[1]) > 40
    said = "The file is not well formed: header.prompt must be text of whole characters."
    assert translated(said, "zh") == "文件格式有误：header.prompt 必须由完整的字符组成。"
    assert isinstance(refusal("a", "be an object"), InvalidTrace)


# --- nothing beside the tables ------------------------------------------------------------------

DEVELOPERS = ("record", "record_compare", "record_lab", "site", "serving", "settings")
TALKS = re.compile(r"^[A-Z][a-z]+( [a-z]+){2,}")


def scripts() -> list[Path]:
    return sorted(settings.PLAYER.rglob("*.js"))


@pytest.mark.parametrize("path", scripts(), ids=lambda path: path.stem)
def test_no_sentence_stands_in_a_script(path: Path) -> None:
    code = re.sub(r"/\*.*?\*/|(?<![:\"'`])//[^\n]*", "", path.read_text("utf-8"), flags=re.DOTALL)
    said = [
        text
        for _, text in re.findall(r"([\"'`])((?:(?!\1)[^\\\n])*)\1", code)
        if re.match(r"[A-Z][a-z]+ [a-z]+", text)
    ]
    assert said == []


def test_no_sentence_stands_in_the_apps_python() -> None:
    wrong = []
    files = [*(settings.ROOT / "app").glob("*.py"), *(settings.ROOT / "app" / "tabs").glob("*.py")]
    for path in files:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        notes = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            plain = isinstance(node, ast.Constant) and isinstance(node.value, str)
            if plain and id(node) not in notes and TALKS.match(node.value):
                wrong.append(f"{path.name}:{node.lineno} {node.value[:50]}")
    assert [w for w in wrong if w.split(".py")[0] not in DEVELOPERS] == []
