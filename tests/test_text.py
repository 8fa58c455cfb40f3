"""Text comes whole: pieces joined are the text, and no piece holds half a character."""

import random

import pytest
from transformers import PreTrainedTokenizerFast

from propd.terminal import safe, visible
from propd.text import BROKEN, IncrementalDecoder, TokenTexts
from tests.conftest import byte_tokenizer as make_byte_tokenizer


@pytest.fixture(scope="module")
def byte_tokenizer() -> PreTrainedTokenizerFast:
    return make_byte_tokenizer()


TEXTS = ["plain", "naïve café", "日本語 text", "👩‍👩‍👧 and 🇳🇱", "a\n\tb ", "\u202eright"]


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_never_break_a_character(byte_tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    decoder = IncrementalDecoder(byte_tokenizer)
    pieces = [decoder.push(token) for token in byte_tokenizer(text)["input_ids"]]
    assert BROKEN not in "".join(pieces)
    assert "".join(pieces) + decoder.flush() == text


def test_a_cut_character_comes_out_at_the_end(byte_tokenizer: PreTrainedTokenizerFast) -> None:
    ids = byte_tokenizer("ab😀")["input_ids"][:-1]
    decoder = IncrementalDecoder(byte_tokenizer)
    assert "".join(decoder.push(token) for token in ids) == "ab"
    assert set(decoder.flush()) == {BROKEN}


def test_bytes_that_are_no_text_do_not_block_the_stream(
    byte_tokenizer: PreTrainedTokenizerFast,
) -> None:
    """A model may write bytes that never become a character; what follows must still come."""
    broken = byte_tokenizer("é")["input_ids"][1:] * 6
    decoder = IncrementalDecoder(byte_tokenizer)
    text = "".join(decoder.push(t) for t in broken + byte_tokenizer("ok then")["input_ids"])
    assert text.endswith("ok then")


def test_pieces_are_the_text_of_any_bytes(byte_tokenizer: PreTrainedTokenizerFast) -> None:
    """Broken bytes before a good character must not swallow it; whatever a model may write."""
    generator = random.Random(0)
    letters = [byte_tokenizer(text)["input_ids"] for text in ("a", "é", "日", "😀", " ")]
    for _ in range(300):
        ids = [t for _ in range(8) for t in generator.choice(letters)[: generator.randint(1, 4)]]
        decoder = IncrementalDecoder(byte_tokenizer)
        joined = "".join(decoder.push(token) for token in ids) + decoder.flush()
        whole = byte_tokenizer.decode(ids, skip_special_tokens=True)
        assert joined.replace(BROKEN, "") == whole.replace(BROKEN, "")


def test_lone_bytes_are_named(byte_tokenizer: PreTrainedTokenizerFast) -> None:
    name = TokenTexts(byte_tokenizer)
    ids = byte_tokenizer("é")["input_ids"]
    assert [name(token) for token in ids] == ["<0xC3>", "<0xA9>"]
    assert name(byte_tokenizer(" ")["input_ids"][0]) == " "


def test_the_terminal_is_not_commanded() -> None:
    """A model that writes an escape sequence must not clear the user's screen."""
    assert safe("a\x1b[2Jb\n") == "a[2Jb\n"
    assert visible("\x1b \n") == "<1B>␣⏎"
