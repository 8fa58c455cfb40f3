"""Compare: methods on one prompt."""

from __future__ import annotations
