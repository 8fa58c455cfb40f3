"""Early heads in a folder of their own or beside any draft heads: the two are trained apart.

``early.json`` says ``layers``, ``width``, ``prune_top_k`` and ``recall``; ``early-NN.safetensors``
holds the head that looks after NN layers, with its reference words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from propd.heads.checks import check_finite, check_words
from propd.heads.early import Referee
from propd.heads.protocol import check_ranges
from propd.heads.rooted import EarlyWeights, packed
from propd.host import Ids
from propd.models.backbone import Backbone
from propd.models.grouped import pack_finely

CONFIG = "early.json"


class EarlyHeads:
    """Trained early heads, ready to run. Read-only, shared."""

    kind = "trained"

    def __init__(
        self,
        weights: Mapping[int, EarlyWeights],
        references: Mapping[int, Tensor],
        top_k: int,
        backbone: Backbone,
    ) -> None:
        """By layer, the recommended one first; references: ids of the words that candidates are
        ranked among."""
        self.layers, self.top_k = tuple(weights), top_k
        device, dtype = backbone.device, backbone.dtype
        self._heads = {
            layer: packed(head.to(device, dtype).eval().requires_grad_(False), pack_finely)
            for layer, head in weights.items()
        }
        self._referees = {
            layer: Referee(backbone.lm_head_weight, words.to(device))
            for layer, words in references.items()
        }

    def __call__(
        self, layer: int, hidden: Tensor, rows: Ids, token_ids: Ids
    ) -> tuple[Tensor, Tensor]:
        """As `DraftHeads.look_early`."""
        return self._referees[layer](self._heads[layer](hidden), rows, token_ids)


def early_file(layer: int) -> str:
    """Name of the file of one early head."""
    return f"early-{layer:02d}.safetensors"


def save_early(
    folder: Path,
    layers: Sequence[int],
    width: int,
    top_k: int,
    weights: Mapping[str, EarlyWeights],
    reference: Tensor,
    recall: Mapping[str, Mapping[str, float]],
) -> None:
    """Write early heads in half precision, then what they are.

    layers: the recommended one first; weights: by layer, written as text, as in `HeadWeights`;
    reference: (R,) token ids; recall: as `HeadsConfig.early_recall`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for layer in layers:
        state = weights[str(layer)].state_dict().items()
        tensors = {_start(layer) + name: t.detach().half().contiguous() for name, t in state}
        save_file({**tensors, "reference": reference.to(torch.int32)}, folder / early_file(layer))
    about = {"layers": list(layers), "width": width, "prune_top_k": top_k, "recall": recall}
    (folder / CONFIG).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def load_early(folder: Path, backbone: Backbone) -> EarlyHeads:
    """Read them back; what does not fit the backbone is refused, by `ModelUnavailable` or by an
    error of reading that `propd.heads.files.open_heads` puts into a sentence."""
    about = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    width, top_k = int(about["width"]), int(about["prune_top_k"])
    label, known = f"in {folder}", backbone.vocabulary_size
    check_ranges(label, [("k of early pruning", top_k, 1, known)])
    weights: dict[int, EarlyWeights] = {}
    references: dict[int, Tensor] = {}
    for layer in map(int, about["layers"]):
        tensors = load_file(folder / early_file(layer))
        references[layer] = tensors.pop("reference").long()
        check_finite(label, tensors.values())
        check_words(label, "reference vocabulary", references[layer], known)
        head = EarlyWeights(backbone.hidden_size, width)
        start = _start(layer)
        head.load_state_dict({name.removeprefix(start): t for name, t in tensors.items()})
        weights[layer] = head
    return EarlyHeads(weights, references, top_k, backbone)


def _start(layer: int) -> str:
    return f"early.{layer}."
