"""Seed instructions for self-distillation: own templates times own topics, by kind of task."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from propd.training.seed_words import (
    FOREIGN,
    GOODS,
    NAMES,
    PEOPLE,
    PLACES,
    PLURALS,
    TASKS,
    THINGS,
    TOPICS,
    WORKS,
)

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
    "facts": (
        "Who was {person}?",
        "Where is {place}?",
        "Who wrote {work}?",
        "Who played the main role in {work}?",
        "When did {work} come out?",
        "When was the {thing} invented?",
        "Who won the last {thing}?",
        "What is the capital of {place}?",
        "How many people live in {place}?",
        "What is the largest city in {place}?",
        "What is the meaning of {work}?",
        "Where does the {thing} come from?",
        "When did {person} die?",
        "Who is the president of {place}?",
        "What year did {place} become a state?",
        "What was {person} famous for?",
        "How long is the flight from {place} to {place2}?",
        "Who sings the theme song of {work}?",
        "What does the {thing} do?",
        "Name the three most important things about {place}.",
    ),
    "role": (
        "You are {person}. Explain {topic} in your own words.",
        "Act as a doctor. I feel tired after {topic}. What should I do?",
        "Pretend to be {person} and answer: what do you think of {other}?",
        "You are a guide in {place}. Describe what a visitor should see.",
        "Imagine that you are a {thing}. Write your diary of one day.",
        "Be my teacher of mathematics and explain why {a} is larger than {b}.",
        "You are a critic. Review {work} in three paragraphs.",
    ),
    "stem": (
        "In physics, what is the relation between {topic} and energy?",
        "Describe the process of {topic} and what it needs.",
        "What is the difference between a virus, a cell and a {thing}?",
        "How does the {thing} work? Explain its main parts.",
        "Explain the economic and social effects of {topic} in {place}.",
        "Discuss how the {thing} and {topic} changed the history of {place}.",
        "Which factors influence {topic}, and how would one measure them?",
        "Design an experiment about {topic}.",
    ),
    "stories": (
        "{name} has {a} {goods}. {name2} has {b} fewer than {name}. Together they give away {c}. "
        "How many {goods} are left?",
        "{name} buys {c} packs of {goods} for {b} dollars each and pays with a bill of {a} "
        "dollars. How much change does {name} get?",
        "A baker makes {a} {goods} a day and sells {b}% of them. How many are left after {c} days?",
        "{name} works {c} hours a day for {b} dollars an hour. How much does {name} earn in a "
        "week of 5 days?",
        "There are {a} children in a school. {b}% of them go by bus and {c} walk. How many come "
        "another way?",
        "{name} read {b} pages on Monday, twice as many on Tuesday and {c} on Wednesday. The book "
        "has {a} pages. How many pages are left?",
        "{name} is {c} years older than {name2}. In {b} years their ages will add up to {a}. How "
        "old is {name} now?",
        "A farmer has {a} {goods} in {c} fields. He loses {b} in each. How many remain in total?",
        "{name} runs {c} km each morning and {b} km at the weekend. How many km is that in {a} "
        "weeks?",
        "{name} spends half of {a} dollars on {goods}, {b} dollars on a gift and saves the rest. "
        "How much does {name} save?",
        "It takes {name} {b} minutes to wash {c} {goods}. How long does it take to wash {a}?",
        "{name} collects {a} {goods}, gives 1/{c} of them to {name2} and then finds {b} more. How "
        "many does {name} have at the end?",
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
        "Summarize: {text}",
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
        "{text}\nWhat does the text say about {subject}?",
        "{text}\n{more}\nExplain how this relates to {subject}.",
        "{text}\n\n{more}\n\nBased on these texts, describe {subject}.",
    ),
    "extraction": (
        "List all names, places and numbers in this text.\n\n{text}",
        "Extract the key facts as JSON with the fields topic, claim and reason.\n\n{text}",
        "Which sentence of this text is the most important? Quote it.\n\n{text}",
    ),
    "translation": (
        "Translate to English: {foreign}",
        "What does this mean in English? {foreign}",
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


@dataclass(frozen=True)
class Seed:
    """An instruction and what kind of task it is."""

    kind: str
    text: str


def draw_seed(
    source: random.Random, passages: Sequence[str], foreign: Sequence[str] = FOREIGN
) -> Seed:
    """A random instruction.

    passages: texts to work on, without them nothing about texts; foreign: sentences to translate.
    """
    kind = source.choice([*PLAIN, *(ABOUT_TEXT if passages else ())])
    template = source.choice({**PLAIN, **ABOUT_TEXT}[kind])
    return Seed(kind, template.format(**_words(source, passages, foreign)))


def _words(
    source: random.Random, passages: Sequence[str], foreign: Sequence[str]
) -> dict[str, object]:
    text, more = (source.choice(passages) if passages else "" for _ in range(2))
    (name, name2), (place, place2) = source.sample(NAMES, 2), source.sample(PLACES, 2)
    return {
        "topic": source.choice(TOPICS),
        "other": source.choice(TOPICS),
        "task": source.choice(TASKS),
        "plural": source.choice(PLURALS),
        "person": source.choice(PEOPLE),
        "work": source.choice(WORKS),
        "thing": source.choice(THINGS),
        "goods": source.choice(GOODS),
        "name": name,
        "name2": name2,
        "place": place,
        "place2": place2,
        "foreign": source.choice(foreign),
        "a": source.randint(12, 400),
        "b": source.randint(2, 30),
        "c": source.randint(2, 9),
        "text": text,
        "more": more,
        "sentence": source.choice(_sentences(text)) if text else "",
        "subject": _subject(source, text),
    }


def _subject(source: random.Random, text: str) -> str:
    """A long word of a text, as a thing to ask about."""
    long = [word.strip(".,;:()'\"") for word in text.split() if len(word) > 6]
    return source.choice(long) if long else "it"


def _sentences(text: str) -> list[str]:
    found = [part.strip() + "." for part in text.replace("\n", " ").split(". ")]
    return [part for part in found if 20 < len(part) < 300] or [text[:200]]
