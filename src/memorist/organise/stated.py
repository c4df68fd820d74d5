"""Facts that need no model: what people say of themselves in a few plain forms of English.

The rule is narrow on purpose. It reads a sentence only when it begins with one of FORMS, and takes nothing from
questions, conditions, negations, wishes or hearsay. `I` is the speaker; a capitalised name is that name. A later value
closes an earlier one only where there can be but one: a home, an employer, a job, and "my X is Y" where X is in
`memorist.organise.facts.SINGLE` or a favourite; any other "my X is Y" is kept beside what was said before. The time is
that of the episode: the one past time it speaks of, else when it was said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from memorist.organise.facts import FACTS, RULE, FactsView, Ledger, Statement, is_single, key_of
from memorist.organise.protocol import Around
from memorist.store.protocol import Organised, Stretch, Turn

SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
OPENING = re.compile(
    r"^(?:(?:well|so|oh|hi|hey|yes|yeah|ok|okay|actually|by the way|btw|and|now|update|fyi|good news)[,:!]?\s+)+", re.I
)
UNSURE = re.compile(
    r"\?\s*$|\b(?:if|wish|would|might|may be|maybe|perhaps|could|should|want|hope|think|said|says|told|dreamed|not|n't"
    r"|never|used to|once|pretend|imagine|almost|nearly)\b|n['’]t\b",
    re.I,
)
TAIL = re.compile(
    r"\s*(?:,|;|\(| - | – | — |\b(?:as (?:a|an|the)|and|but|because|since|as of|which|where|when|while|so that|now"
    r"|these days|at the moment|right now|currently|anymore|again|too|last|this|yesterday|today|recently|already"
    r"|finally"
    r"|in (?:january|february|march|april|may|june|july|august|september|october|november|december|spring|summer|autumn"
    r"|fall|winter|\d{4})|on (?:mon|tues|wednes|thurs|fri|satur|sun)day|with (?:my|his|her|their)"
    r"|for (?:my|his|her|a|the)|from [A-Z]\w*|\d+ (?:days?|weeks?|months?|years?) ago)\b).*$",
    re.I | re.DOTALL,
)
"""Where a value ends."""

WHO = (
    r"(?P<who>I|[A-Z][\w'’-]+(?: [A-Z][\w'’-]+)?)(?:['’](?:m|ve|s))?(?: (?:am|is|have|has))?"
    r"(?: (?:just|now|finally|recently|already|currently))*"
)
OWNER = r"(?:(?P<my>my)|(?P<whose>[A-Z][\w-]+(?: [A-Z][\w-]+)?)['’]s?)"
VALUE = r"(?P<value>\S.{0,80})"

LONGEST = 200
"""Characters of a sentence that can be plain."""

MOST_WORDS = 6
"""Of a value."""

FORMS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "lives in",
        re.compile(
            rf"^{WHO} (?:lives?|living|resides?|settled|relocated to|based|moved (?:back )?to|moved into"
            rf"|moving to|staying)(?: in| to)? {VALUE}"
        ),
    ),
    (
        "works at",
        re.compile(
            rf"^{WHO} (?:works?|working|started (?:a job |working )?|employed|got a job|took a job)"
            rf" (?:at|for|by|with) {VALUE}"
        ),
    ),
    ("works as", re.compile(rf"^{WHO} (?:works?|working|became|started)(?: as) {VALUE}")),
    ("is called", re.compile(rf"^{WHO} (?:called|named|goes? by|changed (?:my|his|her|their) name to) {VALUE}")),
    (
        "",
        re.compile(
            rf"^{OWNER} (?:(?:new|current|present) )?(?P<what>[a-z][\w'’-]*(?: [a-z][\w'’-]*){{0,3}}?)"
            rf" (?:is|are)(?: (?:now|currently|called|named|changed to))* {VALUE}"
        ),
    ),
)
VERBS = frozenset(relation for relation, _ in FORMS if relation)
NOBODY = frozenset(
    """we they he she it you this that there these those everyone everybody someone somebody nobody who what which
    people one both all most some many""".split()  # noqa: SIM905
)
ARTICLES = re.compile(r"^(?:the|a|an|in|at|to|now)\s+", re.I)
STATES = frozenset(
    """so very too really quite much such great good bad nice fine ok okay sick ill well better worse here there broken
    lost late early ready done busy tired happy sad coming going getting being feeling doing having about
    just""".split()  # noqa: SIM905
)
"""Words that begin a state or an opinion, not a value that would replace another one."""


class Stated:
    """The organiser of facts that are plainly stated; it runs while episodes are indexed."""

    name = "stated"
    reach = 0
    batch = 512

    def organise(self, stretches: Sequence[Stretch], changed: frozenset[int], around: Around) -> Organised:
        """What the changed episodes say now, in the place of what they said before."""
        ledger = Ledger(around.view(FACTS, FactsView))
        ledger.remove(changed, lambda one: one.by == RULE)
        for stretch in stretches:
            for turn in stretch.turns:
                for statement in stated(turn):
                    ledger.add(statement)
        return ledger.organised(around.embedder)

    def mend(self, around: Around) -> Organised:
        """Facts that were closed by one that is gone are open again."""
        view = around.view(FACTS, FactsView)
        ledger = Ledger(view)
        for group in view.dangling:
            ledger.of(group)
        return ledger.organised(around.embedder)


def stated(turn: Turn) -> Iterator[Statement]:
    """The statements of an episode."""
    for sentence in SENTENCE.split(turn.text):
        found = read(sentence.strip(), turn.speaker or "the user")
        if found is not None:
            subject, relation, value = found
            form = "{}'s {} is {}." if relation not in VERBS else "{} {} {}."
            yield Statement(
                text=form.format(subject, relation, value),
                subject=key_of(subject),
                relation=key_of(relation),
                value=key_of(value),
                single=is_single(relation),
                ends=False,
                rows=(turn.row,),
                first=turn.id,
                trust=turn.trust,
                start=turn.valid_from,
                end=None,
                known=turn.recorded_at,
                by=RULE,
                session=turn.session,
                agent=turn.agent,
            )


def read(sentence: str, speaker: str) -> tuple[str, str, str] | None:
    """(subject, relation, value) of a sentence in one of the forms, or None."""
    sentence = OPENING.sub("", sentence)
    if not sentence or len(sentence) > LONGEST or UNSURE.search(sentence):
        return None
    my = sentence[:3].lower() == "my "
    sentence = "my " + sentence[3:] if my else sentence[0].upper() + sentence[1:]
    for relation, form in FORMS:
        if found := form.match(sentence):
            return filled(relation, found.groupdict(), speaker)
    return None


def filled(relation: str, parts: Mapping[str, str | None], speaker: str) -> tuple[str, str, str] | None:
    """What a form found, unless its value is none or its subject is nobody in particular."""
    value = ARTICLES.sub("", TAIL.sub("", parts["value"] or "").strip(" .!'\"“”"))
    if not value or value.split()[0] in STATES or len(value.split()) > MOST_WORDS:
        return None
    subject = speaker if parts.get("my") or parts.get("who") == "I" else parts.get("who") or parts["whose"] or ""
    if subject.split()[0].lower() in NOBODY:
        return None
    what = relation or str(parts["what"]).lower()
    return subject, what, value
