"""Lab: the planner to play with."""

from __future__ import annotations
