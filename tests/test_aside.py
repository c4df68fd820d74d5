"""Work beside a search: done by a thread when one is free, else by whoever wants it."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from memorist.recall.aside import Aside, threads
from memorist.store.products import widened


def test_a_call_returns_or_raises_where_it_is_wanted():
    assert Aside(lambda: 41 + 1).result() == 42
    failing = Aside(lambda: {}["missing"])
    with pytest.raises(KeyError, match="missing"):
        failing.result()


def test_what_no_thread_has_begun_is_done_by_whoever_wants_it():
    release = threading.Event()
    busy = [threads().submit(release.wait) for _ in range(threads()._max_workers)]
    try:
        assert Aside(threading.get_ident).result() == threading.get_ident()
    finally:
        release.set()
    assert all(one.result() for one in busy)
    begun = threading.Event()
    waiting = Aside(begun.set)
    assert begun.wait(60), "a free thread begins before it is wanted"
    waiting.result()


def test_halves_are_widened_exactly():
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)]
    assert (widened(finite) == finite.astype(np.float32)).all()
    assert np.signbit(widened(np.array([-0.0], np.float16))).all()
