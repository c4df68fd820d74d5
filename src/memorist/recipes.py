"""Recipes: named choices of organisers and recall stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from memorist.errors import InputError
from memorist.organise.agent_writer import AGENT, AgentWriter
from memorist.organise.attempts import Outcomes
from memorist.organise.concepts import Abstraction
from memorist.organise.fact_writer import FactWriter
from memorist.organise.facts import FACTS
from memorist.organise.granularity import Granularity
from memorist.organise.graph import FactOrganiser
from memorist.organise.lessons import LESSONS, LessonWriter
from memorist.organise.notes import NOTES, NoteWriter
from memorist.organise.preferences import Preferences
from memorist.organise.protocol import OwnVectors, RecipeOrganiser, Writer
from memorist.organise.stated import Stated
from memorist.organise.summaries import SUMMARIES
from memorist.organise.typed_writer import TYPED, ConceptWriter
from memorist.recall.associate import Associate
from memorist.recall.candidates import dated, dense, dense_seeds, lexical, lexical_seeds, neighbours
from memorist.recall.order import worthwhile
from memorist.recall.pool import Stage
from memorist.recall.prefer import preferred
from memorist.recall.route import routed
from memorist.recall.score import by_both, by_meaning, by_ranks, by_window, by_words
from memorist.recall.select import budgeted, ordered
from memorist.recall.temporal import timely
from memorist.recall.written import composed, current, noted, texts_of


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


def english_facts() -> RecipeOrganiser:
    """The organiser of the fact graph. Raises ModelMissing without its extra."""
    from memorist.organise.extract.english import EnglishGrammar

    return FactOrganiser(EnglishGrammar())


ABLATIONS: Mapping[str, Mapping[str, Associate]] = {
    "hipporag2": {
        "no-synonyms": Associate(synonyms=False),
        "no-passages": Associate(passages=0.0),
        "no-filter": Associate(recognise=0.0),
        "no-words": Associate(words=False),
        "no-specificity": Associate(specificity=False),
        "node": Associate(start="phrases"),
        "model": Associate(recognise="model"),
    }
}
"""What `NAME:ABLATION` leaves out of a recipe, for comparison; `hipporag2:model` has a model choose the facts."""


def with_composed(recipe: Recipe) -> Recipe:
    """The recipe with what somebody composed among its candidates, and with what the caller prefers, before time and
    order are looked at."""
    place = recipe.stages.index(timely if timely in recipe.stages else ordered)
    return replace(recipe, stages=(*recipe.stages[:place], composed, preferred, *recipe.stages[place:]))


RECIPES: Mapping[str, Recipe] = {
    recipe.name: with_composed(recipe)
    for recipe in (
        Recipe(
            "default",
            "words and meaning of each turn and of the best window around it, with a sense of time",
            (*FOUND, by_window, timely, ordered, budgeted),
        ),
        Recipe(
            "memgas",
            "the default, with sittings compared as a whole, by their turns, summaries and keywords, and associated",
            (lexical_seeds, dense_seeds, dated, neighbours, by_window, routed, timely, ordered, budgeted),
            (Granularity,),
        ),
        Recipe(
            "frugal",
            "the default, which stops before the budget where candidates score far below the best",
            (lexical_seeds, dense_seeds, dated, neighbours, by_window, timely, ordered, worthwhile, budgeted),
        ),
        Recipe(
            "mr-rec",
            "the default, with what the interactions among the episodes say of someone's preferences (MR.Rec)",
            (*FOUND, by_window, timely, ordered, budgeted),
            (Preferences,),
        ),
        Recipe(
            "arcmemo",
            "the default, with concepts and lessons abstracted from the solved problems among the episodes (ArcMemo)",
            (*FOUND, by_window, texts_of(LESSONS), texts_of(TYPED), timely, ordered, budgeted),
            (Abstraction, Outcomes),
            (LessonWriter, ConceptWriter),
        ),
        Recipe("lexical", "BM25 over turns", (lexical, by_words, ordered, budgeted)),
        Recipe("dense", "cosine over turns", (dense, by_meaning, ordered, budgeted)),
        Recipe("rrf", "BM25 and cosine over turns, by reciprocal ranks", (lexical, dense, by_ranks, ordered, budgeted)),
        Recipe(
            "hipporag2",
            "facts lead to phrases, these to passages, by personalised PageRank (HippoRAG 2)",
            (Associate(), ordered, budgeted),
            (english_facts,),
        ),
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
        Recipe(
            "mem-alpha",
            "core, semantic and episodic memory that a model edits with tools, beside the turns (Mem-alpha)",
            (*FOUND, by_window, texts_of(AGENT), timely, ordered, budgeted),
            (),
            (AgentWriter,),
        ),
        Recipe("hybrid", "BM25 and cosine over turns, half each", (lexical, dense, by_both, ordered, budgeted)),
    )
}


def writing() -> list[str]:
    """The recipes whose writers ask a model."""
    return [recipe.name for recipe in RECIPES.values() if recipe.writers]


def recipe_named(name: str) -> Recipe:
    """The recipe, or InputError with those there are."""
    base, _, without = name.partition(":")
    if base not in RECIPES:
        raise InputError(f"there is no recipe {name!r}; choose one of {', '.join(RECIPES)}")
    if not without:
        return RECIPES[base]
    known = ABLATIONS.get(base, {})
    if without not in known:
        raise InputError(f"there is no ablation {name!r}; {base} has {', '.join(known) or 'none'}")
    recipe = RECIPES[base]
    stages = tuple(known[without] if isinstance(stage, Associate) else stage for stage in recipe.stages)
    return replace(recipe, name=name, stages=stages)


def derived_anew() -> list[str]:
    """Organisers that begin again when the embedder changes: the vectors of their cubes are not those of the texts, or
    what they write stands in such cubes."""
    makers = {make for recipe in RECIPES.values() for make in recipe.organisers}
    return sorted([SUMMARIES, *(organiser.name for make in makers if isinstance(organiser := make(), OwnVectors))])
