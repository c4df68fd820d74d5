"""Metrics against hand-computed cases and public implementations: trec_eval, scikit-learn, SQuAD by torchmetrics, ROUGE
by Google, and (slow, since it brings 700 MB) ranx. None of ours is a BLEU, so there is nothing for sacrebleu."""

import json
import os
import random
import subprocess
import sys

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from sklearn.metrics import f1_score, ndcg_score
from torchmetrics.functional.text import squad

from memorist.bench.metrics.ranking import hit_at, ndcg_at, precision_at, recall_at, reciprocal_rank
from memorist.bench.metrics.texts import best, contains, exact, normalised, rouge_l, set_f1, states, token_f1


class TestRanking:
    RANKED, GOLD = ("d", "a", "x", "b", "y"), {"a", "b", "c"}

    def test_by_hand(self):
        assert recall_at(self.RANKED, self.GOLD, 2) == 1 / 3
        assert recall_at(self.RANKED, self.GOLD, 5) == 2 / 3
        assert precision_at(self.RANKED, self.GOLD, 5) == 2 / 5
        assert (hit_at(self.RANKED, self.GOLD, 1), hit_at(self.RANKED, self.GOLD, 2)) == (0, 1)
        assert reciprocal_rank(self.RANKED, self.GOLD) == 1 / 2
        assert reciprocal_rank(("x",), self.GOLD) == 0
        gained = 1 / np.log2(3) + 1 / np.log2(5)
        assert ndcg_at(self.RANKED, self.GOLD, 5) == pytest.approx(gained / (1 + 1 / np.log2(3) + 1 / 2))

    @given(st.permutations(list("abcdefgh")), st.sets(st.sampled_from("abcdefgh"), min_size=1), st.integers(1, 8))
    def test_ndcg_is_scikit_learn_s(self, ranked, gold, k):
        truth = [[float(key in gold) for key in ranked]]
        scores = [[float(len(ranked) - place) for place in range(len(ranked))]]
        assert ndcg_at(ranked, gold, k) == pytest.approx(ndcg_score(truth, scores, k=k))

    @given(st.permutations(list("abcdefgh")), st.sets(st.sampled_from("abcdexyz"), min_size=1), st.integers(1, 8))
    def test_all_are_trec_eval_s(self, ranked, gold, k):
        measures = {f"recall.{k}", f"P.{k}", f"ndcg_cut.{k}", f"success.{k}", "recip_rank"}
        judged = pytrec_eval.RelevanceEvaluator({"q": dict.fromkeys(gold, 1)}, measures)
        found = judged.evaluate({"q": scores_of(ranked)})["q"]
        assert ours(ranked, gold, k) == pytest.approx(
            [found[f"recall_{k}"], found[f"P_{k}"], found[f"ndcg_cut_{k}"], found[f"success_{k}"], found["recip_rank"]]
        )

    @pytest.mark.slow
    def test_all_are_ranx_s(self, tmp_path):
        rng = random.Random(0)
        cases = [
            (rng.sample("abcdefgh", 8), rng.sample("abcdexyz", rng.randint(1, 8)), rng.randint(1, 8))
            for _ in range(200)
        ]
        (tmp_path / "cases.json").write_text(json.dumps([(scores_of(ranked), gold, k) for ranked, gold, k in cases]))
        command = [ranx_python(tmp_path), "-c", RANX, str(tmp_path / "cases.json")]
        theirs = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for case, found in zip(cases, theirs, strict=True):
            assert ours(*case) == pytest.approx(found), case


RANX = """
import json, sys
from ranx import Qrels, Run, evaluate
for_all = []
for scores, gold, k in json.load(open(sys.argv[1])):
    names = [f"recall@{k}", f"precision@{k}", f"ndcg@{k}", f"hit_rate@{k}", "mrr"]
    found = evaluate(Qrels({"q": dict.fromkeys(gold, 1)}), Run({"q": scores}), names)
    for_all.append([float(found[name]) for name in names])
print(json.dumps(for_all))
"""


def ranx_python(folder):
    """A Python that has ranx: $RANX_PYTHON, or one made for the test."""
    if "RANX_PYTHON" in os.environ:
        return os.environ["RANX_PYTHON"]
    python = str(folder / "ranx" / "bin" / "python")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "ranx")], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "ranx==0.3.21"], check=True)
    return python


def scores_of(ranked):
    """Scores that fall with the place."""
    return {key: float(len(ranked) - place) for place, key in enumerate(ranked)}


def ours(ranked, gold, k):
    """All of ours, in the order of theirs."""
    measures = (recall_at, precision_at, ndcg_at, hit_at)
    return [*(measure(ranked, set(gold), k) for measure in measures), reciprocal_rank(ranked, set(gold))]


WORDS = st.lists(st.sampled_from(["the", "a", "Cat", "cat!", "sat", "on", "mats", "U.S.", "an", "43"]), min_size=1)


class TestTexts:
    @given(WORDS, st.lists(WORDS, min_size=1, max_size=3))
    def test_exact_and_f1_are_squad_s(self, words, golds):
        said, wanted = " ".join(words), [" ".join(gold) for gold in golds]
        if not normalised(said) or not all(map(normalised, wanted)):
            return  # articles alone: the script calls them no answer, and so do we
        places = [0] * len(wanted)
        found = squad(
            [{"prediction_text": said, "id": "1"}], [{"answers": {"answer_start": places, "text": wanted}, "id": "1"}]
        )
        assert 100 * best(exact, said, wanted) == pytest.approx(float(found["exact_match"]))
        assert 100 * best(token_f1, said, wanted) == pytest.approx(float(found["f1"]), rel=1e-5)

    @given(st.lists(st.sampled_from("bcdef"), min_size=1), st.lists(st.sampled_from("bcdef"), min_size=1))
    def test_rouge_l_is_google_s(self, words, wanted):
        said, gold = " ".join(words), " ".join(wanted)
        assert rouge_l(said, gold) == pytest.approx(RougeScorer(["rougeL"]).score(gold, said)["rougeL"].fmeasure)

    def test_normalised(self):
        assert normalised("  The U.S.A., and an  apple!") == "usa and apple"

    @pytest.mark.parametrize(
        ("said", "gold", "expected"),
        [
            ("the cat sat", "a cat sat", 1.0),
            ("cat cat dog", "cat bird", 0.4),  # one shared of three said and two wanted
            ("yes", "no", 0.0),
            ("yes it is", "yes", 0.0),
            ("", "cat", 0.0),
            ("", "", 1.0),
        ],
    )
    def test_token_f1(self, said, gold, expected):
        assert token_f1(said, gold) == pytest.approx(expected)

    def test_set_f1_counts_a_word_once(self):
        assert token_f1("cat cat", "cat") == pytest.approx(2 / 3)
        assert set_f1("cat cat", "cat") == 1

    @given(st.lists(st.sampled_from("bcdefgh"), min_size=1), st.lists(st.sampled_from("bcdefgh"), min_size=1))
    def test_set_f1_is_scikit_learn_s(self, words, wanted):
        known = sorted(set(words) | set(wanted))
        truth, said = [word in wanted for word in known], [word in words for word in known]
        assert set_f1(" ".join(words), " ".join(wanted)) == pytest.approx(f1_score(truth, said))

    def test_exact_and_contained(self):
        assert exact("The Eiffel Tower!", "eiffel tower") == 1
        assert exact("Eiffel", "eiffel tower") == 0
        assert contains("in 43 days", "4") == 1
        assert states("in 43 days", "4") == 0
        assert states("in 4 days", "4") == 1

    def test_rouge_l(self):
        # Without articles: "police gunman" in "police kill gunman".
        assert rouge_l("police the gunman", "police kill the gunman") == pytest.approx(2 * 2 / (2 + 3))
        assert rouge_l("b c d", "d c b") == pytest.approx(1 / 3)

    def test_best_of_several(self):
        assert best(exact, "Spain", ("France", "spain")) == 1
        assert best(exact, "Spain", ()) == 0
