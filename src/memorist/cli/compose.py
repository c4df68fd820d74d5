"""`memorist cube fuse|compose|split` and its snapshots."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from memorist.cli import OK
from memorist.cli.cube import Ids
from memorist.cli.options import ScopeOptions
from memorist.cli.render import console, emit, plain, said_on, show_cubes

Text = Annotated[str | None, Parameter(allow_leading_hyphen=True)]
Texts = Annotated[tuple[str, ...], Parameter(allow_leading_hyphen=True)]
File = Annotated[str, Parameter(name="FILE")]
Name = Annotated[str, Parameter(name="NAME")]


def fuse(*id: Ids, text: Text = None, options: ScopeOptions = ScopeOptions()) -> int:
    """Make one memory of several, which it takes the place of.

    They are then merged, and stay its sources; memorist undo brings them back.

    For example:

        memorist cube fuse "$ID" "$OTHER" --user ana

    Parameters
    ----------
    id
        The memories: current, not frozen, true at the same time.
    text
        What it says (default: what they say, each thing once). Needed where they contradict each other.
    """
    with options.scoped() as memory:
        made = memory.cubes.fuse(id, text=text)
    emit({"cubes": [made]}) if options.json else show_cubes(console(), [made])
    return OK


def compose(*id: Ids, text: Text = None, options: ScopeOptions = ScopeOptions()) -> int:
    """Make a memory of several, which stay beside it.

    For example:

        memorist cube compose "$ID" "$OTHER" --text "All about the flat." --user ana

    Parameters
    ----------
    id
        The memories that it holds as long as.
    text
        What it says (default: what they say, each thing once).
    """
    with options.scoped() as memory:
        made = memory.cubes.compose(id, text=text)
    emit({"cubes": [made]}) if options.json else show_cubes(console(), [made])
    return OK


def split(id: Ids, /, *, text: Texts = (), options: ScopeOptions = ScopeOptions()) -> int:
    """Put several memories in the place of one, which is archived.

    For example:

        memorist cube split "$ID" --text "I left Oslo." --text "I live in Porto."

    Parameters
    ----------
    id
        The memory.
    text
        A part; once for each (default: its sentences).
    """
    with options.scoped() as memory:
        made = memory.cubes.split(id, texts=text or None)
    emit({"cubes": made}) if options.json else show_cubes(console(), made)
    return OK


def snapshot(name: Name, /, *, options: ScopeOptions = ScopeOptions()) -> int:
    """Keep a user's memory as it is, to come back to.

    For example:

        memorist cube snapshot monday --user ana

    Parameters
    ----------
    name
        What to call it.
    """
    with options.scoped() as memory:
        taken = memory.snapshot(name)
    emit(taken) if options.json else console().print(plain(f"Kept {taken.episodes} memories as {name}."))
    return OK


def snapshots(*, options: ScopeOptions = ScopeOptions()) -> int:
    """List a user's snapshots.

    For example:

        memorist cube snapshots --user ana
    """
    with options.scoped() as memory:
        found = memory.snapshots()
    if options.json:
        emit({"snapshots": found})
        return OK
    for one in found:
        console().print(plain(f"{said_on(one.at)}  {one.name}  {one.episodes} memories"))
    if not found:
        console().print("No snapshots.")
    return OK


def rollback(name: Name, /, *, options: ScopeOptions = ScopeOptions()) -> int:
    """Make a user's memory what it was at a snapshot.

    What came later is put aside, and comes back when it is added again. What was
    erased stays erased. Rolling back to the snapshot it names undoes it.

    For example:

        memorist cube rollback monday --user ana

    Parameters
    ----------
    name
        The snapshot; see: memorist cube snapshots.
    """
    with options.scoped() as memory:
        done = memory.rollback(name)
    if options.json:
        emit(done)
        return OK
    console().print(plain(f"{done.changed} changed back, {done.aside} later ones put aside."))
    console().print(plain(f'To undo it: memorist cube rollback "{done.before}"'))
    return OK


def drop(name: Name, /, *, options: ScopeOptions = ScopeOptions()) -> int:
    """Delete a snapshot; the memory stays as it is.

    For example:

        memorist cube drop monday --user ana

    Parameters
    ----------
    name
        The snapshot.
    """
    with options.scoped() as memory:
        memory.drop_snapshot(name)
    emit({"dropped": name}) if options.json else console().print(plain(f"Dropped {name}."))
    return OK


def dump(path: File, /, *id: Ids, options: ScopeOptions = ScopeOptions()) -> int:
    """Write memories to a portable file: a zip with checksums.

    It holds what cannot be made again: episodes with their versions, what was
    composed, and tensors.

    For example:

        memorist cube dump ana.cubes.zip --user ana

        memorist cube dump kayak.cubes.zip "$ID" --user ana

    Parameters
    ----------
    path
        The file to write. It must not exist.
    id
        Only these, with what they rest on (default: all).
    """
    with options.scoped() as memory:
        count = memory.cubes.dump(path, id or None)
    emit({"path": path, "records": count}) if options.json else console().print(plain(f"Wrote {count} to {path}."))
    return OK


def load(path: File, /, *, options: ScopeOptions = ScopeOptions()) -> int:
    """Add the memories of a portable file, all or nothing.

    Loading it again adds nothing. A damaged or foreign file is refused.

    For example:

        memorist cube load ana.cubes.zip --user bo --store other.db

    Parameters
    ----------
    path
        A file made by memorist cube dump.
    """
    with options.scoped(create=True) as memory:
        added = memory.cubes.load(path)
    emit({"path": path, "added": added}) if options.json else console().print(plain(f"Added {added} from {path}."))
    return OK


COMMANDS = (fuse, compose, split, snapshot, snapshots, rollback, drop, dump, load)
