"""The examples of docs/adapters.md, with the libraries that they are about and mem0's client at a real server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("mem0", reason="needs make test-adapters")

from memorist import Memory
from memorist.cube import Scope
from serving import Server, free_port

PAGE = Path(__file__).parents[2] / "docs" / "adapters.md"
BLOCK = re.compile(r"^```py\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHOWN = [
    "Ana takes the night train.",
    "The night train to Porto leaves at nine.",
    "{'page': 3}",
    "Vera keeps the key.",
    "The night train to Porto leaves at nine.",
    "I moved to Lisbon.",
]


def test_the_examples_show_what_they_say(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    server = Server(tmp_path / "served.db", free_port(), tmp_path / "log")
    given = {"http://127.0.0.1:8321": f"http://127.0.0.1:{server.port}", "mk-…": server.key(Scope("acme"))}
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert all(any(shown in block for block in blocks) for shown in given)
    server.start()
    names: dict[str, object] = {}
    try:
        for block in blocks:
            for shown, real in given.items():
                block = block.replace(shown, real)
            exec(compile(block, PAGE.name, "exec"), names)
    finally:
        server.stop()
        names["client"].client.close()
        names["ana"]._memory.close()
    assert capsys.readouterr().out.splitlines() == SHOWN
    with Memory.open(tmp_path / "memory.db") as memory:
        assert len(memory.scope(user="ana").list()) == 4
