"""Seed instructions for self-distillation: own templates times own topics, by kind of task."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

TOPICS = (
    "the water cycle", "black holes", "volcanoes", "photosynthesis", "the human heart", "vaccines",
    "earthquakes", "the moon landing", "ancient Rome", "the printing press", "the Silk Road",
    "the French Revolution", "inflation", "supply and demand", "saving money", "taxes", "elections",
    "machine learning", "the internet", "encryption", "batteries", "solar panels", "electric cars",
    "recycling", "coral reefs", "rainforests", "honey bees", "wolves", "migrating birds",
    "dolphins", "learning a language", "public speaking", "time management", "job interviews",
    "working from home", "sleep", "running", "yoga", "healthy breakfasts", "baking bread",
    "gardening", "houseplants",
    "chess", "playing the guitar", "painting", "photography", "poetry", "detective novels", "jazz",
    "museums", "a trip to Japan", "hiking in the Alps", "camping", "cycling in a city", "trains",
    "raising a puppy", "moving to a new city", "friendship", "teamwork", "leadership", "patience",
    "bridges", "skyscrapers", "medieval castles", "clocks", "maps", "glass", "steel", "chocolate",
    "coffee", "tea", "cheese", "the Olympic Games", "football", "swimming", "rivers", "deserts",
)  # fmt: skip

PLAIN = {
    "chat": (
        "What is interesting about {topic}?",
        "Can you explain {topic} in simple words?",
        "I know nothing about {topic}. Where should I start?",
        "Why do people care about {topic}?",
        "What are common mistakes with {topic}?",
        "Give me three surprising facts about {topic}.",
        "What would an expert say about {topic}?",
        "Compare {topic} and {other}.",
        "How has {topic} changed over the last hundred years?",
        "What questions should I ask about {topic}?",
    ),
    "writing": (
        "Write a short story about {topic}.",
        "Write a poem about {topic}.",
        "Write an email to a colleague about {topic}.",
        "Write the opening paragraph of an essay on {topic}.",
        "Write a dialogue between two friends who disagree about {topic}.",
        "Write a blog post about {topic} with a catchy title.",
        "Write a product description of a book about {topic}.",
        "Draft a speech of one minute about {topic}.",
        "Pretend to be a traveller from the past and describe {topic}.",
        "Rewrite this sentence politely: I am tired of hearing about {topic}.",
    ),
    "lists": (
        "List ten ideas for a project about {topic}.",
        "Make a table that compares {topic} and {other}.",
        "Give step-by-step instructions for teaching {topic}.",
        "What are the advantages and disadvantages of {topic}?",
        "Plan a week of lessons about {topic}.",
        "Suggest five titles for a talk on {topic}.",
    ),
    "code": (
        "Write a Python function that {task}.",
        "Write a Python function that {task}, with a docstring and an example.",
        "Write a JavaScript function that {task}.",
        "Write a C++ program that {task}.",
        "Explain step by step how to write a program that {task}.",
        "Write unit tests in Python for a function that {task}.",
        "Write a Python class that stores notes about {topic} and can search them.",
        "Write an SQL query that counts the orders about {topic} for each month.",
    ),
    "maths": (
        "{name} has {a} apples and buys {b} bags of {c} each. How many apples are there now?",
        "A train goes {a} km in {c} hours. How far does it go in {b} hours at the same speed?",
        "A shop sells pens at {c} dollars each. How much do {a} pens cost with a discount of {b}%?",
        "What is {a} times {b} minus {c}? Show your work.",
        "{name} reads {c} pages a day. How many days does a book of {a} pages take?",
        "A rectangle is {a} cm long and {b} cm wide. What are its area and its perimeter?",
        "Solve for x: {c}x + {b} = {a}.",
        "The average of {a}, {b} and a third number is {c}. What is the third number?",
        "{name} saves {c} dollars a week. After {b} weeks {name} spends {a} dollars. What is left?",
        "A recipe for {c} people needs {a} grams of flour. How much is needed for {b} people?",
    ),
    "reasoning": (
        "If all {plural} are tired and Max is one of the {plural}, what do we know about Max?",
        "Which word does not belong: {plural}, rivers, {other}, seven? Explain.",
        "What would happen if there were no {plural} for a day?",
        "Put these in a sensible order and explain: {topic}, {other}, breakfast.",
        "What is the cause and what is the effect: {topic} and {other}?",
    ),
}
"""Kinds of tasks whose instruction needs no text to work on."""

ABOUT_TEXT = {
    "summary": (
        "Summarize the following text in two sentences.\n\n{text}",
        "Summarize: {text}\n\nTL;DR:",
        "Give the main points of this text as a list.\n\n{text}",
        "Write a headline for this article.\n\n{text}",
    ),
    "questions": (
        "Answer from the text only.\n\nText: {text}\n\nQuestion: What is it about?",
        "Read the passage and answer the question.\n\nPassage: {text}\n\n"
        "Question: What does it say about {topic}?",
        "Here are two documents.\n\nDocument 1: {text}\n\nDocument 2: {more}\n\n"
        "Question: what is {topic}? Answer from the documents.",
        "Use the context to answer.\n\nContext: {text}\n\nQuestion: why does it matter?\nAnswer:",
    ),
    "extraction": (
        "List all names, places and numbers in this text.\n\n{text}",
        "Extract the key facts as JSON with the fields topic, claim and reason.\n\n{text}",
        "Which sentence of this text is the most important? Quote it.\n\n{text}",
    ),
    "translation": (
        "Translate to English: {foreign}",
        "Translate German to English: {foreign}",
        "Translate to German: {sentence}",
        "Translate this sentence into Spanish: {sentence}",
        "Translate to French: {sentence}",
    ),
    "rewriting": (
        "Rewrite this text for a child.\n\n{text}",
        "Correct the grammar of this text.\n\n{sentence}",
        "Make this text more formal.\n\n{text}",
        "Continue this text.\n\n{sentence}",
    ),
}
"""Kinds of tasks on a text, which is one the model wrote before."""

TASKS = (
    "reverses a string", "checks whether a number is prime", "sorts a list of numbers",
    "counts the words in a text", "finds the largest number in a list", "removes duplicates",
    "computes a factorial", "merges two sorted lists", "reads a CSV file and prints its columns",
    "checks whether a word is a palindrome", "converts Celsius to Fahrenheit", "sums even numbers",
    "finds all files in a folder", "downloads a page and counts its links", "draws a triangle",
    "plays rock, paper, scissors", "groups words by their first letter", "validates an email",
    "computes the mean and the median", "finds the second smallest element", "rotates a matrix",
    "prints the Fibonacci numbers", "searches a sorted list", "counts vowels", "parses a date",
)  # fmt: skip
NAMES = ("Anna", "Ben", "Carla", "David", "Ella", "Farid", "Grace", "Hiro", "Ines", "Jonas")
PLURALS = ("cats", "teachers", "trees", "planets", "books", "doctors", "bakers", "robots")
FOREIGN = (
    "Der Zug nach Berlin fährt heute eine Stunde später ab.",
    "Die Kinder spielen im Garten, obwohl es regnet.",
    "Wir haben gestern ein neues Museum besucht und viel gelernt.",
    "Kannst du mir bitte sagen, wo der Bahnhof ist?",
    "Das Wetter wird morgen sonnig und warm sein.",
    "Die Regierung hat ein neues Gesetz über erneuerbare Energien beschlossen.",
    "Meine Schwester arbeitet als Ärztin in einem großen Krankenhaus.",
    "Ich hätte gern einen Kaffee und ein Stück Kuchen.",
    "Le chat dort sur la chaise pendant que la pluie tombe.",
    "Los estudiantes leen un libro sobre la historia de su ciudad.",
    "Nach dem Spiel feierten die Fans auf den Straßen der Stadt.",
    "Die Preise für Lebensmittel sind im letzten Jahr stark gestiegen.",
)


@dataclass(frozen=True)
class Seed:
    """An instruction and what kind of task it is."""

    kind: str
    text: str


def draw_seed(source: random.Random, passages: Sequence[str]) -> Seed:
    """A random instruction. passages: texts the model wrote; without them, none about texts."""
    kinds = [*PLAIN, *(ABOUT_TEXT if passages else ())]
    kind = source.choice(kinds)
    template = source.choice({**PLAIN, **ABOUT_TEXT}[kind])
    text = source.choice(passages) if passages else ""
    words = {
        "topic": source.choice(TOPICS),
        "other": source.choice(TOPICS),
        "task": source.choice(TASKS),
        "name": source.choice(NAMES),
        "plural": source.choice(PLURALS),
        "foreign": source.choice(FOREIGN),
        "a": source.randint(12, 400),
        "b": source.randint(2, 30),
        "c": source.randint(2, 9),
        "text": text,
        "more": source.choice(passages) if passages else "",
        "sentence": source.choice(_sentences(text)) if text else "",
    }
    return Seed(kind, template.format(**words))


def _sentences(text: str) -> list[str]:
    found = [part.strip() + "." for part in text.replace("\n", " ").split(". ")]
    return [part for part in found if 20 < len(part) < 300] or [text[:200]]
