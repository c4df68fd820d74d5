"""The promise of the README: the default recalls more than its parts at the same token budget."""

import os
from pathlib import Path

import pytest
from rich.console import Console

from memorist.bench.data import sources
from memorist.bench.records import Journal
from memorist.bench.run import Plan, run
from memorist.bench.suite import Source
from memorist.bench.suites.locomo import LOCOMO as SUITE
from memorist.recall.pool import Limits

LOCOMO = Path(os.environ.get("MEMORIST_DATA", Path(__file__).parents[2] / "shared" / "data")) / "locomo" / "locomo.json"
BUDGETS = (500, 1_500, 3_000)


def recalls(data, recipes):
    limits = [Limits(None, budget) for budget in BUDGETS]
    plan = Plan(sources([SUITE], [str(data)], Source()), recipes, limits)
    (measured,) = run(plan, Journal(None), Console(quiet=True))
    return {
        (row.recipe, row.budget): row.value
        for row in measured.rows
        if (row.metric, row.category) == ("evidence_recall", "all")
    }


@pytest.mark.parametrize("data", ["dev_assistant", "dev_colleagues"])
def test_the_default_wins_on_paraphrased_questions(data):
    found = recalls(data, ["default", "lexical", "dense", "hybrid"])
    for budget in BUDGETS:
        best = max(found[recipe, budget] for recipe in ("lexical", "dense", "hybrid"))
        assert found["default", budget] > best, (budget, found)


@pytest.mark.skipif(not LOCOMO.is_file(), reason="the LoCoMo development file is not here; set MEMORIST_DATA")
def test_locomo():
    found = recalls(LOCOMO, ["default"])
    for budget, least in zip(BUDGETS, (0.79, 0.89, 0.93), strict=True):
        assert found["default", budget] >= least, found
