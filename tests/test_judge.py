"""A real small model as a judge: what it costs, how far it agrees with the deterministic judge, and with itself."""

import pytest

from memorist.bench.judges import RUNS, ModelJudge, judge_named
from memorist.bench.suite import Task

SMALL = "local:smollm2-135m"

CASES = [  # question, what is right, what was answered, whether that is right
    ("Where does the Douro rise?", "Spain", "It rises in Spain.", True),
    ("Where does the Douro rise?", "Spain", "It rises in Norway.", False),
    ("Who keeps the spare key?", "Rui", "Rui has it.", True),
    ("Who keeps the spare key?", "Rui", "Somebody in the family, I think.", False),
]


@pytest.mark.slow
def test_a_small_model_judges_the_same_twice_and_its_agreement_is_told(capsys):
    first, again = judged(judge_named(SMALL), CASES), judged(judge_named(SMALL), CASES[:1])
    for one in (*first, *again):
        one.pop("judge_seconds", None)
    assert again == first[:1]
    heard = [one for one in first if "judged" in one]
    assert len(heard) >= len(CASES) - 1
    assert all(one["judge_calls"] >= RUNS for one in heard)
    agreement = sum(one["judge_agreement"] for one in heard) / len(heard)
    consistency = sum(one["judge_consistency"] for one in heard) / len(heard)
    wrong = [one["judged"] for one, case in zip(first, CASES) if not case[3] and "judged" in one]
    with capsys.disabled():
        print(f"\n{judge_named(SMALL).about}: agrees with the deterministic judge in {agreement:.2f}, with itself in")
        print(f"{consistency:.2f}; calls a wrong answer right in {sum(wrong) / len(wrong):.2f} of the runs")


def judged(judge: ModelJudge, cases: list[tuple[str, str, str, bool]]) -> list[dict[str, float]]:
    return [dict(judge.measures(Task("t", "c", question, (gold,)), said, True)) for question, gold, said, _ in cases]
