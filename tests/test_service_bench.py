"""`memorist bench service`: our server beside mem0's library behind one."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from rich.console import Console

from memorist.bench import service
from memorist.bench.peers.environment import why_not
from memorist.bench.peers.known import peer_named
from memorist.bench.told import Outputs
from memorist.errors import InputError
from serving import Server, free_port


def test_without_mem0_it_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setenv("MEMORIST_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="memorist bench peers install mem0"):
        service.run(service.Asked(), Outputs(), Console(file=StringIO()))


def test_ratios_are_of_one_round_each():
    seen = {
        "memorist": service.Seen([20.0, 30.0, 40.0], [[10.0], [20.0], [30.0]]),
        "mem0": service.Seen([10.0, 10.0, 10.0], [[10.0], [40.0], [10.0]]),
    }
    made = service.document_of(seen, service.Asked(), [0.0])
    assert made["adds_ratio"] == {"median": 3.0, "least": 2.0, "most": 4.0}
    assert made["search_p95_ratio"] == {"median": 1.0, "least": 0.5, "most": 3.0}
    assert made["rows"][0]["searches"] == 3


def test_a_system_that_fails_ends_the_run(tmp_path):
    running = Server(tmp_path / "memory.db", free_port(), tmp_path / "log")
    running.start()
    asked = service.Asked(seconds=0.2, clients=1)
    try:
        good, _ = service.stretch(running.port, asked, lambda user, text: ("/v1/search", {"query": text}), 0)
        assert good
        with pytest.raises(InputError, match="/v1/search answered 422"):
            service.stretch(running.port, asked, lambda user, text: ("/v1/search", {"nosuch": text}), 0)
    finally:
        running.stop()
    with pytest.raises(InputError, match="failed"):
        service.stretch(running.port, asked, lambda user, text: ("/v1/search", {"query": text}), 0)


def test_both_are_measured(tmp_path):
    reason = why_not(peer_named("mem0"))
    if reason:
        pytest.skip(reason)
    out = tmp_path / "service.json"
    asked = service.Asked(memories=4, rounds=1, seconds=0.5, clients=1)
    service.run(asked, Outputs(out), Console(file=StringIO()))
    made = json.loads(out.read_text())
    assert made["peers"] == {"mem0": "2.2.1"}
    for one in made["rows"]:
        assert one["adds_per_second"] > 0 and 0 < one["search_ms_p50"] <= one["search_ms_p95"]
