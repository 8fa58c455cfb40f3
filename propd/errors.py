"""One family of errors: what is wrong, the limit, the value given, and what to do about it."""

from __future__ import annotations


class ProPDError(Exception):
    """Base of every error a user can cause or meet.

    The message is one sentence for people; the command line prints it and exits with 2, the app
    shows it as a toast. Nothing else in the project raises an error meant for users.
    """


class InvalidRequest(ProPDError):
    """A request outside its limits: empty prompt, too many tokens, unknown method."""


class NoRoom(InvalidRequest):
    """A model or a run that does not fit into the free memory."""


class ModelUnavailable(ProPDError):
    """A model, its tokenizer or its heads cannot be found, fetched or used."""


class InvalidTrace(ProPDError):
    """A trace file that is too large, of another version, or not well formed."""
