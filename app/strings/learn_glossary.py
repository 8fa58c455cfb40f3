"""The words of the walkthrough and of the whole app, each in a sentence or two."""

from __future__ import annotations

GLOSSARY = {
    "token": (
        "A piece of text that the model reads and writes: a word, a part of a word, or a sign."
    ),
    "pass": (
        "One run of tokens through all layers of the model. Its time is mostly the time to read "
        "the model's weights from memory."
    ),
    "layer": "One of the blocks that a pass goes through, one after another.",
    "step": "One pass with all that belongs to it: draft, grow, prune, verify, accept, commit.",
    "hidden state": (
        "What the model holds about a place in the text after some layers: a list of numbers."
    ),
    "root": "The token that is already decided. The tree grows from it and it is never pruned.",
    "node": "A guessed token in the tree. Its path, from the root down to it, is a guessed text.",
    "depth": "How many tokens a node is away from the root.",
    "rank": "The place of a guess in its list. Rank 1 is the best guess.",
    "draft head": (
        "A small network that guesses a token some places ahead. Head i guesses the token at "
        "depth i, and all heads run at once."
    ),
    "guesses of the text": (
        "What followed the same words earlier, in the prompt or in the answer. They need no "
        "network. They are an extension of ours and not part of the paper."
    ),
    "early head": (
        "A small network that looks at the hidden states after a few layers and says which tokens "
        "may come next. What it finds hopeless is pruned."
    ),
    "token tree": "The guesses of a step: every path from the root is one possible text.",
    "value": (
        "The estimated chance that the whole path down to a node is right. An estimate, made "
        "before the step runs."
    ),
    "tree attention": (
        "Attention in which each node sees the text so far, its own path and nothing else of the "
        "tree, so one pass can check all paths."
    ),
    "mask": "The table that says which node may see which.",
    "drafted": "Fate of a token: it was proposed.",
    "pruned": "Fate of a token: it was dropped after the early layers, before it was verified.",
    "rejected": "Fate of a token: it was verified, and the model itself chose another one.",
    "accepted": "Fate of a token: it was verified, the model agreed, and it is part of the text.",
    "bonus": (
        "The model's own next token behind the accepted ones. Every step writes one; it becomes "
        "the next root."
    ),
    "acceptance length": "Tokens that a step adds to the text: the accepted ones and the bonus.",
    "tokens per pass": "The mean acceptance length of a run. Plain decoding has 1.",
    "expected acceptance length": (
        "L(n): what a tree of n nodes is expected to add to the text, the sum of its nodes' "
        "values, plus 1 for the bonus. An estimate."
    ),
    "verification cost": (
        "T(n): the time of a step with n nodes. It is learned from the steps that have run."
    ),
    "plain decoding": "One token a pass, without any guesses. Also called autoregressive.",
    "greedy": "The model always writes its most probable token, so the text is always the same.",
    "lossless": "The text is exactly the one that the model would have written without guesses.",
    "recall": "Of all right tokens, the share that is still there after pruning.",
    "batch": "Several texts that are written together, in the same passes.",
    "method": (
        "A way to decode: plain, BPD (a chain of guesses), Medusa (a fixed tree), ProPD (a grown "
        "and pruned tree), and mixtures of them for comparison."
    ),
}

GLOSSARY_NAMES = {name: name for name in GLOSSARY}
"""What each word is called on the page; sentences and the glossary itself name it by its key."""
