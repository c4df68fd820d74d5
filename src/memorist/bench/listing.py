"""`memorist bench --list`: what there is to run."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from memorist.bench.peers.known import PEERS
from memorist.bench.readers import READERS
from memorist.bench.suites import MISSING, SUITES
from memorist.recipes import RECIPES

APART: Mapping[str, tuple[str, str]] = {
    "speed": ("time, memory and size as a memory grows", "there are no questions with right answers"),
    "scale": ("where a search's time goes", "it looks inside the default recipe"),
    "graph": ("what the fact graph costs as it grows", "it looks inside one recipe"),
    "load": ("a service of several processes under load, over HTTP", "it needs servers and workers"),
    "soak": (
        "whether a server's memory stays what it is",
        "it makes very many requests, and asks nothing of what is found",
    ),
    "service": ("our server beside mem0 behind one, over HTTP", "there are no questions with right answers"),
    "neighbours": ("pgvector's HNSW beside our index in memory", "it needs PostgreSQL, and asks for vectors alone"),
    "reference": ("HippoRAG's own code beside ours", "both take one ready-made extraction, and grow in parts"),
    "changes": ("facts that are changed, contradicted, taken back", "it changes the memory between questions"),
    "updates": ("facts about people who change three times", "it reads facts, not texts"),
    "answers": ("how often ask answers rightly, wrongly, not at all", "it measures ask, with its confidence"),
    "scheduler": ("whether the working set holds what is asked next", "the order of the questions is what matters"),
    "sessions": ("MemGAS and its parts", "a session is the evidence, and parts are switched off"),
    "order": ("hard negatives and the order of passages", "the context is made by hand, without a memory"),
    "notes": ("whether a note's context helps to find its turn", "notes are replayed from the data"),
    "writers": ("what a language model writes", "it judges cubes, not recall"),
    "cubes": ("what memories as tensors save", "it compares a model with and without them"),
    "weights": ("torch against llama.cpp", "it compares networks"),
    "recommend": ("recommend against popularity", "it measures recommend, over all films (suite movielens: recall)"),
    "concepts": ("concepts over a stream of puzzles", "memory grows as puzzles are solved (suite arc: a fixed memory)"),
}
"""What is measured outside of the suites, and why."""


def show_all(console: Console) -> None:
    """Suites, recipes and readers."""
    table = Table(title="suites")
    for column in ("suite", "what it measures", "shown first", "its file in a folder of data"):
        table.add_column(column)
    for suite in SUITES.values():
        table.add_row(suite.name, suite.about, suite.headline, suite.file or "makes its own")
    console.print(table)
    table = Table(title="recipes")
    for column in ("recipe", "what it is"):
        table.add_column(column)
    for recipe in RECIPES.values():
        table.add_row(recipe.name, recipe.about)
    console.print(table)
    console.print(f"readers: {', '.join(READERS)}, or a model such as local:smollm2-135m", highlight=False)
    table = Table(title="peers: memorist bench peers")
    for column in ("peer", "what it is"):
        table.add_column(column)
    for peer in PEERS.values():
        table.add_row(peer.name, peer.about)
    console.print(table)
    table = Table(title="commands of their own")
    for column in ("bench …", "what it measures", "why it is no suite"):
        table.add_column(column)
    for name, (about, why) in APART.items():
        table.add_row(name, about, why)
    console.print(table)
    for name, reason in MISSING.items():
        console.print(f"cannot be run: {name}: {reason}", highlight=False)
