"""mem0's library behind a small HTTP server, as its own server has it: python -m adapters.mem0_http PORT FOLDER URL

`URL` is an endpoint of OpenAI's protocol that makes the vectors. Nothing is inferred, so no language model is needed.
A thread answers a connection.
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

os.environ["MEM0_TELEMETRY"] = "False"
os.environ["MEM0_DIR"] = sys.argv[2]

from mem0 import Memory

DIMENSION = 384
KEY = {"api_key": "none is used"}


def opened(folder: Path, url: str) -> Any:
    """mem0 over a folder."""
    place = {"path": str(folder / "qdrant"), "on_disk": True, "embedding_model_dims": DIMENSION}
    embedder = {**KEY, "model": "minilm", "embedding_dims": DIMENSION, "openai_base_url": url}
    return Memory.from_config(
        {
            "vector_store": {"provider": "qdrant", "config": {**place, "collection_name": "memories"}},
            "llm": {"provider": "openai", "config": KEY},
            "embedder": {"provider": "openai", "config": embedder},
            "history_db_path": str(folder / "history.db"),
        }
    )


class Door(BaseHTTPRequestHandler):
    """The two routes of its server that are measured, and one that says that it is there."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    memory: Any

    def do_GET(self) -> None:
        """Ready."""
        self._answer({"status": "ok"})

    def do_POST(self) -> None:
        """An addition or a search."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        user = asked["user_id"]
        if self.path == "/memories":
            made = self.memory.add(asked["messages"], user_id=user, infer=False)
        else:
            made = self.memory.search(asked["query"], filters={"user_id": user}, top_k=asked["top_k"])
        self._answer(made)

    def _answer(self, made: Any) -> None:
        body = json.dumps(made).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a log would be measured, too."""


if __name__ == "__main__":
    Door.memory = opened(Path(sys.argv[2]), sys.argv[3])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Door).serve_forever()
