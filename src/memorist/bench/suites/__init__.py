"""The suites, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from memorist.bench.suite import Suite
from memorist.bench.suites import (
    agentbench,
    arc,
    conflicts,
    labels,
    locomo,
    longmemeval,
    movielens,
    nq,
    pairs,
    passages,
    personamem,
)
from memorist.errors import InputError

SUITES: Mapping[str, Suite] = {
    suite.name: suite
    for suite in (
        locomo.LOCOMO,
        passages.MUSIQUE,
        passages.HOTPOTQA,
        passages.TWO_WIKI,
        passages.NQ_POOLED,
        nq.NQ,
        nq.NQ_DISTRACTORS,
        passages.STRATEGYQA,
        pairs.KEY_VALUE,
        personamem.PERSONAMEM,
        labels.BANKING77,
        labels.CLINC150,
        labels.TREC,
        labels.CLUTRR,
        movielens.MOVIELENS,
        arc.ARC,
        conflicts.CONFLICTS,
        agentbench.AGENT_BENCH,
        longmemeval.LONG_MEM_EVAL,
    )
}


MISSING: dict[str, str] = {
    "agentbench recommendation": "it needs the catalogue of films that its records do not hold",
}
"""What belongs here and cannot be run, with the reason."""


def suites_named(names: Sequence[str]) -> list[Suite]:
    """The suites, or InputError with those there are."""
    for name in names:
        if name in MISSING:
            raise InputError(f"{name} cannot be run: {MISSING[name]}")
        if name not in SUITES:
            raise InputError(f"there is no suite {name!r:.50}; choose from {', '.join(SUITES)}")
    return [SUITES[name] for name in dict.fromkeys(names)]
