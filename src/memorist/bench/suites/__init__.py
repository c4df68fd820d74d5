"""The suites, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from memorist.bench.suite import Suite
from memorist.bench.suites import locomo, nq, passages
from memorist.errors import InputError

SUITES: Mapping[str, Suite] = {
    suite.name: suite
    for suite in (
        locomo.LOCOMO,
        nq.NQ,
        nq.NQ_DISTRACTORS,
        passages.MUSIQUE,
        passages.HOTPOTQA,
        passages.TWO_WIKI,
    )
}


def suites_named(names: Sequence[str]) -> list[Suite]:
    """The suites, or InputError with those there are."""
    for name in names:
        if name not in SUITES:
            raise InputError(f"there is no suite {name!r:.50}; choose from {', '.join(SUITES)}")
    return [SUITES[name] for name in dict.fromkeys(names)]
