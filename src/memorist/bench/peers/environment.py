"""A peer's virtual environment: made on request, in the cache folder, by pip; nothing of ours is installed there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from memorist.bench.peers.known import Peer
from memorist.bench.vectors import cache_folder
from memorist.errors import InputError

INSTALLED = "installed.json"
"""Written last into an environment: what is in it."""

OTHERS = ("python3", "python3.13", "python3.12", "python3.11", "python3.10", "/usr/bin/python3")
"""Where else to look for a Python that passes a peer's probe."""


def folder_of(peer: Peer) -> Path:
    """Where its environment stands, or would."""
    return cache_folder() / "peers" / peer.name


def python_of(peer: Peer) -> Path:
    """The interpreter of its environment."""
    inside = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return folder_of(peer).joinpath("environment", *inside)


def version_of(peer: Peer) -> str | None:
    """The version that is installed; None when there is none, or one that this program does not measure."""
    try:
        found = json.loads((folder_of(peer) / INSTALLED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    wanted = [*peer.requires, *peer.alone]
    return str(found["version"]) if found["requires"] == wanted and python_of(peer).exists() else None


def why_not(peer: Peer) -> str | None:
    """Why a peer cannot run now, with the remedy; None when it can."""
    if peer.missing is not None:
        return peer.missing
    if version_of(peer) is None:
        return f"not installed; run: memorist bench peers install {peer.name}"
    return None


def install(peer: Peer, tell: Callable[[str], None]) -> str:
    """Make its environment anew, and say what version is in it. Raises InputError with what went wrong."""
    if peer.missing is not None:
        raise InputError(f"{peer.name} cannot be installed: {peer.missing}")
    base = next((python for python in pythons() if passes(python, peer.probe)), None)
    if base is None:
        raise InputError(f"{peer.name} needs a Python that gets through: {peer.probe}; none was found")
    folder = folder_of(peer)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tell(f"{peer.name}: {folder}")
    done([base, "-m", "venv", "--without-pip", str(folder / "environment")], peer)
    pip = [sys.executable, "-m", "pip", "--python", str(python_of(peer)), "install", "--quiet"]
    for options in ([*peer.requires], ["--no-deps", *peer.alone] if peer.alone else []):
        if options:
            done([*pip, *options], peer)
    main = re.split("[=<>@ ]", (*peer.alone, *peer.requires)[0])[0]
    said = done([str(python_of(peer)), "-c", f"import importlib.metadata as m; print(m.version({main!r}))"], peer)
    found = {"version": said.strip(), "requires": [*peer.requires, *peer.alone]}
    (folder / INSTALLED).write_text(json.dumps(found), encoding="utf-8")
    return said.strip()


def pythons() -> Iterator[str]:
    """Interpreters to begin an environment with: our own first."""
    yield sys.executable
    yield from (found for name in OTHERS if (found := shutil.which(name)))


def passes(python: str, probe: str) -> bool:
    """Whether a Python gets through a line."""
    return not probe or subprocess.run([python, "-c", probe], capture_output=True).returncode == 0


def done(command: Sequence[str], peer: Peer) -> str:
    """A command's output. Raises InputError with the end of what it complained about."""
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode:
        said = (ran.stderr or ran.stdout).strip().splitlines()[-3:]
        raise InputError(f"{peer.name} could not be installed: {' '.join(said)}")
    return ran.stdout
