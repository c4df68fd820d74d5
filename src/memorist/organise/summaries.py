"""Summaries and keywords of sittings by a language model, in the place of the lexical ones.

No add waits for it: `Granularity` has written a digest of its own before. When a sitting changes, it does so again, and
this organiser, whose mark is behind then, puts the model's in its place the next time it runs. Replies are logged: what
was once written of the same turns is not asked for again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from memorist.errors import ModelMissing
from memorist.models.chat import ChatModel, Request
from memorist.models.prompts import prompt_named
from memorist.models.structured import structured
from memorist.organise.digest import KEYWORDS, Digest
from memorist.organise.granularity import WHOLE, Sitting, dated, digest_cubes, parted, texts_of
from memorist.organise.protocol import Around
from memorist.store.protocol import Derived, Organised, Stretch, Turn
from memorist.text import shown

SUMMARIES = "summaries"
REPLY_TOKENS = 500
LONGEST_WORD, LONGEST_SUMMARY = 60, 2_000
"""In characters; what is longer is cut."""


@dataclass
class Written:
    """A model's digest of a conversation."""

    summary: str
    keywords: list[str]


class Summaries:
    """The organiser of digests by a language model."""

    name = SUMMARIES
    reach = WHOLE
    batch = 64

    def organise(self, stretches: Sequence[Stretch], changed: frozenset[int], around: Around) -> Organised:
        """The two cubes of a digest for each sitting with a turn that changed. Raises ModelError."""
        if around.model is None:
            raise ModelMissing("summaries need a language model; open the memory with model=…")
        return Organised(tuple(self._cubes(stretches, changed, around, around.model)))

    def _cubes(
        self,
        stretches: Sequence[Stretch],
        changed: frozenset[int],
        around: Around,
        model: Callable[[Sequence[int]], ChatModel],
    ) -> Iterator[Derived]:
        for stretch in stretches:
            for turns in parted(stretch.turns):
                if not changed.isdisjoint(turn.row for turn in turns):
                    sitting = Sitting(turns, written(turns, model([turn.row for turn in turns])))
                    texts = [dated(sitting, text) for text in texts_of(sitting.digest)]
                    summary, keywords = around.embedder.embed(texts)
                    yield from digest_cubes(sitting, summary, keywords)


def written(turns: Sequence[Turn], model: ChatModel) -> Digest:
    """The model's digest of these turns."""
    prompt = prompt_named("digest")
    lines = "\n".join(f"[{turn.at:%Y-%m-%d}] {shown(turn.speaker, turn.text)}" for turn in turns)
    request = Request(prompt.fill(turns=lines.replace("</turns", "‹/turns")), max_tokens=REPLY_TOKENS, prompt=prompt.id)
    value = structured(model, request, Written).value
    keywords = [" ".join(word.split())[:LONGEST_WORD] for word in value.keywords[:KEYWORDS]]
    return Digest(value.summary.strip()[:LONGEST_SUMMARY], tuple(dict.fromkeys(word for word in keywords if word)))
