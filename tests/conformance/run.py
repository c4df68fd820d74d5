"""Runs the official conformance suite against the fixture: python tests/conformance/run.py PROGRAM"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent


def main(program: str) -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(HERE / "mcp_fixture.py"), f"{folder}/memory.db", str(port)]
        server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            wait_for(port)
            url = f"http://127.0.0.1:{port}/mcp"
            baseline = str(HERE / "expected-failures.yml")
            return subprocess.call([program, "server", "--url", url, "--expected-failures", baseline])
        finally:
            server.terminate()
            server.wait(20)


def wait_for(port: int) -> None:
    """Raises TimeoutError when nothing listens there within 30 seconds."""
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("the fixture does not listen")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
