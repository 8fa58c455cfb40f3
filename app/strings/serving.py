"""How the page is served: what whoever starts it reads, and what visitors read of processes."""

from __future__ import annotations

COMMAND = (
    "Start ProPD Studio. A variable in brackets sets an option that is not given. Host, port and "
    "root path are Gradio's: GRADIO_SERVER_NAME, GRADIO_SERVER_PORT, GRADIO_ROOT_PATH."
)
WORKERS = (
    "processes that each hold the model, so that so many visitors run at once; 0: none beside the "
    "page's own ({variable})"
)
THREADS = "CPU threads of each such process; 0: the cores shared out ({variable})"
QUEUE = "visitors who may wait for the model; the next one is turned away ({variable})"
SHARE = "ask Gradio for a public address"
NO_WHOLE_NUMBER = "{name} is '{given}'; it must be a whole number from {least} to {most}."
OUT_OF_RANGE = "{name} is {given}; it must be between {least} and {most}."
ZERO_GPU = (
    "{name} is {given}, and ZeroGPU makes a process for each request by itself; leave it at 0."
)

LOST = (
    "The process that ran this has ended, and this run with it; what was written stays on the "
    "page. Ask again: another process takes its place."
)
STARTING = "starting process {number} of {workers}"
GPU_TIME = (
    "This would ask for {given} seconds of a GPU that is lent for {limit} at most; ask for fewer "
    "tokens, methods, repeats or batch sizes."
)
