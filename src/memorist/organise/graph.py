"""The organiser of the fact graph (HippoRAG 2, write path): facts of an episode, their phrases, and synonyms.

What a model or a file said of an episode is taken from the log; of all others, facts are extracted without a model. So
nothing waits for a model here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from memorist.ids import derived_id, digest
from memorist.models.embedder import Embedder
from memorist.organise.extract.extraction import Extractor, Fact, load_facts, phrase_of
from memorist.organise.fact_cube import ORIGIN, Phrased, line_of, pack
from memorist.organise.protocol import Around
from memorist.organise.synonyms import PhraseIndex, codes_of
from memorist.store.protocol import Derived, Halves, Organised, Stretch, Turn
from memorist.store.terms import pack_terms


class FactOrganiser:
    """See `RecipeOrganiser`."""

    name = ORIGIN
    reach = 0
    batch = 128

    def __init__(self, extractor: Extractor) -> None:
        self._extractor = extractor

    def organise(self, stretches: Sequence[Stretch], changed: frozenset[int], around: Around) -> Organised:
        """A cube for each episode that says something; those that say nothing any more lose theirs."""
        turns = [turn for stretch in stretches for turn in stretch.turns]
        said = self.facts_of(turns, around)
        speaking = [(turn, facts, extractor) for turn, (extractor, facts) in zip(turns, said) if facts]
        cubes = cubes_of(speaking, around)
        silent = tuple(cube_id(turn) for turn, (_, facts) in zip(turns, said) if not facts)
        return Organised(tuple(cubes), silent)

    def facts_of(self, turns: Sequence[Turn], around: Around) -> list[tuple[str, Sequence[Fact]]]:
        """The extractor and the facts of each turn."""
        logged = around.extracted([turn.row for turn in turns], [digest(turn.text) for turn in turns])
        found: dict[int, tuple[str, Sequence[Fact]]] = {
            row: (one.extractor, load_facts(one.value)) for row, one in logged.items()
        }
        rest = [turn for turn in turns if turn.row not in found]
        for turn, facts in zip(rest, self._extractor.extract([turn.text for turn in rest])):
            found[turn.row] = (self._extractor.name, facts)
        return [found[turn.row] for turn in turns]


def cubes_of(speaking: Sequence[tuple[Turn, Sequence[Fact], str]], around: Around) -> list[Derived]:
    """The cubes of a batch: all that is new to the memory is embedded at once."""
    phrased = [phrased_of(facts) for _, facts, _ in speaking]
    index = around.view(ORIGIN, PhraseIndex)
    every = list(dict.fromkeys(phrase for one in phrased for phrase in one.phrases))
    known = index.known(every)
    texts = list(dict.fromkeys(text for one in phrased for text in one.texts()))
    fresh = [phrase for phrase in every if phrase not in known]
    made = embedded([*fresh, *texts], around.embedder)
    vectors = known | dict(zip(fresh, made))
    facts = dict(zip(texts, made[len(fresh) :]))
    stacked = np.stack([vectors[phrase] for phrase in every]) if every else np.empty((0, 1), np.float16)
    codes = codes_of(every, stacked)
    synonyms = index.synonyms(every, stacked, codes)
    place = {phrase: number for number, phrase in enumerate(every)}
    bounds = np.searchsorted(synonyms["phrase"], np.arange(len(every) + 1))
    cubes = []
    for (turn, said, extractor), one in zip(speaking, phrased):
        own = [place[phrase] for phrase in one.phrases]
        alike = [synonyms[bounds[number] : bounds[number + 1]].copy() for number in own]
        for number, pairs in enumerate(alike):
            pairs["phrase"] = number
        lines = one.texts()
        cubes.append(
            Derived(
                id=cube_id(turn),
                origin=ORIGIN,
                text="\n".join(line_of(fact) for fact in said),
                members=(turn.row,),
                trust=turn.trust,
                agent=turn.agent,
                session=turn.session,
                at=turn.at,
                valid_from=turn.valid_from,
                meta={"extractor": extractor, "phrases": one.phrases, "facts": one.facts},
                vectors=np.stack([*(facts[text] for text in lines), *(vectors[phrase] for phrase in one.phrases)]),
                data=pack([pack_terms(text) for text in lines], codes[own], np.concatenate(alike)),
            )
        )
    return cubes


def phrased_of(facts: Sequence[Fact]) -> Phrased:
    """Facts over normalised phrases."""
    places: dict[str, int] = {}
    numbered = tuple(
        (
            places.setdefault(phrase_of(fact.subject), len(places)),
            phrase_of(fact.relation),
            places.setdefault(phrase_of(fact.object), len(places)),
        )
        for fact in facts
    )
    return Phrased(tuple(places), numbered)


def embedded(texts: Sequence[str], embedder: Embedder) -> Halves:
    """float16 [texts, dimension]: as the store keeps them, so that order does not matter."""
    if not texts:
        return np.empty((0, embedder.identity.dimension), np.float16)
    return np.asarray(embedder.embed(texts), np.float16)


def cube_id(turn: Turn) -> str:
    """The id of what an episode says."""
    return derived_id(ORIGIN, turn.id)
