"""ProPD: token-tree decoding with early pruning and dynamic trees.

`load` a model, then `Engine.stream` or `Engine.generate`. The method is that of Zhong et al., 2024
(arXiv 2402.13485); where the paper is silent the choices are ours and named in docs/.
"""

from propd.core import DecodingConfig, RunStats, StepEvent
from propd.engine import Engine, Generation, load
from propd.errors import InvalidRequest, InvalidTrace, ModelUnavailable, ProPDError
from propd.methods import METHODS

__all__ = [
    "METHODS",
    "DecodingConfig",
    "Engine",
    "Generation",
    "InvalidRequest",
    "InvalidTrace",
    "ModelUnavailable",
    "ProPDError",
    "RunStats",
    "StepEvent",
    "load",
]
__version__ = "0.1.0"
