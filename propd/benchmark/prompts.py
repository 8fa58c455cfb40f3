"""Prompts of our own, for benchmarks without a file and for examples."""

PROMPTS = (
    "Why is the sky blue?",
    "Write a Python function that returns the n-th Fibonacci number, and explain it.",
    "Write a short story about a lighthouse keeper who finds a message in a bottle.",
    "List five tips for learning to cook, one sentence each.",
    "A train travels 60 km in 45 minutes. What is its average speed in km per hour?",
    "Explain the difference between weather and climate to a ten-year-old.",
    "Write a polite email that asks a colleague to review a report by Friday.",
    "Summarize in two sentences: Bees visit flowers to gather nectar. While they do, pollen sticks "
    "to their bodies and is carried to other flowers, which lets the plants form seeds. Without "
    "bees, many crops would yield far less.",
)
