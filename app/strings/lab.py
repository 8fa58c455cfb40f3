"""Lab: the planner to play with."""

from __future__ import annotations

from app.strings.step import FATES, STEP

PRESETS = {
    "cpu-2": "2 cores, float32",
    "cpu-2-w4a8": "2 cores, 4 bits",
    "cpu-1": "1 core, float32",
    "cpu-1-w4a8": "1 core, 4 bits",
    "h100": "H100",
    "a100": "A100",
    "rtx-4090": "RTX 4090",
    "t4": "T4",
}
"""Label by name; the models stand in the sources."""
NO_RUN = "Your own run must come with the question; load it first."
NO_TRACE = "A trace must be given as the text of its file."
NO_PRESET = "There is no preset '{given}'; use {known} or {run}NAME of a run."

LAB = {
    **STEP,
    "fates": {**FATES, "d": "drafted", "p": "more likely pruned than not"},
    "lead": (
        "Which tree pays on which machine? Move a slider: the engine's own planner answers. "
        "No model runs here, so every answer is an estimate."
    ),
    "presets": "Begin with",
    "preset_measured": "measured",
    "preset_estimated": "from data sheets",
    "preset_run": "from a run",
    "run_none": "Recorded run …",
    "run_watch": "Run shown in Watch",
    "run_file": "Open a trace file",
    "run_yours": "Your run",
    "run_missing": "Open a run in the place Watch first; then its statistics can be used here.",
    "run_gone": (
        "This link is about somebody's own run, which is not here. Open its trace file; until then "
        "the first preset is shown."
    ),
    "file_large": "The file is larger than {limit} MB; record fewer tokens.",
    "still": (
        "This page has no server: the planner's answers were recorded, so only some sliders move, "
        "in coarse steps."
    ),
    "failed": "The planner did not answer; check the connection and move a slider again.",
    "reset": "Reset",
    "reset_title": "All sliders back to the preset",
    "copy": "Copy link",
    "copied": "Copied",
    "copy_failed": "The browser does not let the page copy; the address above is the same link.",
    "touched": "(some were changed by you)",
    "sources": "Where these numbers come from",
    "groups": {
        "use": "Texts",
        "machine": "Machine",
        "heads": "Draft heads",
        "pruning": "Early pruning",
    },
    "more": "More",
    "units": {
        "ms": ["{value} ms", "{value} ms"],
        "tokens": ["{value} token", "{value} tokens"],
        "percent": ["{value}%", "{value}%"],
    },
    "settings": {
        "rows": ["Batch size", "Texts that are written together in one pass."],
        "past": ["Past length", "Tokens that each text has already; attention reads all of them."],
        "floor_ms": ["Memory floor", "A pass of one token: the time to read all weights."],
        "rise": ["Tokens for free", "Up to so many tokens a pass takes no longer than that."],
        "slope_ms": ["Cost per node", "What each token beyond them adds to the pass."],
        "step": ["Step width", "A device computes in tiles: so many tokens cost what one costs."],
        "accuracy": ["Accuracy of head 1", "How often its best guess is the right word."],
        "further_heads": ["Each further head", "How often it is right, of the head before it."],
        "further_ranks": [
            "Fall-off by rank",
            "At 1 a head's 2nd guess is half as often right as the 1st, the 3rd a third; at 0 all "
            "are alike.",
        ],
        "heads": ["Draft heads", "As many words ahead can be guessed."],
        "draft_ms": ["Time of the draft heads", "Paid once a step, whatever the tree."],
        "layer": ["Prune layer", "All nodes run through so many layers; then some are dropped."],
        "top_k": ["k", "A guess that is not among the early head's k best is dropped."],
        "kept": ["Nodes that survive", "Of a tree of 63. Fewer make the late layers cheaper."],
        "recall": ["Right guesses that survive", "What is missing to 100% is lost to pruning."],
        "look_ms": ["Time of the early look", "The early head, with 16 tokens in the pass."],
    },
    "prune": "Prune",
    "prune_help": "The planner weighs both and takes the faster, unless it is told.",
    "prune_modes": {"pays": "when it pays", "always": "always", "never": "never"},
    "prune_share": "{share} of a pass of 16 tokens lies before layer {layer}.",
    "changed": "changed",
    "head": "The planner's choice",
    "head_nodes": "nodes a text",
    "head_nodes_title": "The tree with the most tokens a second",
    "head_tokens_title": "Expected for each text: accepted guesses and the model's own token",
    "head_rate_title": "All texts together; for each of them {each}",
    "head_plain": "plain decoding",
    "head_plain_title": "Tokens a second, against one token a pass",
    "head_fixed": "Medusa's tree of 63",
    "head_fixed_title": (
        "Tokens a second, against the same tree of 63 nodes in every step, which here is {ratio} "
        "times as fast as plain decoding"
    ),
    "why": "Why this choice",
    "one_node": "1 node",
    "nodes": "{nodes} nodes",
    "why_size": "A tree of {nodes} a text promises {tokens} tokens in {ms} ms.",
    "why_smaller": "{nodes} would save {time} of the time and lose {tokens} of the tokens.",
    "why_larger": "{nodes} would add {tokens} of tokens and {time} of time.",
    "why_largest": "There is no larger tree to choose.",
    "why_none": (
        "No tree pays here: {nodes} a text would add {tokens} of tokens and {time} of time."
    ),
    "why_no_heads": "Without draft heads nothing can be guessed.",
    "why_pruned_pays": (
        "Pruning pays: {dropped} of the nodes stop after layer {layer}, and the best tree is "
        "{share} faster than without."
    ),
    "why_pruned_costs": (
        "Pruning costs more than it saves here: without it the best tree would be {share} faster."
    ),
    "why_unpruned_pays": "Pruning would not pay: its best tree would be {share} slower.",
    "why_unpruned_costs": "With pruning the best tree would be {share} faster.",
    "why_batch": (
        "The larger the batch, the smaller the tree: {alone} nodes for one text alone, {nodes} for "
        "each of {rows}."
    ),
    "root": "root",
    "node": "head {head}, rank {rank}",
    "node_chance": "h{head} r{rank} {chance}",
    "node_short": "h{head} r{rank}",
    "legend_short": "h1 r2: head 1, rank 2",
    "legend_chance": "14%: the chance of its whole path",
    "tree_title": "The tree it would draft",
    "tree_none": "No tree: the model writes one token a pass by itself.",
    "tree_summary": "{nodes} {nodes:node|nodes}, {depth} deep.",
    "legend_value": "larger = likelier that its whole path is right",
    "fact_place": "place",
    "fact_chance": "right, if its parent is",
    "fact_path": "whole path right",
    "fact_survive": "survives pruning",
    "card_tree_hint": "Point at, focus or tap a node to see its chances.",
    "curve_length": "Tokens per pass L(n)",
    "curve_time": "Step time T(n), ms",
    "curve_speed": "Tokens/s, L(n) / T(n)",
    "curve_length_help": "Every node adds less than the one before it.",
    "curve_time_help": "Flat while memory sets the pace, then rising.",
    "curve_speed_help": "The planner takes the highest point.",
    "axis_nodes": "nodes a text",
    "axis_batch": "batch size",
    "ghost_chosen": "the choice",
    "ghost_pruned": "with early pruning",
    "ghost_unpruned": "without pruning",
    "ghost_fixed": "fixed tree of 63 (Medusa)",
    "ghost_plain": "plain decoding",
    "ghost_measured": "measured, not pruned",
    "batch": "When the batch grows",
    "batch_size": "Nodes a text",
    "batch_gain": "Speed, × plain decoding",
    "batch_help": "Click a point to take its batch size.",
    "batch_line": (
        "Batch {rows}: {nodes} {nodes:node|nodes} a text, {ratio} times plain decoding."
    ),
    "lab_table": "The curves as a table",
    "lab_columns": [
        "nodes a text",
        "tokens per pass",
        "step ms",
        "tokens/s",
        "× plain decoding",
        "",
    ],
    "table_chosen": "chosen",
    "source_measured": (
        "Times: measured with {model} in {numbers} on {machine} ({device}, {threads} "
        "{threads:thread|threads}), "
        "{recorded}, the least of {sweeps} runs of: {command}"
    ),
    "numbers": {"w4a8": "groups of 4 bits, inputs of 8"},
    "source_heads": (
        "Draft heads and early heads: counted in {steps} steps of {model} over {prompts}, "
        "{recorded}."
    ),
    "source_sheet": [
        "Estimated from the data sheet of the {device}: {gigabytes_s} GB/s of memory bandwidth, "
        "{teraflops} TFLOPS of 16-bit products.",
        "Memory floor = weight bytes / (bandwidth × {bandwidth_used}) = {gigabytes} GB / "
        "({gigabytes_s} GB/s × {bandwidth_used}) = {floor_ms} ms for {model} in {dtype}.",
        "Cost per node = 2 × parameters / (FLOPS × {flops_used}) = 2 × {billions} billion / "
        "({teraflops} TFLOPS × {flops_used}) = {slope_ms} ms.",
        "Tokens for free = floor / cost = {rise}. The draft heads and the early head read their "
        "own weights. Nothing else is counted, so a real device is slower.",
        "Accuracy of the draft heads: published by Medusa for {model}. Of the early head nothing "
        "is published: that of the default model is assumed, at the same share of the layers.",
    ],
    "source_run": (
        "A run of {model}, method {method}, {steps} steps with {tokens_per_pass} tokens per pass, "
        "on {machine} ({dtype}, {device}, {threads} {threads:thread|threads})."
    ),
    "source_taken": "Taken from it: {parts}.",
    "source_missing": "It tells too little of: {parts}. For these the first preset is used.",
    "source_planner": (
        "The choice is made by the engine's own planner, with the paper's values: accuracies by "
        "head and rank. Method propd-paper runs so; method propd also knows the words it guesses."
    ),
    "taken": {
        "acceptance": "accuracy by head and rank",
        "early": "what early pruning leaves",
        "costs": "time by size",
    },
    "source_biased": (
        "Accuracies are counted where a guess was drafted, and a dynamic tree drafts where it is "
        "confident: a run of Medusa, whose tree never changes, tells most."
    ),
}
