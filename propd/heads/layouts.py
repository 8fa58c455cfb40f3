"""Layouts of Medusa heads, told apart by the names of their tensors.

Not by config.json: the published one of FasterDecoding/medusa-vicuna-7b-v1.3 says two heads, and
its file has five. Read are

- Medusa v1 (FasterDecoding/Medusa, medusa_model.py): ``{head}.{block}.linear.weight``, ``.bias``
  and ``{head}.{blocks}.weight``, the head's own LM head;
- Medusa v2 (huggingface/text-generation-inference, layers/medusa.py): without the last, the
  model's LM head is shared;
- either among the model's own tensors, behind ``medusa_head.``;
- vLLM (vllm-project/vllm, models/medusa.py): ``blocks.{head}.layers.{block}.weight``, ``.bias``,
  ``lm_heads.{head}.weight`` or one for all, and ``token_map``, a reduced vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from torch import Tensor

from propd.errors import ModelUnavailable
from propd.heads.checks import check_finite, check_shape, check_words
from propd.heads.medusa import Block, MedusaWeights
from propd.heads.protocol import check_ranges

HYDRA = ("hydra_mlp", "hydra_lm_head", "prefix_embeding_layer")
"""Parts of the names of Hydra's tensors (zankner/Hydra, prefix_mlp_head.py; spelt as there)."""
AMONG_OTHERS, VLLM_PREFIX = "medusa_head.", "medusa_heads."
SHARED_OUTPUT, TOKEN_MAP = "lm_head.weight", "token_map"

_BLOCK = re.compile(r"(?:(\d+)\.(\d+)\.linear|blocks\.(\d+)\.layers\.(\d+))\.(weight|bias)")
_OUTPUT = re.compile(r"(\d+)\.(\d+)\.weight")
_VLLM_OUTPUT = re.compile(r"lm_heads\.(\d+)\.weight")


def plain_names(names: Iterable[str]) -> dict[str, str]:
    """From the names of the heads' tensors without their prefix to those in the file.

    Where heads lie among a model's own tensors, only theirs are named.
    """
    names = list(names)
    if any(name.startswith(AMONG_OTHERS) for name in names):
        names = [name for name in names if name.startswith(AMONG_OTHERS)]
    return {name.removeprefix(AMONG_OTHERS).removeprefix(VLLM_PREFIX): name for name in names}


def check_names(label: str, names: Iterable[str]) -> None:
    """Refuse names of another layout. label: what the sentence calls the heads."""
    for name in names:
        if any(part in name for part in HYDRA):
            raise ModelUnavailable(
                f"The heads {label} are Hydra heads, of which each needs the guess before its own "
                "and which are not supported yet; use Medusa heads."
            )
    known = (_BLOCK, _OUTPUT, _VLLM_OUTPUT)
    for name in names:
        if name not in (SHARED_OUTPUT, TOKEN_MAP) and not any(p.fullmatch(name) for p in known):
            raise _refusal(label, f"no layout has a tensor {name}")


def weights_of(
    label: str, tensors: Mapping[str, Tensor], logit_scale: float = 1.0
) -> MedusaWeights:
    """The weights in tensors with plain names; names out of order are refused."""
    check_names(label, tensors)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() == (name == TOKEN_MAP):
            raise _refusal(label, f"the tensor {name} cannot be of type {tensor.dtype}")
    blocks = _blocks(label, tensors)
    words = tensors.get(TOKEN_MAP)
    return MedusaWeights(
        blocks,
        _outputs(label, tensors, [len(head) for head in blocks]),
        None if words is None else words.long(),
        logit_scale,
    )


def _blocks(label: str, tensors: Mapping[str, Tensor]) -> tuple[tuple[Block, ...], ...]:
    heads: dict[int, dict[int, dict[str, Tensor]]] = {}
    for name, tensor in tensors.items():
        if match := _BLOCK.fullmatch(name):
            head, block, kind = (part for part in match.groups() if part is not None)
            heads.setdefault(int(head), {}).setdefault(int(block), {})[kind] = tensor
    if not heads:
        raise _refusal(label, "there is no residual block in them")
    _check_holes(label, "head {}", heads)
    for number, head in heads.items():
        _check_holes(label, f"block {{}} of head {number}", head)
        for place, parts in head.items():
            if "weight" not in parts:
                raise _refusal(label, f"block {place} of head {number} has no weight")
    return tuple(
        tuple((head[place]["weight"], head[place].get("bias")) for place in sorted(head))
        for _, head in sorted(heads.items())
    )


def _outputs(
    label: str, tensors: Mapping[str, Tensor], blocks: Sequence[int]
) -> tuple[Tensor, ...]:
    """One LM head for each head, one for all, or none."""
    found: dict[int, Tensor] = {}
    shared = tensors.get(SHARED_OUTPUT)
    for name, tensor in tensors.items():
        if match := _OUTPUT.fullmatch(name):
            head, place = map(int, match.groups())
            if head >= len(blocks) or place != blocks[head]:
                raise _refusal(label, f"the LM head {name} does not follow the last block")
            found[head] = tensor
        elif match := _VLLM_OUTPUT.fullmatch(name):
            found[int(match[1])] = tensor
    if shared is None and list(found) == [0] and "lm_heads.0.weight" in tensors:
        shared = found[0]  # vLLM writes an LM head for all as that of the first
    if shared is not None and len(found) <= 1:
        return (shared,)
    if found and sorted(found) != list(range(len(blocks))):
        raise _refusal(label, f"{len(blocks)} heads have {len(found)} LM heads")
    return tuple(found[head] for head in sorted(found))


def _check_holes(label: str, what: str, numbers: Iterable[int]) -> None:
    for expected, number in enumerate(sorted(numbers)):
        if number != expected:
            raise _refusal(label, f"{what.format(expected)} is missing before number {number}")


def check_weights(label: str, weights: MedusaWeights, hidden_size: int, vocabulary: int) -> None:
    """Refuse weights that do not fit the model, and numbers that are not finite."""
    first = weights.blocks[0][0][0]
    width = first.shape[-1] if first.ndim else 0
    check_ranges(label, [("hidden size", width, hidden_size, hidden_size)])
    if weights.token_map is not None:
        check_words(label, "reduced vocabulary", weights.token_map, vocabulary)
    for what, tensor, shape in _expected(weights, hidden_size, vocabulary):
        check_shape(label, what, tensor, shape)
    check_finite(label, weights.tensors())


def _expected(
    weights: MedusaWeights, hidden_size: int, vocabulary: int
) -> Iterator[tuple[str, Tensor, tuple[int, ...]]]:
    """Every tensor with its name in a sentence and the shape that it must have."""
    for number, head in enumerate(weights.blocks):
        for place, (weight, bias) in enumerate(head):
            what = f"block {place} of head {number}"
            yield what, weight, (hidden_size, hidden_size)
            if bias is not None:
                yield f"the bias of {what}", bias, (hidden_size,)
    reduced = vocabulary if weights.token_map is None else len(weights.token_map)
    for number, output in enumerate(weights.outputs):
        # with a reduced vocabulary a file may have either the whole LM head or the rows it needs
        rows = reduced if output.shape[:1] == (reduced,) else vocabulary
        yield f"LM head {number}", output, (rows, hidden_size)


def _refusal(label: str, why: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"The heads {label} are of no known layout: {why}; docs/heads.md names the layouts."
    )
