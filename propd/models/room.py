"""Where a model will lie, told and checked against the free memory before it is loaded."""

from __future__ import annotations

import torch

from propd.errors import InvalidRequest
from propd.memory import RESERVE, available_bytes
from propd.models.device_map import DeviceMap, one_device, read_map, share_layers
from propd.models.need import Need, check_room, told_free, wanted_of
from propd.models.sources import Report

AUTO = "auto"


def devices_here() -> list[torch.device]:
    """Every GPU that PyTorch sees, then the CPU."""
    gpus = [torch.device("cuda", place) for place in range(torch.cuda.device_count())]
    return [*gpus, torch.device("cpu")]


def check_map(device_map: str, device: torch.device | str, layers: int) -> torch.device:
    """The home of a map that was asked for; refuses one of devices that are not here."""
    if device != AUTO:
        raise InvalidRequest(
            f"Both device {device} and the device map {device_map} were given; leave one out."
        )
    if device_map == AUTO:
        return devices_here()[0]
    asked = read_map(device_map, layers)
    for place, _ in asked.spans:
        if place.type != "cpu" and place not in devices_here():
            here = ", ".join(map(str, devices_here()))
            raise InvalidRequest(
                f"The device map {device_map} names {place} and there are {here}; "
                "name those, a GPU with its number."
            )
    return asked.home


def find_room(need: Need, home: torch.device, device_map: str | None, report: Report) -> DeviceMap:
    """Which layers go where; one sentence if they do not fit. Tells need and free memory.

    device_map: auto, a map as `read_map` takes it, or None: all on the home.
    """
    report(need.sentence())
    asked = devices_here() if device_map == AUTO else [home]
    chosen = read_map(device_map, need.layers) if device_map not in (None, AUTO) else None
    if chosen is not None:
        asked = list(dict.fromkeys([home, *chosen.layers]))
    free = {str(device): int(available_bytes(device) * RESERVE) for device in asked}
    report(f"memory that may be used: {told_free(free)}")
    if device_map == AUTO:
        chosen = share_layers(need, free)
    chosen = chosen or one_device(home, need.layers)
    check_room(need, free, wanted_of(need, str(home), list(map(str, chosen.layers))))
    if device_map is not None:
        report(f"layers by device: {chosen}")
    return chosen
