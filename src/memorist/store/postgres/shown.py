"""What a subject may see of each table, as views of the database.

The views of the schema `memorist_seen` show what the settings of a transaction say (`sight` makes them): an owner, the
rows that are open, the tags of those that are hidden. A table that is not named here is empty. Masked texts are made by
our rules, not by the database's, and are kept beside the cubes; who may not see a cube in clear sees none without them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from memorist.store.postgres.names import SEEN, TABLES, TENANT, VIEWS, partitions, quoted
from memorist.store.postgres.tables import Layout

FROM_CUBES = f"""
FROM {VIEWS}.cubes c LEFT JOIN {TABLES}.masked m
  ON m.tenant = c.tenant AND m.row = c.row AND m.rules = (SELECT current_setting('memorist.rules'))
WHERE c.owner = (SELECT current_setting('memorist.owner')::bigint)
  AND ((SELECT current_setting('memorist.open')) = 'all'
    OR c.row IN (SELECT one::bigint FROM json_array_elements_text(
      CASE current_setting('memorist.open') WHEN 'all' THEN '[]' ELSE current_setting('memorist.open') END::json) one))
  AND c.row NOT IN (SELECT one::bigint FROM json_array_elements_text(current_setting('memorist.closed')::json) one)
  AND ((SELECT current_setting('memorist.rules')) = '' OR m.row IS NOT NULL)
"""
TAG = "(SELECT current_setting('memorist.tagged')::jsonb) ->> c.row::text"
CHANGED: Mapping[str, str] = {
    "text": f"COALESCE({TAG}, m.text, c.text)",
    "meta": f"CASE WHEN {TAG} IS NULL THEN COALESCE(m.meta, c.meta) ELSE '{{}}' END",
    "times": f"CASE WHEN {TAG} IS NULL THEN COALESCE(m.times, c.times) ELSE '[]' END",
    "speaker": "COALESCE(m.speaker, c.speaker)",
    "source": "COALESCE(m.source, c.source)",
}
MINE = f"EXISTS (SELECT 1 FROM {SEEN}.cubes c WHERE c.row = t.{{}})"
SHOWN: Mapping[str, str] = {
    "features": MINE.format("row"),
    "events": MINE.format("row"),
    "lineage": f"{MINE.format('child')} AND {MINE.format('parent')}",
    "links": f"{MINE.format('source')} AND {MINE.format('target')}",
    "owners": "t.owner = (SELECT current_setting('memorist.owner')::bigint)",
    "meta": "t.name = 'embedder'",
}
"""What of each other table is shown."""

MASKED = f"""
CREATE TABLE {TABLES}.masked (
  row BIGINT NOT NULL, rules TEXT NOT NULL, text TEXT COLLATE "C", meta TEXT COLLATE "C", times TEXT COLLATE "C",
  speaker TEXT COLLATE "C", source TEXT COLLATE "C", {TENANT},
  PRIMARY KEY (tenant, row), FOREIGN KEY (tenant, row) REFERENCES {TABLES}.cubes (tenant, row) ON DELETE CASCADE
) PARTITION BY HASH (tenant)
"""
"""Of each cube that was looked at, what masking changes; NULL is as it stands in the cube."""

OF_NOW = f"""
CREATE FUNCTION {TABLES}.masked_is_of_now() RETURNS trigger LANGUAGE plpgsql AS $trigger$
  BEGIN DELETE FROM {TABLES}.masked WHERE tenant = NEW.tenant AND row = NEW.row; RETURN NEW; END $trigger$
"""


def masks() -> Iterator[str]:
    """The table of masked texts; one of a text that is written anew goes."""
    yield MASKED
    yield from partitions(f"{TABLES}.masked")
    yield OF_NOW
    yield (
        f"CREATE TRIGGER masked_is_of_now AFTER UPDATE OF text, meta, times, speaker, source ON {TABLES}.cubes"
        f" FOR EACH ROW EXECUTE FUNCTION {TABLES}.masked_is_of_now()"
    )


def views(layout: Layout) -> Iterator[str]:
    """The views that stand before the tables."""
    for name, table in layout.tables.items():
        if name == "cubes":
            columns = [f'{CHANGED.get(one, f"c.{one}")} AS "{one}"' for one in table.names]
            yield f"CREATE VIEW {SEEN}.cubes AS SELECT {', '.join(columns)} {FROM_CUBES}"
    for name, table in layout.tables.items():
        if name == "owners":
            columns = [f't."{one}"' for one in table.names if one != "epoch"]
            columns.append("t.epoch + (SELECT current_setting('memorist.turned')::bigint) AS epoch")
            yield f"CREATE VIEW {SEEN}.owners AS SELECT {', '.join(columns)} FROM {VIEWS}.owners t WHERE {SHOWN[name]}"
        elif name != "cubes":
            where = SHOWN.get(name, "false")
            yield f"CREATE VIEW {SEEN}.{name} AS SELECT {quoted(table.names)} FROM {VIEWS}.{name} t WHERE {where}"
