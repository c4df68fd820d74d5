"""Speed: what is measured, in which order, and what becomes of a system that is too slow or breaks."""

import json
import re
import sys

import pytest
from rich.console import Console

from memorist.bench import speed
from memorist.bench.html import page
from memorist.bench.peers.known import PEERS
from memorist.bench.speed import Asked, System, document, ours, rotated, run, spread

QUIET = Console(quiet=True)

SLOW = """
import time
from adapters.serve import serve

class Slow:
    def __init__(self, folder, embed):
        pass
    def add(self, owner, items):
        time.sleep(ADDING)
    def settle(self):
        pass
    def search(self, owner, question, k):
        open("asked", "a").write(question + chr(10))
        time.sleep(SEARCHING)
        return []

serve("slow", "numpy", Slow)
"""


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(speed, "QUESTIONS", 5)
    monkeypatch.setattr(speed, "MiniLM", speed.WordSum)


def scripted(tmp_path, monkeypatch, name, adding, searching=0.02):
    path = tmp_path / f"{name}.py"
    path.write_text(SLOW.replace("ADDING", str(adding)).replace("SEARCHING", str(searching)))
    others = {name: System(name, [sys.executable, str(path)])}
    monkeypatch.setattr(speed, "theirs", lambda peer: others[name])


def values(found, suite):
    rows = [row for row in found.rows if row.suite == suite]
    return {name: {row.metric: row.value for row in rows if row.recipe == name} for name in {r.recipe for r in rows}}


def test_ours_beside_a_slow_one(small, tmp_path, monkeypatch):
    scripted(tmp_path, monkeypatch, "slow", 0.1)
    asked = Asked(["default"], [PEERS["chroma"]], [60], rounds=2)
    found = run(asked, QUIET)
    at_size = values(found, "speed-60")
    assert at_size["default"]["search_ratio"] == 1
    assert at_size["slow"]["search_ms_p50"] >= 20
    assert (
        at_size["slow"]["search_ratio_least"] <= at_size["slow"]["search_ratio"] <= at_size["slow"]["search_ratio_most"]
    )
    assert at_size["slow"]["search_ratio"] == pytest.approx(
        at_size["slow"]["search_ms_p50"] / at_size["default"]["search_ms_p50"], rel=0.5
    )
    assert 0 < at_size["slow"]["add_per_second"] <= 60 / 0.1
    for metric in ("add_peak_bytes", "search_peak_bytes", "store_bytes", "open_ms", "first_search_ms"):
        assert at_size["default"][metric] > 0
    adding = values(found, "speed-add")
    assert adding["(embedder alone)"]["add_share_of_embedder"] == 1
    assert 0 < adding["default"]["add_share_of_embedder_least"] <= adding["default"]["add_share_of_embedder_most"]

    written = json.loads(json.dumps(document(found, asked, "memorist bench speed", (1.0, 2.0))))
    assert written["machine"]["load"] == [1.0, 2.0]
    text = page(written)
    assert "Speed at 60 texts" in text
    assert "<td>slow</td>" in text


def test_one_that_takes_too_long_is_given_up_as_soon_as_its_pace_tells(small, tmp_path, monkeypatch):
    scripted(tmp_path, monkeypatch, "slow", 4)
    found = run(Asked(["lexical"], [PEERS["chroma"]], [1_100], rounds=1, patience=7), QUIET)
    reason = r"given up after adding 500 of 1,100 in \d s: at this pace all take \d+ s or more, and the patience is 7 s"
    assert re.fullmatch(reason, found.failed["speed-1100"]["slow"])
    assert set(values(found, "speed-1100")["slow"]) == {"failed"}
    assert values(found, "speed-1100")["lexical"]["search_ratio"] == 1


def test_one_that_searches_slowly_is_asked_less(small, tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "FEWEST", 2)
    monkeypatch.setattr(speed, "SEARCHING", 1.0)  # two of its searches take longer
    scripted(tmp_path, monkeypatch, "slow", 0, searching=0.7)
    found = run(Asked(["lexical"], [PEERS["chroma"]], [60], rounds=1), QUIET)
    asked = {row.recipe: row.n for row in found.rows if row.metric == "search_ms_p50"}
    assert asked == {"lexical": 5, "slow": 2}


def test_the_largest_sizes_are_ours_alone(small, tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "LARGEST", 50)
    scripted(tmp_path, monkeypatch, "slow", 0)
    found = run(Asked(["lexical"], [PEERS["chroma"]], [60], rounds=1), QUIET)
    assert found.failed["speed-60"] == {"slow": "others are measured up to 50 texts; this size is ours alone"}
    assert values(found, "speed-60")["lexical"]["add_per_second"] > 0


def test_order_and_spread():
    assert rotated(["a", "b", "c"], 4) == ["b", "c", "a"]
    assert rotated([], 1) == []
    assert spread("x", [3.0, 1.0, 2.0]) == {"x": 2.0, "x_least": 1.0, "x_most": 3.0}
    assert ours("default").name == "default"
