"""What a training run has reached: its table, its curve, and the state it goes on from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

STATE, ABOUT, HISTORY = "state.safetensors", "state.json", "history.json"


def save_state(
    folder: Path, key: str, step: int, weights: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Keep all that a run needs to go on after this step. key: of plan and text."""
    tensors = {f"weights.{name}": tensor for name, tensor in weights.state_dict().items()}
    for place, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            tensors[f"optimizer.{place}.{name}"] = torch.as_tensor(value)
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / (STATE + ".partial")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial)
    partial.replace(folder / STATE)
    (folder / ABOUT).write_text(json.dumps({"key": key, "step": step}))


def load_state(folder: Path, key: str, weights: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Put a kept state back; the step to go on with, 0 if there is none of this plan and text."""
    if not (folder / ABOUT).exists() or not (folder / STATE).exists():
        return 0
    about = json.loads((folder / ABOUT).read_text())
    if about["key"] != key:
        return 0
    tensors = load_file(folder / STATE)
    weights.load_state_dict(_under(tensors, "weights."))
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _under(tensors, "optimizer.").items():
        place, _, what = name.partition(".")
        state.setdefault(int(place), {})[what] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    return int(about["step"])


def _under(tensors: dict[str, Tensor], start: str) -> dict[str, Tensor]:
    return {name.removeprefix(start): t for name, t in tensors.items() if name.startswith(start)}


class History:
    """The curve of a run: a point every few steps, kept as JSON and drawn as a page."""

    def __init__(self, folder: Path, points: list[dict[str, Any]] | None = None) -> None:
        self.folder, self.points = folder, points or []

    @classmethod
    def resume(cls, folder: Path, step: int) -> History:
        """The points up to a step, if a file holds them."""
        path = folder / HISTORY
        points = json.loads(path.read_text()) if step and path.exists() else []
        return cls(folder, [point for point in points if point["step"] <= step])

    def add(self, point: dict[str, Any]) -> None:
        """A point: step, seen positions, loss, and accuracies by name."""
        self.points.append(point)
        (self.folder / HISTORY).write_text(json.dumps(self.points))

    def draw(self) -> None:
        """Write curves.html: accuracy of every head against positions seen."""
        import plotly.graph_objects as go

        names = [name for name in self.points[-1] if name.startswith(("head", "early"))]
        seen = [point["seen"] for point in self.points]
        figure = go.Figure(
            [go.Scatter(x=seen, y=[p[name] for p in self.points], name=name) for name in names],
            layout={
                "xaxis": {"title": {"text": "positions seen"}},
                "yaxis": {"title": {"text": "accuracy on training text, running mean"}},
            },
        )
        figure.write_html(self.folder / "curves.html", include_plotlyjs=True)


def table_head(heads: int, layers: tuple[int, ...]) -> str:
    """Titles of the live table."""
    titles = [*(f"head {d + 1}" for d in range(heads)), *(f"early {n}" for n in layers)]
    return f"{'step':>12}  {'loss':>6}  {'min':>6}  " + "  ".join(f"{t:>9}" for t in titles)


def table_line(step: str, loss: float, minutes: float, rates: list[tuple[float, float]]) -> str:
    """A line of it: top-1/top-5 of each head."""
    cells = "  ".join(f"{one:.2f}/{five:.2f}".rjust(9) for one, five in rates)
    return f"{step:>12}  {loss:6.3f}  {minutes:6.1f}  {cells}"
