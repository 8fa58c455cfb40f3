"""Runs: open, save, share."""

from __future__ import annotations
