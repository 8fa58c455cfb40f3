"""The chapters on where guesses come from and how many are checked at once; words only.

``{name}`` is filled in the browser with what the recorded step holds; ``[[word]]`` or
``[[word|as it stands here]]`` marks a word of the glossary, where it first stands in a chapter.
"""

from __future__ import annotations

SLOW = {
    "short": "One token",
    "title": "Why one token at a time is slow",
    "steps": {
        "read": {
            "title": "Reading the weights",
            "text": [
                "A language model writes one [[token]] after another. For each of them the machine "
                "runs one [[pass]]: it sends the last token through all {layers} [[layer|layers]].",
                "For that it has to fetch every weight of the model from memory, {mb} MB here. "
                "On the machine of this measurement one pass takes {one} ms, so memory delivers "
                "about {rate} GB a second. And for the next token it fetches them all again.",
            ],
        },
        "ask": {
            "title": "Your turn",
            "text": [
                "While the weights are there, they could work on more than one token. What would "
                "that cost?",
            ],
        },
        "together": {
            "title": "Tokens that ride along",
            "text": [
                "Fetching takes most of the time, not calculating. So a pass over {asked} tokens "
                "takes only {times} times as long as a pass over one, and a pass over {many} "
                "takes {many_times} times as long.",
                "Move the slider. The upper lane runs a pass for each token, the lower one sends "
                "all of them through one pass. With weights of 4 bits there is less to fetch: "
                "one token gets faster, and further ones cost more beside it.",
                "There is one problem: the next tokens are not known yet. Unless we guess them.",
            ],
        },
    },
    "ask": {
        "question": "A pass over 1 token takes {one} ms. How long does a pass over {asked} take?",
        "choices": [
            "{times} times as long",
            "{between} times as long",
            "{asked} times as long",
        ],
        "reveal": (
            "It takes {together} ms, {times} times as long. {asked} passes of one token each would "
            "take {each} ms."
        ),
    },
    "remember": "A pass costs nearly the same for one token as for a few, because the weights "
    "have to be read anyway.",
    "paper": "The starting point of all parallel decoding, and of the abstract: decode several "
    "tokens in one pass.",
}

HEADS = {
    "short": "Guesses",
    "title": "Draft heads: guessing ahead",
    "steps": {
        "lists": {
            "title": "A head for each place",
            "text": [
                "When a pass is over, the model has decided one token, the [[root]]: “{root}”. Its "
                "last [[hidden state]] knows more than that. [[draft head|Draft heads]] are small "
                "networks that read it and guess further: head 1 guesses the token after the root, "
                "head 2 the one after that.",
                "All {heads} heads together took {draft_ms} ms in this step. The pass itself took "
                "{pass_ms} ms.",
                "These are the real lists of a recorded step. Bars and numbers are probabilities.",
            ],
        },
        "ask": {
            "title": "Your turn",
            "text": ["Head 1 is not sure. Only the model itself decides, and it decides later."],
        },
        "further": {
            "title": "The further, the harder",
            "text": [
                "Over {steps} recorded steps the first guess of head 1 was right in {first}, that "
                "of the last head in {last} of the cases.",
                "The dark bar counts the first guess alone. The light bar counts all guesses that "
                "went into the tree: a list knows more than its first word.",
            ],
        },
        "text": {
            "title": "The text guesses too",
            "text": [
                "Answers repeat words of the prompt and of themselves. So what followed the same "
                "words earlier is a second source: [[guesses of the text]]. It needs no network.",
                "Here it copied {copied} tokens in one step, and the model agreed with all of "
                "them.",
            ],
        },
    },
    "ask": {
        "question": "What will the model itself write after “{root}”?",
        "reveal": (
            "The model writes “{truth}”, the {place} guess of head 1. The green rows show which "
            "guesses came true. One guess a place is often too few: that is why there will be a "
            "tree."
        ),
    },
    "remember": "Heads guess ahead almost for free, and the further ahead, the less often they "
    "are right.",
    "paper": "Draft heads are Medusa's, on which the paper builds. The abstract names their weak "
    "point: each head guesses without knowing what the others guess. Guesses of the text are ours.",
}

TREE = {
    "short": "Tree",
    "title": "From guesses to a tree",
    "steps": {
        "paths": {
            "title": "Paths that share",
            "text": [
                "One guess for each place would be a chain, and one wrong guess would end it. So "
                "we keep several guesses a place. Paths that begin alike share their first "
                "[[node|nodes]]: together they are a [[token tree]].",
                "This is a real one, of {drafted} nodes. Point at a node to read its path.",
            ],
        },
        "value": {
            "title": "What a node is worth",
            "text": [
                "The [[value]] of a node is the estimated chance that its whole path is right. "
                "Along a path chances multiply: for “{deep}” it is {product}.",
                "So a node is never worth more than the one before it, and deep nodes are cheap "
                "promises.",
            ],
        },
        "ask": {
            "title": "Your turn",
            "text": [
                "The tree grows greedily: the node with the greatest value comes next. "
                "{count} nodes stand already.",
            ],
        },
        "grow": {
            "title": "Growing",
            "text": [
                "Watch it grow. Each node adds its value to the [[expected acceptance length]], "
                "L(n) = 1 + the sum of all values. The first nodes add much, the last ones little.",
                "With all {drafted} nodes {length} tokens were expected. When the step had run, it "
                "had added {got} to the text.",
            ],
        },
    },
    "ask": {
        "question": "Which node comes next?",
        "reveal": "“{next}”, because its value, {next_value}, is the greatest of all that could "
        "come next.",
    },
    "remember": "A tree grows best node first, and it is worth the sum of its nodes' values plus "
    "one.",
    "paper": "Topic: dynamic token tree generation, acceptance estimation. As reviews report it, "
    "the paper multiplies the running accuracies of the heads' ranks; this recorded step "
    "multiplies the guesses' own probabilities (ours).",
}

ATTENTION = {
    "short": "Attention",
    "title": "Tree attention: many texts in one pass",
    "steps": {
        "line": {
            "title": "A tree in a line",
            "text": [
                "A pass reads its tokens as one line. But “{a}” and “{b}” are rivals: both want "
                "the same place in the text. If one saw the other, both would be checked in a "
                "text that nobody wrote.",
                "Their position in the text is the same too: it is counted by [[depth]] and not "
                "by the place in the line.",
            ],
        },
        "ask": {
            "title": "Your turn",
            "text": ["Look at the tree. One row of the table is empty: that of “{asked}”."],
        },
        "mask": {
            "title": "The mask",
            "text": [
                "The [[mask]] is a table. Each row is a node, each filled square a token that it "
                "sees: the text so far, the nodes on its own path, and itself. That is "
                "[[tree attention]].",
                "Point at a row or at a node of the tree, or walk with the arrow keys. What the "
                "row sees is ringed in the tree.",
            ],
        },
        "cut": {
            "title": "After pruning",
            "text": [
                "After layer {layer} this step dropped {pruned} nodes. The mask is not made anew: "
                "rows and columns of the dropped nodes are left out, and {left} of {nodes} rows "
                "go on.",
                "Press the button to close the gaps, as the program does.",
            ],
        },
    },
    "ask": {
        "question": "Which tokens may “{asked}” see, besides the text so far?",
        "reveal": "Its own path and itself: {seen}. So the model judges it in exactly the text in "
        "which it would stand.",
    },
    "remember": "A node sees its own path and nothing else of the tree, so every path is judged "
    "as if it were alone.",
    "paper": "Tree attention is older (SpecInfer, Medusa). The paper's part, as one review reports "
    "it: after early pruning the cached mask is sub-sampled and not rebuilt.",
}

PRUNING = {
    "short": "Pruning",
    "title": "Early pruning: what early layers know",
    "steps": {
        "knows": {
            "title": "What early layers know",
            "text": [
                "The model has {layers} layers. After layer {layer} we ask: is the right token "
                "among the {k} best? Reading the unfinished state with the model's own output "
                "says yes in {lens} of {positions} places. A small trained network, the "
                "[[early head]], says yes in {recall}.",
                "So a few layers and a small head can tell which guesses are hopeless. With k = "
                "{k}, {guessed} of the right guesses stay, and {wrong} of the wrong ones go.",
                "Move k: a small k cuts more wrong guesses, and more right ones too.",
            ],
        },
        "ask": {
            "title": "Your turn",
            "text": [
                "A recorded step: the text goes on after “{root}”, and the tree has "
                "{drafted} nodes. After layer {layer} the early head looks at all of them.",
            ],
        },
        "cut": {
            "title": "Why was it cut?",
            "text": [
                "A node goes if it is not among the {k} best successors of its parent, in the eyes "
                "of the early head. All that hangs below it goes too. Here {pruned} of {drafted} "
                "go, and {verified} are left for the other layers.",
                "Point at a node to read why it was cut. Then move k and watch the tree.",
            ],
        },
        "lost": {
            "title": "A wrong cut",
            "text": [
                "The early head is not always right. Here “{loss}” was ranked {loss_rank} after "
                "“{loss_parent}”, outside the best {loss_k}, and went. The model itself would have "
                "chosen it.",
                "In all recorded runs {share} of the guesses were pruned, and of {right} right "
                "ones {lost} were lost. A lost token is not missing in the text: the model writes "
                "it itself, as the [[bonus]]. What is lost is time.",
            ],
        },
    },
    "ask": {
        "question": "Which branch after “{root}” will survive the early layers?",
        "reveal": (
            "“{survivor}” survives. {pruned} of {drafted} guesses are gone after layer {layer} of "
            "{layers}, and the other layers have only {verified} left to check."
        ),
    },
    "remember": "After a few layers most hopeless branches can be told; a wrong cut costs time, "
    "never a word of the text.",
    "paper": "Topic: early pruning. That an early head's top k decides is reported by several "
    "reviews, layer 4 by one. The paper's k is not known to us; 50 is our choice.",
}
