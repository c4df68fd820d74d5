"""Metrics against hand-computed cases and public implementations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, ndcg_score

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


class TestTexts:
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
        # "police the gunman" without articles: police gunman; the longest common subsequence with "police kill gunman" is 2
        assert rouge_l("police the gunman", "police kill the gunman") == pytest.approx(2 * 2 / (2 + 3))
        assert rouge_l("b c d", "d c b") == pytest.approx(1 / 3)

    def test_best_of_several(self):
        assert best(exact, "Spain", ("France", "spain")) == 1
        assert best(exact, "Spain", ()) == 0
