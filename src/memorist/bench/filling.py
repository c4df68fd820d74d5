"""Stores of a suite, filled before anything is asked: one for all systems that keep the same.

The first is filled here, and its vectors are then remembered for all; with several workers another process fills the
others meanwhile, the slowest first, and what it has not begun by then is filled here too. Nobody is asked meanwhile, so
times of searches mean the same.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
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
    """A store for each opening, or why there is none, for as long as they are needed. The others than the first come in
    the order in which to begin them."""
    with ExitStack() as folders:
        todo = {
            kept: partial(fill, opening, corpora, Path(folders.enter_context(tempfile.TemporaryDirectory("-memorist"))))
            for kept, opening in openings.items()
        }
        first, *others = todo or (None,)
        if workers == 1 or not others:
            yield {kept: attempt(partial(fill, progress)) for kept, fill in todo.items()}
            return
        with ProcessPoolExecutor(workers - 1, multiprocessing.get_context("spawn")) as pool:
            futures = {kept: pool.submit(todo[kept], unseen) for kept in others}
            made = {first: attempt(partial(todo[first], progress))}
            for kept, future in reversed(futures.items()):
                if future.cancel():  # it was not begun
                    made[kept] = attempt(partial(todo[kept], unseen))
            for kept in futures.keys() - made.keys():
                made[kept] = attempt(futures[kept].result)
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
