"""The organiser of the fact graph (HippoRAG 2, write path): facts of an episode, their phrases, and synonyms.

What a model or a file said of an episode is taken from the log; of all others, facts are extracted without a model. So
nothing waits for a model here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from memorist.ids import derived_id, digest
from memorist.models.embedder import Embedder
from memorist.organise.extract.extraction import Extractor, Fact, load_facts, phrase_of
from memorist.organise.fact_cube import ORIGIN, Codes, Phrased, Synonyms, line_of, pack
from memorist.organise.protocol import Around
from memorist.organise.synonyms import PhraseIndex, codes_of
from memorist.store.protocol import Derived, Halves, Organised, Stretch, Turn
from memorist.store.terms import pack_terms


class FactOrganiser:
    """See `RecipeOrganiser`."""

    name = ORIGIN
    reach = 0
    own_vectors: Literal[True] = True
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
    if not speaking:
        return []
    phrased = [phrased_of(facts) for _, facts, _ in speaking]
    index = around.view(ORIGIN, PhraseIndex)
    phrases = list(dict.fromkeys(phrase for one in phrased for phrase in one.phrases))
    texts = list(dict.fromkeys(text for one in phrased for text in one.texts()))
    known = index.known(phrases)
    fresh = [phrase for phrase in phrases if phrase not in known]
    made = embedded([*fresh, *texts], around.embedder)
    known |= dict(zip(fresh, zip(made, codes_of(fresh, made[: len(fresh)]))))
    vectors, codes = (np.stack(column) for column in zip(*(known[phrase] for phrase in phrases)))
    batch = Batch(
        {phrase: place for place, phrase in enumerate(phrases)},
        vectors,
        codes,
        index.synonyms(phrases, vectors, codes),
        dict(zip(texts, made[len(fresh) :])),
    )
    return [cube_of(turn, facts, extractor, one, batch) for (turn, facts, extractor), one in zip(speaking, phrased)]


@dataclass(frozen=True, slots=True)
class Batch:
    """What is known of the phrases and facts of a batch; `synonyms` rise by the phrase's place."""

    places: Mapping[str, int]
    vectors: Halves
    codes: Codes
    synonyms: Synonyms
    facts: Mapping[str, Halves]

    def synonyms_of(self, places: Sequence[int]) -> Synonyms:
        """The synonyms of some phrases, which are numbered anew in this order."""
        low = np.searchsorted(self.synonyms["phrase"], places, "left")
        high = np.searchsorted(self.synonyms["phrase"], places, "right")
        found = np.concatenate([self.synonyms[a:b] for a, b in zip(low, high)])
        found["phrase"] = np.repeat(np.arange(len(places)), high - low)
        return found


def cube_of(turn: Turn, facts: Sequence[Fact], extractor: str, one: Phrased, batch: Batch) -> Derived:
    """The cube of an episode."""
    places = [batch.places[phrase] for phrase in one.phrases]
    texts = one.texts()
    return Derived(
        id=cube_id(turn),
        origin=ORIGIN,
        text="\n".join(line_of(fact) for fact in facts),
        members=(turn.row,),
        trust=turn.trust,
        agent=turn.agent,
        session=turn.session,
        at=turn.at,
        valid_from=turn.valid_from,
        meta={"extractor": extractor, "phrases": one.phrases, "facts": one.facts},
        vectors=np.concatenate([np.stack([batch.facts[text] for text in texts]), batch.vectors[places]]),
        data=pack(one, [pack_terms(text) for text in texts], batch.codes[places], batch.synonyms_of(places)),
    )


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
