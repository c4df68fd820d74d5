"""Where memories stand in a prompt, and when to stop adding."""

import json
from datetime import datetime, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memorist import Memory, Observation
from memorist.errors import InputError
from memorist.models.wordpiece import count_tokens
from memorist.recall.order import WORTHWHILE, placed
from memorist.results import at_edges
from memorist.testing import HashEmbedder

NOW = datetime(2025, 9, 1, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, []),
        (1, [1]),
        (2, [1, 2]),
        (5, [1, 3, 5, 4, 2]),
        (6, [1, 3, 5, 6, 4, 2]),
        (10, [1, 3, 5, 7, 9, 10, 8, 6, 4, 2]),
    ],
)
def test_the_best_stand_at_both_ends(count, expected):
    assert at_edges(range(1, count + 1)) == expected


@given(st.lists(st.integers(), min_size=2))
def test_nothing_is_lost_or_doubled(ranked):
    there = at_edges(ranked)
    assert sorted(there) == sorted(ranked)
    assert (there[0], there[-1]) == (ranked[0], ranked[1])


def reading(count, left=1.0):
    """How well a reader does that reads the ends best: 0.4 + 0.6 x², the left arm scaled."""
    x = np.linspace(-1, 1, count)
    return 0.4 + 0.6 * x**2 * np.where(x < 0, left, 1)


def expected(order, worth):
    """Accuracy when the evidence is at rank r with probability ∝ 0.75^(r-1)."""
    chance = 0.75 ** np.arange(len(order))
    chance /= chance.sum()
    return sum(chance[rank] * worth[place] for place, rank in enumerate(order))


@pytest.mark.parametrize(
    ("count", "before", "after"), [(5, 0.717, 0.793), (10, 0.698, 0.806), (20, 0.758, 0.869), (40, 0.849, 0.928)]
)
def test_a_reader_that_reads_the_ends_best_gains(count, before, after):
    worth, ranks = reading(count), list(range(count))
    assert expected(ranks, worth) == pytest.approx(before, abs=0.001)
    assert expected(at_edges(ranks), worth) == pytest.approx(after, abs=0.001)
    assert placed(ranks, worth) == at_edges(ranks)
    assert expected(at_edges(ranks)[::-1][count // 2 :] + at_edges(ranks)[::-1][: count // 2], worth) < before + 0.01


def test_a_reader_with_a_weak_beginning_is_given_the_end():
    worth = reading(40, left=0.6)
    ranks = list(range(40))
    assert expected(at_edges(ranks), worth) == pytest.approx(0.807, abs=0.002)
    assert expected(ranks[::-1], worth) == pytest.approx(0.848, abs=0.002)
    assert expected(placed(ranks, worth.tolist()), worth) >= expected(ranks[::-1], worth)


TALK = [
    ("a", 1, "The kayak is red."),
    ("a", 1, "It has two seats."),
    ("b", 2, "We paddled the kayak on the lake, the red one."),
    ("c", 3, "The lake froze in winter."),
    ("d", 4, "Red is the colour of the kayak."),
]


@pytest.fixture(scope="module")
def hits(tmp_path_factory):
    with Memory.open(tmp_path_factory.mktemp("order") / "m.db", embedder=HashEmbedder(), clock=lambda: NOW) as memory:
        memory.scope().add(
            [
                Observation(
                    text, speaker="Ana", session=session, at=datetime(2025, 5, day, 9, number, tzinfo=timezone.utc)
                )
                for number, (session, day, text) in enumerate(TALK)
            ]
        )
        yield memory.scope().search("the red kayak", k=5)


def test_a_prompt_in_any_order_says_the_same_under_the_same_dates_for_the_same_tokens(hits):
    prompts = {order: hits.prompt(order) for order in ("time", "rank", "edges")}
    assert hits.prompt() == prompts["time"]
    assert len(set(prompts.values())) > 1
    assert len({tuple(sorted(prompt.splitlines())) for prompt in prompts.values()}) == 1
    assert len({count_tokens([prompt])[0] for prompt in prompts.values()}) == 1
    for prompt in prompts.values():
        lines = prompt.splitlines()
        assert lines[lines.index("[1 May 2025]") + 1 :][:2] == ["  Ana: The kayak is red.", "  Ana: It has two seats."]


def test_the_best_days_stand_at_the_ends(hits):
    days = list(dict.fromkeys(f"[{hit.at.day} May 2025]" for hit in hits))
    shown = [line for line in hits.prompt("edges").splitlines() if line.startswith("[")]
    assert shown == at_edges(days)
    assert [line for line in hits.prompt("rank").splitlines() if line.startswith("[")] == days


def test_an_unknown_order_is_refused(hits):
    with pytest.raises(InputError, match="time, rank, edges"):
        hits.prompt("random")


def test_frugal_stops_where_candidates_score_far_below_the_best(tmp_path):
    texts = ["Vera keeps the spare key of the boathouse.", *(f"Lunch number {n} was soup again." for n in range(30))]
    found = {}
    for recipe in ("default", "frugal"):
        with Memory.open(tmp_path / f"{recipe}.db", recipe=recipe, clock=lambda: NOW) as memory:
            for text in texts:
                memory.scope().add(text, at="2025-01-01")
            found[recipe] = memory.scope().search("Who keeps the spare key of the boathouse?")
            assert memory.scope(user="nobody").search("key") is not None
    assert len(found["default"]) > 5
    assert [hit.text for hit in found["frugal"]] == texts[:1]
    assert found["frugal"][0].score == found["default"][0].score
    assert found["default"][1].score < WORTHWHILE * found["default"][0].score


def test_the_command_line_takes_an_order(tmp_path, capsys):
    from memorist.cli import main

    store = str(tmp_path / "m.db")
    for day, text in ((1, "A boat."), (2, "The kayak is red."), (3, "Red kayak.")):
        assert main(["add", "--text", text, "--at", f"2025-05-0{day}", "--store", store]) == 0
    capsys.readouterr()
    assert main(["search", "red kayak", "--prompt", "--order", "rank", "--json", "--store", store]) == 0
    prompt = json.loads(capsys.readouterr().out)["prompt"]
    assert prompt.index("kayak") < prompt.index("A boat.")
    assert main(["search", "red kayak", "--prompt", "--order", "sideways", "--store", store]) == 2
