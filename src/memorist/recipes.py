"""Recipes: named choices of organisers and recall stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from memorist.errors import InputError
from memorist.organise.concepts import Abstraction
from memorist.organise.fact_writer import FactWriter
from memorist.organise.facts import FACTS
from memorist.organise.notes import NOTES, NoteWriter
from memorist.organise.preferences import Preferences
from memorist.organise.protocol import RecipeOrganiser, Writer
from memorist.organise.stated import Stated
from memorist.recall.candidates import dated, dense, dense_seeds, lexical, lexical_seeds, neighbours
from memorist.recall.pool import Stage
from memorist.recall.score import by_both, by_meaning, by_ranks, by_window, by_words
from memorist.recall.select import budgeted, ordered
from memorist.recall.temporal import timely
from memorist.recall.written import current, noted, texts_of


@dataclass(frozen=True, slots=True)
class Recipe:
    """Recall stages in their order, and what the recipe is in a sentence.

    `organisers` make what its stages need beyond episodes and windows; each is made once for an open store. `writers`
    ask a model, in background jobs.
    """

    name: str
    about: str
    stages: tuple[Stage, ...]
    organisers: tuple[Callable[[], RecipeOrganiser], ...] = ()
    writers: tuple[Callable[[], Writer], ...] = ()

    @property
    def organised(self) -> bool:
        """Whether anything is derived beyond windows."""
        return bool(self.organisers or self.writers)


FOUND: tuple[Stage, ...] = (lexical_seeds, dense_seeds, dated, neighbours)
"""How the default finds candidates."""

RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "default",
            "words and meaning of each turn and of the best window around it, with a sense of time",
            (*FOUND, by_window, timely, ordered, budgeted),
        ),
        Recipe(
            "mr-rec",
            "the default, with what the interactions among the episodes say of someone's preferences (MR.Rec)",
            (*FOUND, by_window, timely, ordered, budgeted),
            (Preferences,),
        ),
        Recipe(
            "arcmemo",
            "the default, with concepts abstracted from the solved problems among the episodes (ArcMemo)",
            (*FOUND, by_window, timely, ordered, budgeted),
            (Abstraction,),
        ),
        Recipe("lexical", "BM25 over turns", (lexical, by_words, ordered, budgeted)),
        Recipe("dense", "cosine over turns", (dense, by_meaning, ordered, budgeted)),
        Recipe("rrf", "BM25 and cosine over turns, by reciprocal ranks", (lexical, dense, by_ranks, ordered, budgeted)),
        Recipe(
            "facts",
            "what is true now, from when and said by whom, beside the turns; what was superseded steps back",
            (*FOUND, by_window, texts_of(FACTS), current, timely, ordered, budgeted),
            (Stated,),
            (FactWriter,),
        ),
        Recipe(
            "a-mem",
            "notes that a model annotates, links and rewrites, one for each turn (A-MEM)",
            (*FOUND, by_window, texts_of(NOTES), noted, timely, ordered, budgeted),
            (),
            (NoteWriter,),
        ),
        Recipe("hybrid", "BM25 and cosine over turns, half each", (lexical, dense, by_both, ordered, budgeted)),
    )
}


def writing() -> list[str]:
    """The recipes whose writers ask a model."""
    return [recipe.name for recipe in RECIPES.values() if recipe.writers]


def recipe_named(name: str) -> Recipe:
    """The recipe, or InputError with those there are."""
    if name not in RECIPES:
        raise InputError(f"there is no recipe {name!r}; choose one of {', '.join(RECIPES)}")
    return RECIPES[name]
