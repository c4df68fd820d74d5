"""The page about HTTP: its examples run against a real server, and its table names every route."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from memorist import Memory
from memorist.bench.fleet import SERVING, Server
from memorist.serve.app import build
from memorist.testing import HashEmbedder

PAGE = Path(__file__).parents[1] / "docs" / "http.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
TABLE = re.compile(r"(<!-- routes -->\n)(.*?)(<!-- end -->)", re.DOTALL)


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="the examples need curl and jq")
def test_the_examples_run(tmp_path):
    server = Server(str(tmp_path / "memory.db"))
    try:
        server.wait()
        own = f'memorist() {{ {shlex.quote(sys.executable)} -c {shlex.quote(SERVING)} "$@"; }}\n'
        script = "set -euo pipefail\n" + own + "\n".join(BLOCK.findall(PAGE.read_text(encoding="utf-8")))
        script = script.replace("http://127.0.0.1:8321", f"http://127.0.0.1:{server.port}")
        done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    finally:
        server.stop()
    assert done.returncode == 0, done.stderr
    assert "urn:memorist:" not in done.stdout
    for shown in (
        "I moved to Lisbon in May.",
        '"known": true',
        "added\nupdated\n",
        '"remnants": 0',
        "201\n201\n200\n200\n",
    ):
        assert shown in done.stdout, (shown, done.stdout)


def test_the_table_names_every_route(tmp_path):
    with Memory.open(tmp_path / "memory.db", embedder=HashEmbedder()) as memory:
        paths = build(memory).openapi()["paths"]
    rows = "".join(
        f"| `{method.upper()} {path}` | {operation['description'].splitlines()[0]} |\n"
        for path, operations in paths.items()
        for method, operation in operations.items()
    )
    text = PAGE.read_text(encoding="utf-8")
    wanted = TABLE.sub(lambda found: f"{found[1]}\n| route | what it does |\n|---|---|\n{rows}\n{found[3]}", text)
    if os.environ.get("MEMORIST_WRITE_DOCS"):
        PAGE.write_text(wanted, encoding="utf-8")
    assert text == wanted, "MEMORIST_WRITE_DOCS=1 pytest tests/test_http_docs.py writes it anew"
