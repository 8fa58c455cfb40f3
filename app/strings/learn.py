"""Learn: the walkthrough."""

from __future__ import annotations
