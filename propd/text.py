"""From a prompt to token ids, and from token ids to text without ever breaking a character."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

BROKEN = "\ufffd"
LONGEST_CHARACTER = 4
"""Bytes, so tokens at most, that one character of UTF-8 can take."""


def prompt_ids(tokenizer: Any, prompt: str) -> list[int]:
    """Token ids of a prompt, inside the chat template if the tokenizer has one."""
    if not tokenizer.chat_template:
        return [int(token) for token in tokenizer(prompt)["input_ids"]]
    messages = [{"role": "user", "content": prompt}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return [int(token) for token in tokenizer(text, add_special_tokens=False)["input_ids"]]


class IncrementalDecoder:
    """Decodes a growing text token by token.

    A token's piece is what the text gains when it arrives; it is "" while bytes of a character are
    missing, and the token that completes the character brings it whole. The pieces joined are the
    text of all tokens decoded at once (Hugging Face TGI uses the same two-offset window).
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._start = 0  # the window decodes from here, so that a leading space is seen in context
        self._told = 0  # tokens before this one are told already

    def push(self, token_id: int) -> str:
        """The piece of the next token."""
        self._ids.append(token_id)
        piece = ""
        while True:
            before = self._decode(self._ids[self._start : self._told])
            after = self._decode(self._ids[self._start :])
            if not after.endswith(BROKEN):
                return piece + self._tell(before, after, len(self._ids))
            if len(self._ids) - self._told < LONGEST_CHARACTER:
                return piece
            # The first waiting token never becomes a character: tell it as it is, and look on.
            first = self._decode(self._ids[self._start : self._told + 1])
            piece += self._tell(before, first, self._told + 1)

    def _tell(self, before: str, after: str, end: int) -> str:
        self._start, self._told = self._told, end
        return after[len(before) :]

    def flush(self) -> str:
        """What is left when no further token comes: perhaps a broken character."""
        before = self._decode(self._ids[self._start : self._told])
        return self._tell(before, self._decode(self._ids[self._start :]), len(self._ids))

    def _decode(self, ids: Sequence[int]) -> str:
        return str(
            self._tokenizer.decode(
                ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )


class TextStream:
    """The growing text of one row, which ends before the first stop string that it would contain.

    Text that may be the beginning of a stop string is held back until the next tokens decide.
    """

    def __init__(
        self, tokenizer: Any, stop: Sequence[str] = (), beginning: Sequence[int] = ()
    ) -> None:
        """beginning: tokens that the text goes on from; they are no part of it."""
        self._decoder, self._stop = IncrementalDecoder(tokenizer), tuple(stop)
        for token in beginning:
            self._decoder.push(token)
        self._held = ""
        self._pieces: list[str] = []

    def push(self, token_ids: Sequence[int]) -> int | None:
        """Take the tokens of a step: how many the text keeps if it stops there, else None."""
        for count, token in enumerate(token_ids, start=1):
            text = self._held + self._decoder.push(token)
            at = min((place for s in self._stop if (place := text.find(s)) >= 0), default=None)
            if at is not None:
                self._held = ""
                self._pieces.append(text[:at])
                return count
            self._held = text[len(text) - self._waiting(text) :]
            self._pieces.append(text[: len(text) - len(self._held)])
        return None

    def flush(self) -> None:
        """No further token comes: the last piece gains what was held back."""
        rest = self._held + self._decoder.flush()
        self._held = ""
        if rest and self._pieces:
            self._pieces[-1] += rest

    def take(self) -> tuple[str, ...]:
        """The pieces since the last time, one a token."""
        pieces, self._pieces = tuple(self._pieces), []
        return pieces

    def _waiting(self, text: str) -> int:
        """Characters at the end of the text that may be the beginning of a stop string."""
        longest = max((len(s) - 1 for s in self._stop), default=0)
        for length in range(min(longest, len(text)), 0, -1):
            if any(s.startswith(text[-length:]) for s in self._stop):
                return length
        return 0


class TokenTexts:
    """Readable text of single tokens, for trees: spaces kept, lone bytes named."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._known: dict[int, str] = {}

    def __call__(self, token_id: int) -> str:
        """The text of one token; bytes that are no text of their own appear as <0xE2>."""
        if token_id not in self._known:
            self._known[token_id] = self._read(token_id)
        return self._known[token_id]

    def _read(self, token_id: int) -> str:
        text = str(self._tokenizer.decode([token_id], clean_up_tokenization_spaces=False))
        raw = self._tokenizer.convert_ids_to_tokens(token_id)
        if not isinstance(raw, str):
            return f"<{token_id}>"
        if BROKEN in text:
            return "".join(_readable(byte) for byte in _bytes_of(raw)) or f"<{token_id}>"
        if raw.startswith("▁") and not text.startswith(" "):
            return " " + text  # SentencePiece drops the space of a first word
        return text


def _readable(byte: int) -> str:
    return chr(byte) if 0x20 <= byte < 0x7F else f"<0x{byte:02X}>"


def _bytes_of(raw: str) -> list[int]:
    """Bytes of a byte-level BPE token, which spells each byte as one printable character."""
    return [_BYTE_OF[character] for character in raw if character in _BYTE_OF]


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's table: printable bytes stand for themselves, the others from U+0100 on."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in plain]
    table = {chr(byte): byte for byte in plain}
    return table | {chr(0x100 + place): byte for place, byte in enumerate(rest)}


_BYTE_OF = _byte_alphabet()
