"""The vocabulary of the engine: every noun that crosses a module border.

Letters of tensor shapes, the same everywhere: B sequences, N nodes (the root included),
D depth, K ranks of a head, V vocabulary, L past length, H hidden size.

All nouns are frozen: an event can be kept, sent and drawn, and never changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

Fate = Literal["root", "drafted", "pruned", "rejected", "accepted", "bonus"]
"""What became of a token in a step.

``root``      decided before the step; depth 0; never pruned
``drafted``   proposed, not judged yet (only in events of a step that did not finish)
``pruned``    dropped after the prune layer
``rejected``  verified and not kept
``accepted``  verified and kept
``bonus``     the model's own next token, which becomes the next root
"""

FinishReason = Literal["eos", "stop", "length"]
"""Why a text ended; a run that was stopped has no finish reason in its last event."""

Source = Literal["head", "text", "both"]
"""Who guessed a drafted token: a draft head, the text so far, or both."""
SOURCES: tuple[Source, ...] = get_args(Source)

Points = tuple[tuple[int, float], ...]
"""(count, milliseconds), counts ascending."""


@dataclass(frozen=True)
class CostTable:
    """Measured times of one model on one machine: what a cost model begins with.

    Recorded once, it makes every later run repeat exactly (`DecodingConfig.cost_table`).
    """

    draft: Points
    """Drafting, and while decoding the planning of trees that it brings, by rows."""
    early: Points
    """Embedding and the layers before the prune layer, by tokens in the pass, roots included."""
    prune: Points
    """The early head and the sub-sampling, by tokens that enter it."""
    late: Points
    """The other layers, LM head, acceptance and commit, by tokens that reach them."""
    past_row_ms: float = 0.0
    """Further time for each row and token of past."""
    past_token_ms: float = 0.0
    """Further time for each token in the pass and token of past."""


@dataclass(frozen=True)
class DecodingConfig:
    """How to decode one request. Validated once, where the request enters (`propd.engine`)."""

    method: str = "propd"
    """A name of `propd.methods.METHODS`."""
    max_new_tokens: int = 128
    """Tokens to write at most, at least 1."""
    max_nodes: int = 63
    """Largest tree of a dynamic method, the root not counted."""
    tree_size: int | None = None
    """Nodes of every tree of a dynamic method, if there are as many guesses. None: the size is
    weighed in every step."""
    prune_rule: Literal["topk", "threshold", "budget"] = "topk"
    """What early pruning goes by. ``topk`` is the paper's rule: a child outside its parent's top-k
    of the early head goes. ``threshold``: a child less probable than ``prune_threshold`` goes.
    ``budget``: the nodes most probable along their whole path stay, as many as pay for their time.
    With each, what hangs below a pruned node goes too."""
    prune_top_k: int | None = None
    """k of the rule ``topk``. None: what the heads recommend."""
    prune_threshold: float = 0.01
    """Least early probability that the rule ``threshold`` keeps."""
    prune_layer: int | None = None
    """Layers before early pruning. None: what the heads recommend."""
    prune_when: Literal["auto", "always", "pays"] = "auto"
    """``pays``: a dynamic method prunes only in steps in which it expects to gain by it. ``auto``,
    here and below: as the method says (`propd.methods.METHODS`)."""
    guesses: Literal["auto", "heads", "text", "both"] = "auto"
    """Who guesses: the draft heads, the text so far (what followed the same words before), or
    both, mixed by how far each could be trusted until now."""
    values: Literal["auto", "rank", "contextual"] = "auto"
    """What a node of a dynamic tree is worth: the running accuracy of its head and rank (paper), or
    the probability of its guess, calibrated while running."""
    cost_model: Literal["auto", "curve", "line"] = "auto"
    """Time of a step by its size: a monotone curve for each segment, or the paper's line."""
    cost_table: CostTable | None = None
    """Recorded times. With a table every size follows it and not the clock: the run repeats."""
    record_probabilities: bool = False
    """Compute the final probability of each verified node (for pictures; costs a softmax)."""
    temperature: float = 0.0
    """0 is greedy: the most probable token. Above 0, tokens are drawn exactly."""
    top_k: int = 0
    """Draw from the k most probable tokens; 0: from all."""
    top_p: float = 1.0
    """Draw from the smallest set of tokens that holds this much probability."""
    min_p: float = 0.0
    """Draw from tokens at least this probable, relative to the most probable."""
    seed: int = 0
    """Of the random numbers; row r of a batch uses seed + r."""
    acceptance: Literal["exact", "typical"] = "exact"
    """``typical`` keeps any node that is probable enough (Medusa); it is NOT lossless: the text is
    no draw from the model, and the tree decides it. So a seed repeats it only where the tree
    repeats: with a fixed tree (``medusa``), but not with a dynamic one, whose sizes follow the
    clock. With a ``cost_table`` a dynamic run repeats as a whole, and still a row may write another
    text alone than in a batch. It needs a temperature above 0."""
    typical_threshold: float = 0.09
    """Typical acceptance keeps what is likelier than this (Medusa's posterior_threshold) ..."""
    typical_alpha: float = 0.3
    """... or than this times exp(-entropy), if that is less (Medusa's posterior_alpha)."""
    stop: tuple[str, ...] = ()
    """The text ends before the first of these that it would contain."""
    ignore_eos: bool = False
    """Go on after an end token (for benchmarks of equal length)."""


@dataclass(frozen=True)
class TokenTree:
    """A token tree in topological order: node 0 is the root and a parent comes before its children.

    Example, a root with two children, the first of which has one child::

        parents = (-1, 0, 0, 1)   depths = (0, 1, 1, 2)   ranks = (0, 0, 1, 0)
    """

    parents: tuple[int, ...]
    """Index of each node's parent; -1 for the root."""
    ranks: tuple[int, ...]
    """Place of each node in the list of what may follow its parent, 0 is best; 0 for the root."""
    depths: tuple[int, ...]
    """Distance of each node from the root."""
    values: tuple[float, ...]
    """Estimated chance that the path up to this node is accepted; 1.0 for the root."""

    @property
    def size(self) -> int:
        """Drafted nodes: the root does not count."""
        return len(self.parents) - 1


@dataclass(frozen=True)
class Node:
    """One token of a step's tree, as an event tells it."""

    token_id: int
    parent: int
    """Index in the event's ``nodes``; -1 for the root."""
    depth: int
    """Distance from the root. What a head guessed at depth d > 0 is of draft head d; the text
    guesses deeper than there are heads, to depth 12."""
    rank: int
    """Place in the list of what may follow its parent, 0 is best: guesses of the heads, of the
    text, or of both in one list."""
    fate: Fate
    value: float
    """Estimated chance that the path up to here is accepted (an estimate, from the planner)."""
    draft_probability: float | None = None
    """Its chance in that list, given its parent: the head's own, or, where values are contextual
    or the text guesses too, calibrated, weighed by phrases and mixed. None for root and bonus."""
    early_rank: int | None = None
    """Place among the early head's successors of the parent, 0 is best; None when not scored."""
    early_probability: float | None = None
    final_probability: float | None = None
    """The model's own probability, given the path; None when pruned or not recorded."""
    choice_id: int | None = None
    """The token the model itself puts after this node; None when pruned or not drawn."""
    text: str = ""
    """Readable form of ``token_id``; filled by `propd.engine`."""
    choice_text: str = ""
    """Readable form of ``choice_id``; filled by `propd.engine`."""
    source: Source = "head"
    """Who guessed it."""


@dataclass(frozen=True)
class SizeDecision:
    """Why the tree has its size: the candidates, what was expected of each, and the choice.

    Everything here is an estimate made before the step ran; what it really took is in
    ``StepEvent.milliseconds``. A fixed tree has one candidate and no estimates.
    """

    sizes: tuple[int, ...]
    """Candidate sizes n (drafted nodes of all rows; roots not counted), ascending."""
    expected_lengths: tuple[float, ...]
    """L(n): expected acceptance length of all rows together, bonus included: at least 1 a row."""
    estimated_ms: tuple[float, ...]
    """T(n): estimated time of a step."""
    chosen: int
    reason: Literal["fixed", "best", "end", "explore"]
    """``fixed`` by the method, ``best`` L(n)/T(n), ``end``: few tokens were left to write,
    ``explore``: not tried for long, and cheap enough to try."""
    acceptance_table: tuple[tuple[float, ...], ...] = ()
    """p[depth - 1][rank]: the chance that the guess of this rank is right, as deep as there are
    heads; where the text guesses too, ranks are those of the mixed lists."""
    cost_coefficients: tuple[float, ...] = ()
    """(b0, b1) of T(n) = b0 + b1 n, in milliseconds; empty when T(n) is no line."""
    prunes: bool = False
    """Whether pruning was to be part of the step; L(n) and T(n) are those of that case."""


@dataclass(frozen=True)
class Milliseconds:
    """Measured time of each phase of a step. The LM head's product belongs to ``verify``."""

    draft: float = 0.0
    grow: float = 0.0
    early: float = 0.0
    prune: float = 0.0
    late: float = 0.0
    verify: float = 0.0
    commit: float = 0.0

    @property
    def total(self) -> float:
        """Time of the whole step."""
        parts = (self.draft, self.grow, self.early, self.prune, self.late)
        return sum(parts) + self.verify + self.commit


@dataclass(frozen=True)
class StepEvent:
    """All that happened in one step. Events are the only thing a picture may be drawn from.

    Event 0 is the prefill: its root is the last token of the prompt, it drafts nothing, and its
    bonus is the first token of the answer.
    """

    index: int
    kind: Literal["prefill", "decode"]
    nodes: tuple[Node, ...]
    """The root and every drafted node, in the order of the tree."""
    bonus: Node | None
    """The model's own next token; its parent is the last kept node. None if the text ended."""
    accepted: tuple[int, ...]
    """Indices of the accepted nodes, root excluded, by depth."""
    token_ids: tuple[int, ...]
    """Tokens this step adds to the text: accepted, then bonus."""
    decision: SizeDecision
    milliseconds: Milliseconds
    past_length: int
    """Tokens in the cache before this step."""
    elapsed_s: float
    """Seconds since the request began, prefill included, time spent by the consumer excluded."""
    finish_reason: FinishReason | None = None
    row: int = 0
    """Number of the request in its batch."""
    rows: int = 1
    """Requests that ran through the layers together in this step."""
    prune_layer: int | None = None
    """The early head looked after this many layers; None when the step did not prune."""
    prune_rule: str | None = None
    """The rule that pruned, such as ``topk``."""
    prune_top_k: int | None = None
    """k of the rule ``topk``."""
    prune_threshold: float | None = None
    """Least early probability of the rule ``threshold``."""
    pieces: tuple[str, ...] = ()
    """Text that each of ``token_ids`` completes, "" inside a character; by `propd.engine`."""
    text: str = ""
    """Text this step adds, the pieces joined; never half a character; filled by `propd.engine`."""

    @property
    def drafted(self) -> int:
        return len(self.nodes) - 1

    @property
    def pruned(self) -> int:
        return sum(node.fate == "pruned" for node in self.nodes)

    @property
    def verified(self) -> int:
        """Drafted nodes that went through every layer."""
        return self.drafted - self.pruned


@dataclass(frozen=True)
class RunStats:
    """Sums over the events of a run."""

    new_tokens: int = 0
    steps: int = 0
    """Passes after the prefill."""
    drafted: int = 0
    pruned: int = 0
    verified: int = 0
    seconds: float = 0.0
    """Prefill included."""
    decode_seconds: float = 0.0
    """Prefill excluded."""
    decoded_tokens: int = field(default=0, repr=False)
    """Tokens that the steps after the prefill added."""

    @property
    def tokens_per_pass(self) -> float:
        """Mean acceptance length; 0 when no step ran."""
        return self.decoded_tokens / self.steps if self.steps else 0.0

    @property
    def tokens_per_second(self) -> float:
        """Prefill included."""
        return self.new_tokens / self.seconds if self.seconds else 0.0

    def add(self, event: StepEvent) -> RunStats:
        """The sums with one more event."""
        decode = event.kind == "decode"
        tokens = len(event.token_ids)
        return RunStats(
            new_tokens=self.new_tokens + tokens,
            steps=self.steps + decode,
            drafted=self.drafted + event.drafted,
            pruned=self.pruned + event.pruned,
            verified=self.verified + event.verified,
            seconds=event.elapsed_s,
            decode_seconds=self.decode_seconds + decode * event.milliseconds.total / 1000,
            decoded_tokens=self.decoded_tokens + decode * tokens,
        )
