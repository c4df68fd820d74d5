"""Processes that make and erase tensors and can be killed: the warm Python of `worker`, with a model in it."""

from __future__ import annotations

import random
import sys

import torch

import worker
from memorist.lifecycle.tensors import Making
from memorist.neural.weights import local_torch
from worker import Ack, open_memory


def make_and_erase(path: str, ack: Ack, model: str, ids: list[str], seed: int) -> None:
    """Make tensors of memories drawn by the seed, take some back, erase some memories; each is announced and told."""
    draw = random.Random(seed)
    memory = open_memory(path)
    scope = memory.scope(user="ana")
    local_torch(model)
    left = list(ids)
    ack("ready")
    while len(left) > 2:
        some = draw.sample(left, 2)
        ack(["will", "make"])
        form = draw.choice(("activation", "parameter"))
        kept = scope.tensors.migrate(some, to=form, model=model, making=Making(steps=2, seed=draw.randrange(3)))
        ack(["made", kept.id, kept.payload])
        what = draw.random()
        if what < 0.2:
            ack(["will", "erase", some[0]])
            scope.erase(some[0])
            ack(["erased", some[0]])
            left.remove(some[0])
        elif what < 0.4:
            ack(["will", "erase", kept.id])
            scope.erase(kept.id)
            ack(["erased", kept.id])


worker.TASKS["make_and_erase"] = make_and_erase

if __name__ == "__main__":
    torch.set_num_threads(1)  # what is forked must not wait for threads that it does not have
    local_torch(sys.argv[1])
    worker.serve()
