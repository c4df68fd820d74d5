"""`memorist bench neighbours`: an index of the database beside ours in memory, on a real PostgreSQL with pgvector."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from rich.console import Console

from memorist.bench import neighbours
from memorist.bench.told import Outputs, command
from memorist.errors import InputError, StoreError

QUIET = Console(file=StringIO())


def test_both_find_the_nearest_and_are_timed(server, tmp_path):
    url, out = server.empty(), tmp_path / "neighbours.json"
    asked = neighbours.Asked(size=2_000, queries=12)
    neighbours.run(url, asked, Outputs(out), QUIET)
    made = json.loads(out.read_text())
    ways = {row["name"]: row for row in made["rows"]}
    assert ways["in memory, every vector in full"]["recall"] == 1
    assert all(row["recall"] >= neighbours.ENOUGH and 0 < row["p50"] <= row["p95"] for row in made["rows"])
    (hnsw,) = (name for name in ways if "HNSW" in name)
    assert ways[hnsw]["megabytes"] > 0 and ways[hnsw]["build_seconds"] > 0
    assert server.execute(f"SELECT to_regclass('{neighbours.BESIDE}')", url.rpartition("/")[2]) == [(None,)]
    with pytest.raises(InputError, match="not empty"):
        neighbours.run(url, asked, Outputs(), QUIET)


def test_a_plan_without_the_index_is_an_error_and_not_a_number(server):
    """Of a handful of rows PostgreSQL reads all: that would be timed as if it were HNSW."""
    url = server.empty()
    with pytest.raises(StoreError, match="rather than its index"):
        neighbours.run(url, neighbours.Asked(size=10, queries=2), Outputs(), QUIET)
    assert server.execute(f"SELECT to_regclass('{neighbours.BESIDE}')", url.rpartition("/")[2]) == [(None,)]


def test_lines_of_any_file_are_texts(tmp_path):
    file = tmp_path / "said.json"
    file.write_text('[\n  "turn on the light",\n  "oos",\n  "turn on the light",\n  "play some jazz now"\n]\n')
    assert list(neighbours.lines([file])) == ["turn on the light", "turn on the light", "play some jazz now"]
    said, questions = neighbours.drawn(neighbours.Asked(size=1, queries=1, files=(file,)))
    assert {*said, *questions} == {"turn on the light", "play some jazz now"}
    with pytest.raises(InputError, match="there are 2 different texts, and 3 are needed"):
        neighbours.drawn(neighbours.Asked(size=2, queries=1, files=(file,)))


def test_a_file_is_no_server(tmp_path):
    with pytest.raises(InputError, match="no address of PostgreSQL"):
        neighbours.run(str(tmp_path / "memory.db"), neighbours.Asked(), Outputs(), QUIET)


def test_a_databases_password_is_not_published(monkeypatch):
    monkeypatch.setattr(
        "sys.argv", ["memorist", "bench", "neighbours", "postgresql://ana:secret@db/bench", "--size", "9"]
    )
    assert command() == "memorist bench neighbours 'postgresql://ana:…@db/bench' --size 9"
