"""Commands on who may see what, what was done, and what is known about somebody."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cyclopts import App

from memorist.cli import NEGATIVE, OK
from memorist.cli.options import ScopeOptions, StoreOptions
from memorist.cli.render import console, emit, plain
from memorist.errors import InputError

if TYPE_CHECKING:
    from memorist.store.governed import Entry, Grant

rights = App(name="rights", help="Who else may use someone's memory.")


@rights.command
def share(
    with_: str, /, *, rights: str = "read", with_agent: str = "", cube: tuple[str, ...] = (),
    options: ScopeOptions = ScopeOptions(),
) -> int:  # fmt: skip
    """Let another user of the tenant use this memory, or part of it.

    For example:

        memorist rights share bob --user ana

        memorist rights share bob --user ana --session trip --rights read,write

    Parameters
    ----------
    with_
        The user whom it is shared with.
    rights
        Of read, write, share, administer, reveal (default: read). Without reveal,
        what is sensitive is masked.
    with_agent
        Only for this agent of theirs.
    cube
        Only this memory; may be given several times.
    """
    from memorist.lifecycle.rights import checked

    held = checked([one.strip() for one in rights.split(",") if one.strip()])  # type: ignore[misc]
    with options.scoped() as memory:
        grant = memory.share(with_, held, agent=with_agent, cubes=cube or None)
    emit(grant) if options.json else console().print(plain(f"Grant {grant.number}: {told(grant)}."))
    return OK


@rights.command(name="list")
def list_(*, options: ScopeOptions = ScopeOptions()) -> int:
    """List what a user has shared, and what was shared with them.

    For example:

        memorist rights list --user ana
    """
    with options.scoped() as memory:
        given, received = memory.rights.given(), memory.rights.received()
    if options.json:
        emit({"given": given, "received": received})
        return OK
    for heading, grants in (("Shared with others:", given), ("Shared by others:", received)):
        console().print(heading)
        for grant in grants:
            console().print(plain(f"  {grant.number}: {told(grant)}"), highlight=False)
        if not grants:
            console().print("  nothing")
    return OK


@rights.command
def revoke(number: int, /, *, options: ScopeOptions = ScopeOptions()) -> int:
    """End a grant at once.

    For example:

        memorist rights revoke 1 --user ana

    Parameters
    ----------
    number
        The grant, as memorist rights list shows it.
    """
    with options.scoped() as memory:
        memory.rights.revoke(number)
    emit({"revoked": number}) if options.json else console().print(f"Grant {number} has ended.")
    return OK


def audit(*, head: str | None = None, limit: int = 50, options: StoreOptions = StoreOptions()) -> int:
    """Show what was done to the store, and check that nothing was changed in that log.

    It ends with the log's head, a place and a hash. Keep it elsewhere: given as --head later, it shows whether the log
    still has it. Exit code 1 when the log was changed or cut.

    For example:

        memorist audit

        memorist audit --head "$HEAD"

    Parameters
    ----------
    head
        A head that was shown earlier, as PLACE:HASH.
    limit
        How many of the last entries to show (default: 50).
    """
    place, hash = head_of(head)
    with options.opened() as memory:
        last, now = memory.audit_head()
        entries = memory.audit(after=max(0, last - limit), limit=limit)
        problems = memory.audit_problems()
        if head is not None and memory._store.audit_hash(place) != hash:
            problems.append(f"the audit log does not have the head {place}:{hash[:12]}…: it was changed or cut off")
    if options.json:
        emit({"entries": entries, "head": f"{last}:{now}", "ok": not problems, "problems": problems})
        return NEGATIVE if problems else OK
    for entry in entries:
        console().print(plain(line(entry)), highlight=False)
    for problem in problems:
        console().print(plain(problem), highlight=False)
    console().print(f"Head {last}:{now}", highlight=False, soft_wrap=True)
    return NEGATIVE if problems else OK


def about(*, out: str | None = None, options: ScopeOptions = ScopeOptions()) -> int:
    """Export all that is known about a user: every memory in every form, jobs, replies, grants, audit entries.

    For example:

        memorist about --user ana --out ana.html

    Parameters
    ----------
    out
        The file to write: HTML or Markdown when its name ends so, else JSON. It must not exist. Default: JSON on
        stdout.
    """
    from memorist.arguments import path_of
    from memorist.lifecycle.dossier import write

    with options.scoped() as memory:
        document = memory.all_known()
    if out is None:
        emit(document)
        return OK
    write(document, path_of(out))
    counts = ", ".join(f"{count} {table}" for table, count in document["counts"].items())
    emit({"path": out, "counts": document["counts"]}) if options.json else console().print(
        plain(f"Wrote {out}: {counts or 'nothing is known'}.")
    )
    return OK


def head_of(text: str | None) -> tuple[int, str]:
    """A head from its spelling. Raises InputError."""
    found = re.fullmatch(r"(\d{1,18}):([0-9a-f]{64})", text or "0:" + "0" * 64)
    if not found:
        raise InputError(f"--head {text!r:.100} is not PLACE:HASH, as memorist audit shows it")
    return int(found[1]), found[2]


def told(grant: Grant) -> str:
    """A grant in words."""
    agent = f" as {grant.subject.agent}" if grant.subject.agent else ""
    narrowed = [f"{name} {value}" for name in ("agent", "session") if (value := getattr(grant.scope, name))]
    what = f"{len(grant.cubes)} memories" if grant.cubes is not None else ", ".join(narrowed) or "all"
    return (
        f"{grant.subject.user}{agent} may {', '.join(grant.rights)}: {what} of {grant.scope.user or 'the unnamed user'}"
    )


def line(entry: Entry) -> str:
    """An entry of the log on a line."""
    whose = "/".join(part for part in (entry.tenant, entry.user) if part)
    detail = ", ".join(f"{name}={str(value)[:40]}" for name, value in entry.detail.items())
    by = f" by {entry.actor}" if entry.actor else ""
    return f"{entry.seq}  {entry.at:%Y-%m-%d %H:%M:%S}  {entry.act}  {whose}{by}  {detail}"
