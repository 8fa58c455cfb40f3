"""Taking something along: links, pictures, files. For every place; ``{name}`` is filled later."""

from __future__ import annotations

SHARE = {
    "copy_link": "Copy link",
    "copied": "Copied",
    "save_run": "Save run",
    "save_run_title": "Save this run, or send it to somebody",
    "tree_picture": "Tree",
    "picture": "Save picture",
    "picture_title": "Save this picture as PNG or SVG",
}

NO_STEP = "There is no step {given}; this run has the steps 0 to {last}. Choose one of them."
NO_FORM = "A run cannot be saved as {given}; choose one of {forms}."
NOT_TEXT = "This can only be called with the text of a file."
OPEN_IT_IN = "This file is meant for the page; it opens files of `python -m propd`."
