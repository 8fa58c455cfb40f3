"""The static site; ``{name}`` is filled when it is built."""

from __future__ import annotations

from app.strings.page import LEAD, MENU, PLACES, TITLE

COMMAND = "Build the studio as plain files that need no server: recorded runs, no model."
NOT_OURS = "{out} is not empty and was not made by this command; give a new folder with --out."
FRAME = {
    **MENU,
    **PLACES,
    "title": TITLE,
    "lead": LEAD,
    "about": (
        "Everything here was recorded: no model runs behind this page. To run your own prompts and "
        "to open files of your own, start the app."
    ),
    "no_script": (
        "This page draws its runs with JavaScript, which is switched off in this browser."
    ),
}
README = """---
title: {title}
emoji: 🌳
colorFrom: blue
colorTo: green
sdk: static
app_file: index.html
pinned: false
license: apache-2.0
short_description: Token trees of a language model, step by step
---

# {title}, recorded

Plain files: open `index.html`, or put this folder on any web server. Made by `make static` of the
project, which also has the app that runs a model.
"""
