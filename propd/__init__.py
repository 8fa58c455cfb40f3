"""ProPD: token-tree decoding with early pruning and dynamic trees.

`load` a model, then `Engine.stream` or `Engine.generate`. The method is that of Zhong et al., 2024
(arXiv 2402.13485); where the paper is silent the choices are ours and named in docs/method.md.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from propd.core import CostTable, DecodingConfig, RunStats, StepEvent
    from propd.engine import Engine, Generation
    from propd.errors import InvalidRequest, InvalidTrace, ModelUnavailable, ProPDError
    from propd.library import load
    from propd.methods import METHODS
    from propd.session import Session

__all__ = [
    "METHODS",
    "CostTable",
    "DecodingConfig",
    "Engine",
    "Generation",
    "InvalidRequest",
    "InvalidTrace",
    "ModelUnavailable",
    "ProPDError",
    "RunStats",
    "Session",
    "StepEvent",
    "load",
]
__version__ = "0.1.0"

_HOMES = {
    "core": ("CostTable", "DecodingConfig", "RunStats", "StepEvent"),
    "engine": ("Engine", "Generation"),
    "errors": ("InvalidRequest", "InvalidTrace", "ModelUnavailable", "ProPDError"),
    "library": ("load",),
    "methods": ("METHODS",),
    "session": ("Session",),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `propd doctor` must run without torch."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"propd.{module}"), name)
    raise AttributeError(f"module 'propd' has no attribute {name!r}")
