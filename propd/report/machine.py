"""What a report must say of the machine it was made on."""

from __future__ import annotations

import platform
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata

PACKAGES = ("torch", "transformers", "accelerate", "safetensors", "bitsandbytes", "numpy")
QUERY = ("name", "driver_version", "memory.total", "power.limit", "clocks.max.sm", "pstate")
"""What `nvidia-smi` is asked; a field that it does not know it says itself."""
SECONDS = 10.0


@dataclass(frozen=True)
class Gpu:
    """A GPU that PyTorch sees."""

    name: str
    memory: int
    """Bytes."""
    capability: str
    processors: int
    """Streaming multiprocessors."""


@dataclass(frozen=True)
class Machine:
    """Hardware, driver and versions."""

    gpus: tuple[Gpu, ...]
    cpu: str
    system: str
    cuda: str
    """Of the build of PyTorch; empty for one without."""
    cudnn: str
    smi: tuple[str, ...]
    """A line for each GPU, as `nvidia-smi` tells `QUERY`; driver and power limit are in it."""
    versions: dict[str, str]
    precision: str
    """How float32 products are computed: highest is float32 itself, high and medium are not."""


def this_machine() -> Machine:
    """Ask PyTorch, the driver and the package metadata. Needs no GPU."""
    import torch

    return Machine(
        gpus=tuple(_gpu(place) for place in range(torch.cuda.device_count())),
        cpu=f"{torch.get_num_threads()} threads, {platform.machine()}, {_cpu_name()}",
        system=platform.platform(),
        cuda=torch.version.cuda or "",
        cudnn=str(torch.backends.cudnn.version() or ""),
        smi=_driver(),
        versions={"python": platform.python_version(), **_versions()},
        precision=torch.get_float32_matmul_precision(),
    )


def _gpu(place: int) -> Gpu:
    import torch

    told = torch.cuda.get_device_properties(place)
    known = (told.name, int(told.total_memory), f"{told.major}.{told.minor}")
    return Gpu(*known, int(told.multi_processor_count))


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            line = next(line for line in file if line.startswith("model name"))
        return line.split(":", 1)[1].strip()
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def _driver() -> tuple[str, ...]:
    """What the driver says; nothing where there is none or it does not answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    command = [program, f"--query-gpu={','.join(QUERY)}", "--format=csv,noheader"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in answer.stdout.splitlines() if line.strip())
