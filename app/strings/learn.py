"""Learn: the words around the chapters; ``{name}`` is filled in the browser."""

from __future__ import annotations

from typing import Any

from app.strings.learn_first import ATTENTION, HEADS, PRUNING, SLOW, TREE
from app.strings.learn_glossary import GLOSSARY, GLOSSARY_NAMES
from app.strings.learn_second import BATCH, LIMITS, SIZE, STEP_BY_STEP
from app.strings.step import STEP

CHAPTERS: dict[str, Any] = {
    "slow": SLOW,
    "heads": HEADS,
    "tree": TREE,
    "attention": ATTENTION,
    "pruning": PRUNING,
    "size": SIZE,
    "step": STEP_BY_STEP,
    "batch": BATCH,
    "limits": LIMITS,
}
"""By the name that stands in addresses; the order is that of the chapters."""

PAGE = {
    "learn": "Walkthrough",
    "chapter_nav": "Chapters",
    "chapter_of": "Chapter {number} of {count}",
    "chapter_label": "Chapter {number}: {title}",
    "chapter_done": "Chapter {number}: {title}, answered",
    "progress": "How much of the walkthrough you have seen",
    "your_turn": "Your turn",
    "remember": "To remember",
    "in_the_paper": "In the paper",
    "back": "Back",
    "next": "Next",
    "next_chapter": "Next chapter: {title}",
    "copy_link": "Copy a link to this step",
    "copied": "Copied",
    "learn_keys": "Keys: ← → step, 1 to 9 chapter, ↑ ↓ walk in a tree or a table.",
    "glossary_title": "Glossary",
    "loading": "Loading the recorded steps …",
    "no_step": "The recorded runs of this page hold no step that shows this.",
    "is_right": "right",
    "is_wrong": "your answer",
    "right": "Right.",
    "wrong": "Not quite.",
    "ask_again": "Ask me again",
    "times": "× {value}",
    "ms": "{ms} ms",
    "abc": "abc",
    "caret": "▏",
    "play": "Play",
    "pause": "Pause",
    "again": "Run again",
    "source_step": ("Step {step} of “{prompt}” ({method}), recorded on {machine}, {date}."),
    "source_open": "Open it in Watch",
    "source_table": ("Measured with {model}, {dtype} on {device}, {threads}, {date}:"),
    "weights": {"dense": "32 bits a weight", "w4a8": "4 bits a weight"},
    "weights_choice": "How the weights are kept",
    "threads": {"one": "1 thread", "many": "{count} threads"},
    "prompt_is": "Prompt: “{prompt}” Answer so far:",
}

PICTURES = {
    "axis_tokens": "tokens in the pass",
    "axis_ms": "milliseconds",
    "axis_layer": "after layer",
    "axis_recall": "right token among the best k",
    "axis_k": "k",
    "axis_kept": "share that stays",
    "axis_nodes_each": "nodes for each text",
    "axis_times_plain": "step time, plain = 1",
    "axis_per_pass": "tokens per pass",
    "passes_chart": "Time of a pass by the number of its tokens",
    "line_each": "a pass for each",
    "line_together": "all in one pass",
    "race_title": "Two ways to run tokens through the model",
    "race_label": (
        "{n} {n:token|tokens}: a pass for each {each} ms, all in one pass {together} ms"
    ),
    "race_told": (
        "{n} {n:token|tokens}: {each} ms with a pass for each, {together} ms in one pass, "
        "{per} ms a token."
    ),
    "one_pass": "one pass",
    "not_told": "? ms",
    "stream_title": "A pass for every token",
    "stream_label": "{mb} MB of weights in {layers} layers go through the processor for each token",
    "stream_memory": "Memory: {mb} MB of weights in {layers} layers",
    "stream_processor": "Processor",
    "stream_pace": "{times} times slower than measured",
    "stream_tokens": "tokens written",
    "stream_mb": "MB fetched",
    "stream_ms": "milliseconds",
    "write_token": "Write the next token",
    "lane_each": "a pass for each token",
    "lane_together": "one pass, {n} {n:token|tokens}",
    "tokens_slider": "Tokens",
    "heads_titles": {
        "lists": "What each head guesses",
        "ask": "What each head guesses",
        "further": "How often the heads were right",
        "text": "What the text said before",
    },
    "head_name": "Head {head}",
    "head_distance": "{distance} after the root",
    "head_missed": "what came is not in the list",
    "accuracy_label": "first guess right: {first}; any guess in the tree right: {any}",
    "accuracy_key": "First guess right · any guess in the tree right.",
    "copied_known": "the same words",
    "copied_then": "what followed them",
    "copied_now": "guessed, and accepted",
    "tree_title": "A recorded tree",
    "nodes_slider": "Nodes",
    "paths_told": "Point at a node to read its path and its value.",
    "path_told": "{path}: {product}",
    "grow_told": "{n} {n:node|nodes}: L({n}) = {length} tokens expected.",
    "mask_title": "Who sees whom",
    "mask_label": "Mask: a row for each node, a column for each token it may see",
    "mask_corner": "sees →",
    "mask_past": "text so far",
    "mask_sees": "sees",
    "mask_row": "“{node}” sees the text so far and: {path}",
    "mask_hint": "Point at a row or a node.",
    "mask_compact": "Close the gaps",
    "line_position": "+{depth}",
    "pruning_titles": {
        "knows": "The right token, seen early",
        "ask": "Before the early head looks",
        "cut": "After the early head has looked",
        "lost": "A token that was lost",
    },
    "recall_chart": "How often the right token is among the best k, by layer",
    "cut_chart": "What stays, by k",
    "line_trained": "trained early heads",
    "line_lens": "the model's own output, read early",
    "line_right_kept": "right guesses",
    "line_wrong_kept": "wrong guesses",
    "knows_told": (
        "k = {k}, after layer {layer}: {right} of the right guesses stay, {wrong} of the wrong "
        "ones go."
    ),
    "layer_choice": "Early head to look at",
    "layer_chip": "after layer {layer}",
    "k_slider": "Keep the best k",
    "k_recorded": "k = {k}, as it ran",
    "branch_hint": "The branches to choose from are ringed.",
    "cut_told": "k = {k} after layer {layer}: {kept} of {all} stay, {cut} go.",
    "cut_gone": "{gone} of the accepted tokens would be lost.",
    "cut_unknown": "{unknown} grey ones would stay; what the model thinks of them is not recorded.",
    "size_titles": {
        "lengths": "The best n nodes of a recorded tree",
        "cost": "What they cost",
        "ask": "What they are worth a second",
        "drag": "Drag the curve of T(n)",
    },
    "slope_slider": "Each node costs",
    "floor_slider": "Every pass costs",
    "size_slider": "Nodes n",
    "as_measured": "As measured",
    "trade_chart": "Expected tokens L(n), step time T(n) and tokens a second by tree size n",
    "length_told": "n = {n}: L(n) = {length} expected. Cut so, this step would have written {got}.",
    "cost_told": "n = {n}: T(n) = {ms} ms for L(n) = {length} tokens.",
    "best_told": (
        "Best size: n = {n}, {length} tokens expected in {ms} ms, {speed} tokens/s. Cut so, this "
        "step would have written {got}."
    ),
    "took": "The step took {total} ms for {tokens} {tokens:token|tokens}.",
    "batch_choice": "Texts in the batch",
    "batch_texts": {"one": "1 text", "many": "{count} texts"},
    "batch_titles": {
        "one": "One step of a text alone",
        "many": "One step of {count} texts together",
    },
    "batch_chart": "Step time by nodes for each text",
    "batch_source": (
        "Batches of {prompts} prompts and fewer ({method}), recorded on {machine}, {date}; sizes "
        "follow the measured times below."
    ),
    "nodes_each": "nodes a text, mean of the run",
    "tokens_in_pass": "tokens in this pass",
    "tokens_per_pass_each": "tokens per pass and text",
    "thumb_label": "Text {row}: {drafted} drafted, {accepted} accepted",
    "limits_titles": {
        "ask": "A wrong cut",
        "same": "Two runs of one prompt",
        "promised": "Tokens per pass",
        "paper": "Reported and measured",
        "limits": "Limits",
    },
    "same_badge": "Identical: the first {same} letters, all that both wrote",
    "promise_chart": "Tokens per pass, promised and measured, for each recorded run",
    "paper_says": "What the paper reports (abstract)",
    "paper_list": [
        "1.1 to 3.2 times the speed of existing decoding algorithms.",
        "Early pruning and dynamic trees, balanced for batch sizes, lengths and tasks.",
        "One review adds: verification computes less than half, and no accepted tokens are lost.",
        "Tables, k, and other settings: not known to us, so not compared.",
    ],
    "bench_title": "What we measured",
    "bench_columns": ["method", "speed, plain = 1", "tokens per pass", "identical texts"],
    "bench_source": "{model}, {dtype}, batch 1, {prompts} prompts, {machine}: {command}",
    "limits_list": [
        "A small model of 135 million parameters on a CPU. Larger models on GPUs have flatter "
        "cost curves, and trees pay more.",
        "Heads were trained on text of the model itself. On other kinds of text they guess worse, "
        "and the speed-up shrinks.",
        "At batch 1 on this machine pruning seldom pays: there is too little to save. The recorded "
        "runs prune always, so that there is something to see.",
        "Times were measured on machines that do other work too. Ratios count, milliseconds only "
        "roughly.",
        "All pictures show what was recorded. Only what you change by hand (k, the cost curve) is "
        "computed anew, from recorded ranks and values.",
    ],
}

LEARN: dict[str, Any] = {
    **STEP,
    **PAGE,
    **PICTURES,
    "chapters": CHAPTERS,
    "glossary": GLOSSARY,
    "glossary_names": GLOSSARY_NAMES,
}
