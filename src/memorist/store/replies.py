"""The reply log in SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, get_args

from memorist.cube import Scope
from memorist.models.chat import Finish, ToolCall, Usage
from memorist.sources.message import check_text
from memorist.store.moments import micros, moment
from memorist.store.reply_log import Exchange, Spent
from memorist.store.rows import fetch_in
from memorist.store.scoped import owner_of

COLUMNS = (
    *("key", "purpose", "prompt", "model", "parameters", "text", "finish", "calls"),
    *("prompt_tokens", "reply_tokens", "cost", "seconds", "times", "at", "error"),
)
NOT_KEPT = "what it saw is gone, so its reply was not kept"

SOURCES = """
WITH RECURSIVE seen (row) AS (
  SELECT CAST(value AS BIGINT) FROM json_each(?) UNION SELECT parent FROM lineage JOIN seen ON child = seen.row
)
SELECT row, origin FROM cubes JOIN seen USING (row) WHERE +owner = ?
"""


def keep(db: sqlite3.Connection, owner: int, exchange: Exchange, rows: Sequence[int]) -> bool:
    """Insert a call with its lineage; of one whose lineage is not whole, only what it took."""
    sources = sources_of(db, owner, rows)
    values = values_of(exchange)
    if not sources:
        values |= {"text": "", "calls": "[]", "error": exchange.error or NOT_KEPT}
    elif exchange.error is not None and (known := failed_before(db, owner, exchange.key)):
        again(db, known, values)
        remember(db, known, sources)
        return True
    number = insert(db, owner, values)
    if number:
        remember(db, number, sources)
    return bool(sources)


def reply_to(db: sqlite3.Connection, owner: int, key: str, rows: Sequence[int]) -> Exchange | None:
    """The recorded reply. Counts its use; what is asked about other episodes in the same words rests on them, too."""
    names = ", ".join(COLUMNS)
    sql = f"SELECT reply, {names} FROM replies WHERE owner = ? AND key = ? AND error IS NULL"
    found = db.execute(sql, (owner, key)).fetchone()
    sources = sources_of(db, owner, rows)
    if found is None or not sources:
        return None
    remember(db, found[0], sources)
    db.execute("UPDATE replies SET uses = uses + 1 WHERE reply = ?", (found[0],))
    return exchange_of(dict(zip(COLUMNS, found[1:])))


def has(db: sqlite3.Connection, owner: int, key: str) -> bool:
    """Whether a reply is recorded for a key."""
    sql = "SELECT 1 FROM replies WHERE owner = ? AND key = ? AND error IS NULL"
    return db.execute(sql, (owner, key)).fetchone() is not None


def reject(db: sqlite3.Connection, owner: int, key: str, reason: str) -> None:
    """Mark the recorded reply as of no use."""
    db.execute("UPDATE replies SET error = ? WHERE owner = ? AND key = ? AND error IS NULL", (reason, owner, key))


def spent(db: sqlite3.Connection, owner: int, since: datetime | None) -> list[Spent]:
    """Sums by purpose, model and day."""
    sql = """
    SELECT purpose, model, date(at / 1000000, 'unixepoch') AS day,
      SUM(CASE WHEN error IS NULL THEN 0 ELSE times END), SUM(times), SUM(prompt_tokens), SUM(reply_tokens),
      SUM(cost), SUM(cost IS NULL), SUM(seconds),
      SUM(uses), SUM(uses * prompt_tokens), SUM(uses * reply_tokens), SUM(uses * cost),
      SUM(uses > 0 AND cost IS NULL), SUM(uses * seconds)
    FROM replies WHERE owner = ? AND at >= ? GROUP BY purpose, model, day ORDER BY day, purpose, model
    """
    least = micros(since) if since else -(2**63)
    found = []
    for purpose, model, day, failed, *numbers in db.execute(sql, (owner, least)):
        (calls, asked, told, cost, unknown, seconds), (uses, *saved) = numbers[:6], numbers[6:]
        saved_asked, saved_told, saved_cost, saved_unknown, saved_seconds = saved
        used = Usage(asked, told, None if unknown else cost, seconds, calls)
        spared = Usage(saved_asked, saved_told, None if saved_unknown else saved_cost or 0.0, saved_seconds, uses)
        found.append(Spent(purpose, model, date.fromisoformat(day), failed, used, spared))
    return found


FIRST = """
SELECT s.row, MIN(s.reply) FROM reply_rows s JOIN replies r USING (reply)
WHERE r.owner = ? AND r.purpose = ? AND r.error IS NULL AND s.row IN ({}) GROUP BY s.row ORDER BY s.row
"""


def together(db: sqlite3.Connection, owner: int, purpose: str, rows: Sequence[int]) -> list[tuple[int, ...]]:
    """The episodes that were news to the same call of a purpose, where any of these rows was among them; in the order
    of the calls."""
    calls = sorted({reply for _, reply in fetch_in(db, FIRST, rows, owner, purpose)})
    saw = sorted({row for (row,) in fetch_in(db, "SELECT row FROM reply_rows WHERE reply IN ({})", calls)})
    first = fetch_in(db, FIRST, saw, owner, purpose)
    return [tuple(row for row, reply in first if reply == call) for call in calls]


def erase(db: sqlite3.Connection, rows: Sequence[int]) -> tuple[int, list[str]]:
    """Delete the calls that saw any of these episodes; returns how many, and what their replies said."""
    doomed = sorted({reply for (reply,) in fetch_in(db, "SELECT reply FROM reply_rows WHERE row IN ({})", rows)})
    found = fetch_in(db, "SELECT text, calls FROM replies WHERE reply IN ({}) ORDER BY reply", doomed)
    db.executemany("DELETE FROM replies WHERE reply = ?", [(reply,) for reply in doomed])
    return len(doomed), [said for both in found for said in both if said not in ("", "[]")]


def says(db: sqlite3.Connection, piece: str) -> bool:
    """Whether a reply that is kept says this."""
    sql = "SELECT 1 FROM replies WHERE instr(text, :piece) > 0 OR instr(calls, :piece) > 0 LIMIT 1"
    return db.execute(sql, {"piece": piece}).fetchone() is not None


def sources_of(db: sqlite3.Connection, owner: int, rows: Sequence[int]) -> list[int]:
    """The episodes that the rows are or rest on; none when one of the rows is not the owner's or gone."""
    found = db.execute(SOURCES, (json.dumps([int(row) for row in rows]), owner)).fetchall()
    whole = {row for row, _ in found}.issuperset(int(row) for row in rows)
    return sorted(row for row, origin in found if origin == "source") if whole else []


def failed_before(db: sqlite3.Connection, owner: int, key: str) -> int | None:
    """An earlier call of this key that failed before there was a reply."""
    sql = "SELECT reply FROM replies WHERE owner = ? AND key = ? AND error IS NOT NULL AND prompt_tokens = 0"
    found = db.execute(sql, (owner, key)).fetchone()
    return int(found[0]) if found else None


def again(db: sqlite3.Connection, number: int, values: Mapping[str, Any]) -> None:
    """The same failure once more: a model that is down does not fill the log."""
    sql = (
        "UPDATE replies SET times = times + :times, seconds = seconds + :seconds, at = :at, text = :text,"
        " error = :error WHERE reply = :number"
    )
    db.execute(sql, {**values, "number": number})


def insert(db: sqlite3.Connection, owner: int, values: Mapping[str, Any], uses: int = 0) -> int:
    """The number of the new call; 0 when another thread or process recorded a reply to this key meanwhile."""
    names, marks = ", ".join(COLUMNS), ", ".join(f":{name}" for name in COLUMNS)
    sql = f"INSERT OR IGNORE INTO replies (owner, uses, {names}) VALUES (:owner, :uses, {marks})"
    done = db.execute(sql, {**values, "owner": owner, "uses": uses})
    return int(done.lastrowid or 0) if done.rowcount == 1 else 0


def remember(db: sqlite3.Connection, number: int, sources: Sequence[int]) -> None:
    """What a call saw."""
    db.executemany("INSERT OR IGNORE INTO reply_rows VALUES (?, ?)", [(number, row) for row in sources])


def values_of(exchange: Exchange) -> dict[str, Any]:
    """A call as columns."""
    usage = exchange.usage
    calls = [[call.id, call.name, call.arguments] for call in exchange.calls]
    return {
        "key": exchange.key,
        "purpose": exchange.purpose,
        "prompt": exchange.prompt,
        "model": exchange.model,
        "parameters": json.dumps(dict(exchange.parameters), ensure_ascii=False, sort_keys=True),
        "text": exchange.text,
        "finish": exchange.finish,
        "calls": json.dumps(calls, ensure_ascii=False),
        "prompt_tokens": usage.prompt_tokens,
        "reply_tokens": usage.reply_tokens,
        "cost": usage.cost,
        "seconds": usage.seconds,
        "times": usage.calls,
        "at": micros(exchange.at),
        "error": exchange.error,
    }


def exchange_of(values: Mapping[str, Any]) -> Exchange:
    """The inverse of `values_of`."""
    usage = Usage(*(values[name] for name in ("prompt_tokens", "reply_tokens", "cost", "seconds", "times")))
    return Exchange(
        key=values["key"],
        purpose=values["purpose"],
        prompt=values["prompt"],
        model=values["model"],
        parameters=json.loads(values["parameters"]),
        text=values["text"],
        finish=values["finish"],
        calls=tuple(ToolCall(*call) for call in json.loads(values["calls"])),
        usage=usage,
        at=moment(values["at"]),
        error=values["error"],
    )


def dump(db: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    """Each call in order, with the ids of the episodes it saw."""
    columns = ", ".join(f"r.{name}" for name in COLUMNS)
    sql = (
        f"SELECT o.tenant, o.user, r.reply, r.uses, {columns} FROM replies r JOIN owners o USING (owner) ORDER BY reply"
    )
    for tenant, user, number, uses, *values in db.execute(sql):
        saw = "SELECT id FROM reply_rows JOIN cubes USING (row) WHERE reply = ? ORDER BY row"
        episodes = [id for (id,) in db.execute(saw, (number,))]
        record = {"record": "reply", "tenant": tenant, "user": user, "uses": uses, **dict(zip(COLUMNS, values))}
        record["parameters"], record["calls"] = json.loads(record["parameters"]), json.loads(record["calls"])
        yield {**record, "episodes": episodes}


def restore(db: sqlite3.Connection, record: Mapping[str, Any]) -> None:
    """Insert a dumped call, unless it is there or an episode it saw is not. Raises ValueError when it cannot have been
    dumped."""
    values = inspected(record)
    owner = owner_of(db, Scope(record["tenant"], record["user"]), create=False)
    here = fetch_in(db, "SELECT row FROM cubes WHERE owner = ? AND id IN ({})", record["episodes"], owner)
    known = "SELECT 1 FROM replies WHERE owner = ? AND key = ? AND at = ?"
    if not owner or len(here) < len(record["episodes"]) or (values["text"] and not here):
        return
    if db.execute(known, (owner, values["key"], values["at"])).fetchone():
        return
    if number := insert(db, owner, values, record["uses"]):
        remember(db, number, [row for (row,) in here])


def inspected(record: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a dumped call. Raises for what could not have been dumped."""
    Scope(record["tenant"], record["user"])
    texts = [record[name] for name in ("key", "purpose", "prompt", "model", "text")]
    optional = [record["error"]] if record["error"] is not None else []
    counts = [record[name] for name in ("prompt_tokens", "reply_tokens", "times", "uses")]
    numbers = [record["seconds"], record["cost"] if record["cost"] is not None else 0.0]
    sound = (
        all(isinstance(one, str) for one in (*texts, *optional, *record["episodes"]))
        and all(isinstance(one, int) and 0 <= one < 2**63 for one in counts)
        and all(isinstance(one, (int, float)) and 0 <= one < 1e12 for one in numbers)
        and record["finish"] in get_args(Finish)
        and isinstance(record["parameters"], dict)
        and isinstance(record["episodes"], list)
        and all(len(call) == 3 and all(isinstance(one, str) for one in call) for call in record["calls"])
    )
    if not sound:
        raise ValueError("its fields cannot be")
    moment(record["at"])
    for text in (*texts, *optional):
        if text:
            check_text(text, "its text")
    values = {name: record[name] for name in COLUMNS}
    values["parameters"] = json.dumps(record["parameters"], ensure_ascii=False, sort_keys=True)
    values["calls"] = json.dumps(record["calls"], ensure_ascii=False)
    return values
