"""Which layer of a model lies on which device.

A layer runs where its weights are, beside its K and V: one on the CPU runs there, in place of
sending its weights to a GPU in every pass. Embedding, final norm, LM head and draft heads lie
together on one device, the home, where every step begins and ends.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

import torch

from propd.errors import InvalidRequest, NoRoom
from propd.models.need import Need, in_gb, told_free

Span = tuple[torch.device, int]
"""So many layers, one after another, on this device."""


@dataclass(frozen=True)
class DeviceMap:
    """All layers of a model, in their order."""

    home: torch.device
    spans: tuple[Span, ...]

    @property
    def layers(self) -> tuple[torch.device, ...]:
        """The device of each layer."""
        return tuple(device for device, count in self.spans for _ in range(count))

    def __str__(self) -> str:
        return ",".join(f"{device}={count}" for device, count in self.spans)


def one_device(device: torch.device, layers: int) -> DeviceMap:
    """All of the model on one device."""
    return DeviceMap(device, ((device, layers),))


def read_map(text: str, layers: int) -> DeviceMap:
    """A map like ``cuda:0=20,cuda:1=12``: so many layers on each, in order.

    The home is the first device that is no CPU, if there is one.
    """
    try:
        parts = [part.split("=") for part in text.split(",")]
        spans = tuple((torch.device(name.strip()), int(count)) for name, count in parts)
    except (ValueError, RuntimeError) as error:
        raise InvalidRequest(
            f"The device map {text!r} is none; write auto, or for example cuda:0=20,cuda:1=12."
        ) from error
    total = sum(count for _, count in spans)
    if total != layers or min(count for _, count in spans) < 1:
        raise InvalidRequest(
            f"The device map {text!r} places {total} layers and the model has {layers}; give each "
            "device at least one, and every layer a device."
        )
    kinds = [device for device, _ in spans]
    return DeviceMap(next((d for d in kinds if d.type != "cpu"), kinds[0]), spans)


def share_layers(need: Need, free: Mapping[str, int]) -> DeviceMap:
    """Layers on the fewest devices that hold them. free: bytes by device, the fastest first.

    Only one device works at a time, so another one is taken for its memory alone; among those
    that are taken, the layers are shared so that the same part of each stays free for K and V.
    """
    names = list(free)
    for count in range(1, len(names) + 1):
        taken = names[:count]
        most = _most_layers(need, {name: free[name] for name in taken})
        if sum(most.values()) >= need.layers:
            # the CPU comes last and is slow: whatever fits elsewhere does not go there
            shares = _in_order(most, need) if "cpu" in taken[1:] else _evenly(most, need)
            return _map_of(taken[0], [name for name in taken for _ in range(shares[name])])
    raise NoRoom(
        f"The model needs {in_gb(need.total)} and {told_free(free)} may be used; take narrower "
        "weights (int8, nf4), a narrower dtype or a smaller model."
    )


def _most_layers(need: Need, free: Mapping[str, int]) -> dict[str, int]:
    """Layers that each device can hold; the first one holds the rest of the model too."""
    home = next(iter(free))
    left = {name: room - need.home * (name == home) for name, room in free.items()}
    if left[home] < 0:
        return dict.fromkeys(free, 0)
    return {name: min(need.layers, room // need.placed_layer) for name, room in left.items()}


def _in_order(most: Mapping[str, int], need: Need) -> dict[str, int]:
    left, shares = need.layers, {}
    for name, count in most.items():
        shares[name] = min(left, count)
        left -= shares[name]
    return shares


def _evenly(most: Mapping[str, int], need: Need) -> dict[str, int]:
    """In proportion to what each could hold; what rounding leaves goes where there is room."""
    total = sum(most.values())
    shares = {name: need.layers * count // total for name, count in most.items()}
    for name in sorted(most, key=lambda name: shares[name] - most[name]):
        shares[name] += min(need.layers - sum(shares.values()), most[name] - shares[name])
    return shares


def _map_of(home: str, layers: list[str]) -> DeviceMap:
    spans = tuple((torch.device(name), len(list(run))) for name, run in groupby(layers))
    return DeviceMap(torch.device(home), spans)


def machine_of(device_map: DeviceMap) -> str:
    """Names of the devices, and where the layers are if these are several."""
    devices = list(dict.fromkeys([device_map.home, *device_map.layers]))
    names = " and ".join(dict.fromkeys(map(_device_name, devices)))
    return names if len(devices) == 1 else f"{names}, layers {device_map}"


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} CPU threads, {platform.machine()}"
