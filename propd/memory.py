"""Memory of a run: known before it starts, refused if it does not fit."""

from __future__ import annotations

from pathlib import Path

import psutil
import torch

from propd.errors import NoRoom
from propd.models.backbone import Backbone
from propd.models.need import step_bytes

CGROUP = Path("/sys/fs/cgroup")
RESERVE = 0.9
"""Share of the free memory that a run may plan with."""


def needed_bytes(backbone: Backbone, rows: int, slots: int, nodes: int) -> int:
    """What a session allocates: the cache, and the largest step's logits and hidden states.

    rows of ``slots`` tokens each; steps of at most ``nodes`` nodes a row, the root included.
    """
    return sum(needed_by_device(backbone, rows, slots, nodes).values())


def needed_by_device(
    backbone: Backbone, rows: int, slots: int, nodes: int
) -> dict[torch.device, int]:
    """The same by device: K and V lie beside their layers, all else at home."""
    size = backbone.embedding.element_size()
    step = step_bytes(backbone.vocabulary_size, backbone.hidden_size, rows, nodes, size)
    heads = backbone.kv_heads * backbone.head_size
    layer = 2 * rows * slots * heads * backbone.cache_dtype.itemsize
    needed = {backbone.device_map.home: step}
    for device, count in backbone.device_map.spans:
        needed[device] = needed.get(device, 0) + count * layer
    return needed


def available_bytes(device: torch.device) -> int:
    """Free memory of the device; on a CPU also within the limit of the container."""
    if device.type == "cuda":
        # what ended requests have given back stays with PyTorch, for the next one
        idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + idle
    free = int(psutil.virtual_memory().available)
    return free if (left := _container_bytes()) is None else min(free, left)


def check_memory(backbone: Backbone, rows: int, slots: int, nodes: int) -> None:
    """Refuse a run whose cache and largest step do not fit into the free memory."""
    by_device = needed_by_device(backbone, rows, slots, nodes)
    for device, needed in by_device.items():
        free = int(available_bytes(device) * RESERVE)
        if needed > free:
            where = f" on {device}" if len(by_device) > 1 else ""
            raise NoRoom(
                f"The run needs {needed / 1e9:,.1f} GB of memory{where} for {rows} rows of "
                f"{slots:,} tokens and {free / 1e9:,.1f} GB are free; ask for fewer rows, a "
                "shorter prompt or fewer new tokens."
            )


def _container_bytes() -> int | None:
    """What a control group (version 2) leaves free; None without a limit."""
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
        used = int((CGROUP / "memory.current").read_text())
        stat = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        cached = int(stat.get("inactive_file", 0))  # given back when somebody asks for memory
    except (OSError, ValueError):
        return None
    return None if limit == "max" else max(0, int(limit) - used + cached)
