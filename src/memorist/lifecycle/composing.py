"""Bundling, fusing and splitting cubes by hand (MemOS: composable cubes).

What is made is a text of the origin `composed`, which rests on all episodes behind its originals, is trusted as the
least of them, ends with the first of them, and is found by every recipe. Nothing is asked of a model: the text is the
originals' own words, each once, or the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import combinations

from memorist.answer.conflicts import differ
from memorist.answer.sentences import sentences
from memorist.cube import Cube, Scope
from memorist.errors import InputError, StateError
from memorist.ids import derived_id
from memorist.models.embedder import Embedder
from memorist.models.wordpiece import count_tokens
from memorist.organise.windows import TRUST_ORDER
from memorist.sources.message import check_text
from memorist.states import CHANGEABLE, Verb, unchangeable
from memorist.store.life import COMPOSED
from memorist.store.protocol import Composition, Derived, HeaderChange, Store
from memorist.text import shown

MOST_PIECES = 200


def fusion(cubes: Sequence[Cube], text: str | None, embedder: Embedder) -> Composition:
    """One cube in the place of several. Raises StateError when they cannot be one."""
    originals = at_least_two(cubes)
    reconcilable(originals, decided=text is not None)
    return composition(originals, [said(originals, text)], "fuse", embedder)


def bundle(cubes: Sequence[Cube], text: str | None, embedder: Embedder) -> Composition:
    """One cube beside several, which stay."""
    originals = at_least_two(cubes)
    return composition(originals, [said(originals, text)], None, embedder)


def division(cube: Cube, texts: Sequence[str] | None, embedder: Embedder) -> Composition:
    """Several cubes in the place of one. Raises InputError."""
    pieces = sentences(cube.text) if texts is None else [given(text) for text in texts]
    if len(dict.fromkeys(pieces)) < 2:
        raise InputError(f"{cube.id} has no two parts to split it into; name them: texts=[…]")
    if len(pieces) > MOST_PIECES:
        raise InputError(f"{cube.id} would be split into {len(pieces)} parts; at most {MOST_PIECES} make sense")
    return composition([cube], list(dict.fromkeys(pieces)), "archive", embedder)


def composition(cubes: Sequence[Cube], texts: Sequence[str], verb: Verb | None, embedder: Embedder) -> Composition:
    """The cubes to write, with a header that is true of all originals."""
    speaker = common([cube.speaker for cube in cubes])
    newest = max(cube.at for cube in cubes)
    vectors = embedder.embed(list(texts))
    tokens = count_tokens([shown(speaker, text) for text in texts])
    made = {"fuse": "fused", "archive": "split", None: "bundled"}[verb]
    ids = [cube.id for cube in cubes]
    ends = [cube.valid_to for cube in cubes if cube.valid_to is not None]
    derived = tuple(
        Derived(
            id=derived_id(COMPOSED, made, *sorted(ids), text),
            origin=COMPOSED,
            text=text,
            members=(),
            trust=min((cube.trust for cube in cubes), key=TRUST_ORDER.index),
            agent=common([cube.scope.agent for cube in cubes]) or "",
            session=common([cube.scope.session for cube in cubes]) or "",
            at=newest,
            valid_from=min(cube.valid_from for cube in cubes),
            valid_to=min(ends, default=None),
            tokens=count,
            meta={"made": made, "of": ids},
            vector=vector,
        )
        for text, vector, count in zip(texts, vectors, tokens)
    )
    texts_seen = tuple(cube.text for cube in cubes)
    return Composition(tuple(ids), texts_seen, derived, verb, speaker, header_of(cubes), embedder.identity)


def embed_composed(store: Store, scope: Scope, embedder: Embedder) -> None:
    """Make the vectors of compositions that came without one of this embedder."""
    bare = [one for one in store.derived(scope, COMPOSED, 0).kept if one.vector is None]
    if bare:
        vectors = dict(zip((one.row for one in bare), embedder.embed([one.text for one in bare])))
        store.give_vectors(scope, embedder.identity, vectors)


def header_of(cubes: Sequence[Cube]) -> HeaderChange:
    """The type that all have, the highest priority, every tag, and the first end."""
    ends: list[datetime] = [cube.expires_at for cube in cubes if cube.expires_at is not None]
    return HeaderChange(
        semantic_type=common([cube.semantic_type for cube in cubes]) or "",
        priority=max(cube.priority for cube in cubes),
        sensitivity=sorted({tag for cube in cubes for tag in cube.sensitivity}),
        expires_at=min(ends, default=None),
    )


def reconcilable(cubes: Sequence[Cube], decided: bool) -> None:
    """Raises StateError for cubes that cannot be one: put aside, held, of different times, one made of another, or
    contradicting each other when nobody has `decided` what is to stand."""
    for cube in cubes:
        if cube.state not in CHANGEABLE:
            raise unchangeable(cube.id, cube.state, "be fused")
    for one, other in combinations(cubes, 2):
        if one.id in other.episodes or other.id in one.episodes:
            raise StateError(f"{one.id} and {other.id} cannot be fused: one was made of the other")
        if not overlap(one, other):
            raise StateError(f"{one.id} and {other.id} cannot be fused: they were never true at the same time")
        named = {str(id) for id in one.meta.get("conflicts", ())} if one.origin != "source" else set()
        if not decided and (other.id in named or contradict(one, other)):
            raise StateError(
                f"{one.id} and {other.id} contradict each other, so they cannot be fused as they are;"
                " say what is to stand (text), or update one of them"
            )


def overlap(one: Cube, other: Cube) -> bool:
    """Whether both were true at some time."""
    begin = max(one.valid_from, other.valid_from)
    return all(cube.valid_to is None or begin < cube.valid_to for cube in (one, other))


def contradict(one: Cube, other: Cube) -> bool:
    """Whether a sentence of one says nearly the same as one of the other, with another number, word or a denial."""
    return any(differ(a, b) for a in sentences(one.text) for b in sentences(other.text))


def said(cubes: Sequence[Cube], text: str | None) -> str:
    """The text given, or what the cubes say in the order of time, each thing once."""
    if text is not None:
        return given(text)
    told: dict[str, str] = {}
    for cube in sorted(cubes, key=lambda cube: cube.at):
        told.setdefault(cube.fingerprint, cube.text.strip())
    return "\n".join(told.values())


def given(text: object) -> str:
    """A text of the caller's. Raises InputError."""
    if not isinstance(text, str) or not text.strip():
        raise InputError("the text of what is composed is empty; write what it is to say")
    check_text(text, "the text")
    return text.strip()


def at_least_two(cubes: Sequence[Cube]) -> Sequence[Cube]:
    """The cubes. Raises InputError."""
    if len(cubes) < 2:
        raise InputError("name at least two memories to make one of")
    return cubes


def common(values: Sequence[str | None]) -> str | None:
    """What all have, else None."""
    return values[0] if len(set(values)) == 1 else None
