"""Stores of a suite, filled before anything is asked: one for all systems that keep the same.

The first is filled here, so that its texts are embedded once; with several workers the others are then filled side by
side, each by a process of its own. Nobody is asked meanwhile, so times of searches mean the same.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from memorist.bench.suite import Corpus
from memorist.bench.system import Added, CannotRun, System

Opening = Callable[[Path], System]
"""Opens a system over a folder."""

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Filled:
    """A folder in which a suite's corpora are remembered, and what that took."""

    folder: Path
    added: Added


@contextmanager
def filled(
    openings: Mapping[object, Opening], corpora: Sequence[Corpus], workers: int, progress: Progress
) -> Iterator[Mapping[object, Filled | CannotRun]]:
    """A store for each opening, or why there is none, for as long as they are needed."""
    with ExitStack() as folders:
        todo = {
            kept: partial(fill, opening, corpora, Path(folders.enter_context(tempfile.TemporaryDirectory("-memorist"))))
            for kept, opening in openings.items()
        }
        first, *others = todo or (None,)
        done = {first: attempt(partial(todo[first], progress))} if todo else {}
        if workers == 1 or len(others) < 2:
            yield done | {kept: attempt(partial(todo[kept], progress)) for kept in others}
            return
        with ProcessPoolExecutor(min(workers, len(others)), multiprocessing.get_context("spawn")) as pool:
            futures: dict[object, Future[Filled]] = {kept: pool.submit(todo[kept], unseen) for kept in others}
            made = done | {kept: attempt(future.result) for kept, future in futures.items()}
        yield made


def attempt(fill: Callable[[], Filled]) -> Filled | CannotRun:
    """A filled store, or the reason why there is none."""
    try:
        return fill()
    except CannotRun as error:
        return error


def fill(opening: Opening, corpora: Sequence[Corpus], folder: Path, progress: Progress) -> Filled:
    """Add the corpora to a system over a folder."""
    with closing(opening(folder)) as system:
        return Filled(folder, system.add(corpora, progress))


def unseen(done: int) -> None:
    """Progress that nobody watches."""
