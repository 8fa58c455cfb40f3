"""The chapters on size, the whole step, batches and limits; words only (see `learn_first`)."""

from __future__ import annotations

SIZE = {
    "short": "Size",
    "title": "Choosing the size",
    "steps": {
        "lengths": {
            "title": "What nodes bring",
            "text": [
                "How large should the tree be? L(n), the [[expected acceptance length]], always "
                "grows with n. But the first node of this recorded tree brings it to {first}, "
                "{half_n} nodes to {half}, and all {most} to {length_most}: half of them brought "
                "nearly everything.",
                "Move the slider to cut the tree to its best n nodes.",
            ],
        },
        "cost": {
            "title": "What nodes cost",
            "text": [
                "T(n), the [[verification cost]], grows too. A plain pass takes {plain} ms here, a "
                "step with {most} nodes {dearest} ms, {times} times as long.",
                "The program does not know this curve beforehand. It measures a few sizes when it "
                "starts, and goes on learning from every step.",
            ],
        },
        "ask": {
            "title": "Your turn",
            "text": [
                "The best size is the one with the most tokens a second, the greatest L(n) / T(n). "
                "Here it is n = {best}.",
                "Imagine a machine on which every node adds {asked} times as much time.",
            ],
        },
        "drag": {
            "title": "Bend the cost curve",
            "text": [
                "Drag the curve of T(n): on its left end to change what every pass costs, anywhere "
                "else to change what each node adds. The best size and the tree follow at once.",
                "The values of the nodes are those of the recorded step. Whatever you drag, the "
                "text stays the same: only its speed changes.",
            ],
        },
    },
    "ask": {
        "question": "What will be the best size there?",
        "reveal": "n = {dear}. Where nodes are dear, only the best ones pay for themselves; where "
        "they are cheap, larger trees win. No fixed size is right everywhere.",
    },
    "remember": "The best tree is not the largest one: it ends where the next node no longer "
    "pays for its time.",
    "paper": "Topic: dynamic token tree generation. As reviews report it, the paper estimates "
    "T(n) as a line, fitted with weights to running means, and takes the n with the greatest "
    "L(n) / T(n). Curves in place of a line are ours.",
}

STEP_BY_STEP = {
    "short": "One step",
    "title": "The whole step, phase by phase",
    "steps": {
        "draft": {
            "title": "Draft",
            "text": [
                "All parts together, in one recorded [[step]]. It begins with the [[root]], "
                "“{root}”, and with guesses: those of the [[draft head|heads]], and what followed "
                "the same words earlier in the text.",
            ],
        },
        "grow": {
            "title": "Grow",
            "text": [
                "The best guesses become a [[token tree]]. How many, is decided by L(n) / T(n), "
                "before anything runs.",
            ],
        },
        "prune": {
            "title": "Early prune",
            "text": [
                "All nodes go through the first {layer} layers. Then the [[early head]] looks at "
                "them, and hopeless branches are [[pruned]].",
            ],
        },
        "verify": {
            "title": "Verify",
            "text": [
                "The nodes that are left go through the other layers. At every node the model "
                "itself now says what it would write next. Rings mark guesses it agrees with.",
            ],
        },
        "accept": {
            "title": "Accept",
            "text": [
                "From the root on, the guesses are followed as long as the model agrees: they are "
                "[[accepted]]. The other ones are [[rejected]], also those below a wrong guess.",
            ],
        },
        "commit": {
            "title": "Commit",
            "text": [
                "Behind the last accepted token stands the model's own next one, the [[bonus]]: "
                "“{bonus}”. It is free, and it is the root of the next step.",
                "This step added {tokens} tokens to the text: “{text}”.",
            ],
        },
        "ask": {
            "title": "Your turn",
            "text": ["The whole step took {total} ms."],
        },
    },
    "ask": {
        "question": "What took the most time?",
        "reveal": (
            "The {most}: {share} of the step. Guessing and pruning are cheap beside the layers, "
            "which is why they can pay for themselves."
        ),
    },
    "remember": "Each step guesses cheaply, checks once, keeps what the model agrees with, and "
    "always writes at least one token.",
    "paper": "The whole method of the abstract: draft, prune early, verify, and choose the tree "
    "anew while running.",
}

BATCH = {
    "short": "Batch",
    "title": "What happens when the batch grows",
    "steps": {
        "one": {
            "title": "One text",
            "text": [
                "So far one text was written alone. Then a pass has room: a few more nodes cost "
                "nearly nothing. In this recorded run the program drafted {small_nodes} nodes a "
                "step.",
            ],
        },
        "ask": {
            "title": "Your turn",
            "text": [
                "A server answers many people at once: their texts form a [[batch]] and share each "
                "pass. Now {large} texts are written together, each with its own tree.",
            ],
        },
        "many": {
            "title": "Many texts",
            "text": [
                "With {large} texts the pass is already busy with {large} roots. 8 nodes for each "
                "text make a step {eight_large} times as long; for one text alone it was "
                "{eight_small} times. So the best trees are smaller.",
                "That is why a fixed tree is never right for long, and why pruning matters more "
                "when the batch grows: cutting nodes early then saves real time.",
                "Choose a batch and compare. Each small tree belongs to one text.",
            ],
        },
    },
    "ask": {
        "question": "How large will the best tree of each text be, compared with one text alone?",
        "choices": ["Larger", "About the same", "Smaller"],
        "reveal": (
            "{large_nodes} nodes for each of {large} texts, and {small_nodes} for one text alone. "
            "What is free for one text has to be paid for when many share the pass."
        ),
    },
    "remember": "The more texts share a pass, the dearer a node, and the smaller the best tree.",
    "paper": "The abstract promises a balance “across different batch sizes, sequence lengths, "
    "and tasks”. How the paper shares a tree budget among texts is not known to us; one common "
    "budget, best nodes first, is our choice.",
}

LIMITS = {
    "short": "Limits",
    "title": "Limits and honesty",
    "steps": {
        "ask": {
            "title": "Your turn",
            "text": [
                "In chapter 5 pruning cut “{loss}”, a token that the model itself would have "
                "chosen.",
            ],
        },
        "same": {
            "title": "The same text",
            "text": [
                "Guesses and pruning only decide what is looked at. What is written, the whole "
                "model decides. So with [[greedy]] decoding the text is that of "
                "[[plain decoding]]: the method is [[lossless]].",
                "Here are two recorded runs of one prompt, with different trees. The longer text "
                "only had a higher token limit.",
                "In numbers with rounding there is one exception: two tokens so close that the "
                "order of a sum decides. The program has an exact mode for that.",
            ],
        },
        "promised": {
            "title": "Promised and measured",
            "text": [
                "L(n) is an estimate, and estimates can promise too much. In the recorded runs "
                "{promised} tokens a step were promised and {got} came.",
                "Step times are estimated better: {promised_ms} ms were promised, {took} ms were "
                "measured. In this app estimates are always marked as such.",
            ],
        },
        "paper": {
            "title": "The paper and we",
            "text": [
                "The paper's code is not public, and we could read its abstract and reviews, not "
                "its full text. So what we build is a re-implementation, and choices of ours are "
                "named.",
                "Its models are far larger and run on GPUs: the numbers beside each other must not "
                "be compared.",
            ],
        },
        "limits": {
            "title": "What to keep in mind",
            "text": ["What you saw here, and what it does not show:"],
        },
    },
    "ask": {
        "question": "What does such a wrong cut change in the text?",
        "choices": [
            "One word of the text is another one",
            "The text ends earlier",
            "Nothing: it is only written a little later",
        ],
        "reveal": (
            "Nothing. Here are two runs of one prompt with different trees: their first {same} "
            "letters are the same, all that both of them wrote."
        ),
    },
    "remember": "Trees and pruning can make a text faster or slower, but never another text.",
    "paper": "Abstract: 1.1 to 3.2 times the speed of existing decoding algorithms. Every other "
    "number here is our own measurement.",
}
