"""The tables of the SQLite store, and how older files become newer ones.

A migration is a script that takes the schema from one version to the next. They run in one transaction, after a copy
of the file was put beside it.
"""

from __future__ import annotations

APPLICATION_ID = 0x4D454D52  # "MEMR" in the file's header says whose file it is

CREATE = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- One row for each (tenant, user). `revision` grows with every change, `epoch` when rows vanish: caches watch both.
CREATE TABLE owners (
  owner INTEGER PRIMARY KEY, tenant TEXT NOT NULL, user TEXT NOT NULL,
  revision INTEGER NOT NULL DEFAULT 0, epoch INTEGER NOT NULL DEFAULT 0,
  UNIQUE (tenant, user)
);

-- Times are microseconds since 1970 UTC. NULL in valid_to or superseded_at is an open end.
CREATE TABLE cubes (
  row INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice: caches and running jobs may still speak of an erased one
  id TEXT NOT NULL UNIQUE,
  owner INTEGER NOT NULL REFERENCES owners,
  agent TEXT NOT NULL, session TEXT NOT NULL,
  kind TEXT NOT NULL, origin TEXT NOT NULL, state TEXT NOT NULL, trust TEXT NOT NULL,
  role TEXT NOT NULL, speaker TEXT, source TEXT,
  text TEXT NOT NULL, meta TEXT NOT NULL, times TEXT NOT NULL,
  at INTEGER NOT NULL, position INTEGER NOT NULL,
  valid_from INTEGER NOT NULL, valid_to INTEGER,
  recorded_at INTEGER NOT NULL, superseded_at INTEGER,
  replaces INTEGER REFERENCES cubes,
  revision INTEGER NOT NULL
);
CREATE INDEX cubes_changed ON cubes (owner, revision);
CREATE INDEX cubes_sequence ON cubes (owner, session, agent, at, position);
CREATE INDEX cubes_replaces ON cubes (replaces) WHERE replaces IS NOT NULL;

-- What recall needs of a cube: terms (uint32 each, then uint8 counts), tokens when shown, unit vector (float16).
-- `members` of a window are its turns' rows (int64), `norm` the length of their summed vectors.
CREATE TABLE features (
  row INTEGER PRIMARY KEY REFERENCES cubes ON DELETE CASCADE,
  tokens INTEGER NOT NULL, terms BLOB, vector BLOB, members BLOB, norm REAL
);

CREATE TABLE lineage (
  child INTEGER NOT NULL REFERENCES cubes ON DELETE CASCADE,
  parent INTEGER NOT NULL REFERENCES cubes ON DELETE CASCADE,
  PRIMARY KEY (child, parent)
) WITHOUT ROWID;
CREATE INDEX lineage_parent ON lineage (parent);

CREATE TABLE links (
  source INTEGER NOT NULL REFERENCES cubes ON DELETE CASCADE,
  target INTEGER NOT NULL REFERENCES cubes ON DELETE CASCADE,
  kind TEXT NOT NULL, weight REAL NOT NULL,
  PRIMARY KEY (source, kind, target)
) WITHOUT ROWID;
CREATE INDEX links_target ON links (target);

-- Work that follows an add. `rows` is a JSON list of cube rows; `lease_until` keeps two processes off one job, and
-- `holder` says which process has it: one that has ended holds nothing.
CREATE TABLE jobs (
  job INTEGER PRIMARY KEY, owner INTEGER NOT NULL REFERENCES owners, kind TEXT NOT NULL, rows TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0, lease_until INTEGER NOT NULL DEFAULT 0, holder TEXT NOT NULL DEFAULT '',
  reason TEXT
);
CREATE INDEX jobs_owner ON jobs (owner);

-- What was done to a cube, beside its being recorded and superseded.
CREATE TABLE events (
  event INTEGER PRIMARY KEY, row INTEGER NOT NULL REFERENCES cubes ON DELETE CASCADE,
  at INTEGER NOT NULL, what TEXT NOT NULL
);
CREATE INDEX events_row ON events (row);

CREATE TABLE backups (path TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
"""

MARKS = """
-- How far an organiser has come: it has seen all of the owner's changes up to (revision, row).
CREATE TABLE marks (
  owner INTEGER NOT NULL REFERENCES owners, organiser TEXT NOT NULL,
  revision INTEGER NOT NULL, row INTEGER NOT NULL,
  PRIMARY KEY (owner, organiser)
) WITHOUT ROWID;
-- Of what organisers derive; windows are read with the episodes, by cubes_changed.
CREATE INDEX cubes_origin ON cubes (owner, origin, revision) WHERE origin NOT IN ('source', 'windows');
"""

BESIDE = """
-- Vectors of the embedder that the store is being changed to. One that is written anew meanwhile is of another text.
CREATE TABLE beside (row INTEGER PRIMARY KEY REFERENCES features ON DELETE CASCADE, vector BLOB NOT NULL);
CREATE TRIGGER beside_is_of_now AFTER UPDATE OF vector ON features BEGIN
  DELETE FROM beside WHERE row = NEW.row;
END;
"""

REPLIES = """
-- Calls of language models. `key` is a hash of who was asked what; one with an `error` is never replayed. `times` is
-- how often it was called, `uses` how often the log answered instead. `calls` are the tools it asked for, as JSON.
CREATE TABLE replies (
  reply INTEGER PRIMARY KEY, owner INTEGER NOT NULL REFERENCES owners,
  key TEXT NOT NULL, purpose TEXT NOT NULL, prompt TEXT NOT NULL, model TEXT NOT NULL, parameters TEXT NOT NULL,
  text TEXT NOT NULL, finish TEXT NOT NULL, calls TEXT NOT NULL,
  prompt_tokens INTEGER NOT NULL, reply_tokens INTEGER NOT NULL, cost REAL, seconds REAL NOT NULL,
  times INTEGER NOT NULL, uses INTEGER NOT NULL, at INTEGER NOT NULL, error TEXT
);
CREATE UNIQUE INDEX replies_key ON replies (owner, key) WHERE error IS NULL;
CREATE INDEX replies_failed ON replies (owner, key) WHERE error IS NOT NULL;

-- The episodes that a call saw; what it saw of derived cubes counts as the episodes they rest on.
CREATE TABLE reply_rows (
  reply INTEGER NOT NULL REFERENCES replies ON DELETE CASCADE,
  row INTEGER NOT NULL REFERENCES cubes ON DELETE CASCADE,
  PRIMARY KEY (reply, row)
) WITHOUT ROWID;
CREATE INDEX reply_rows_row ON reply_rows (row);
"""

FACTS = """
-- More vectors of a derived cube (float16, one after the other), and what only its organiser can read.
ALTER TABLE features ADD COLUMN vectors BLOB;
ALTER TABLE features ADD COLUMN data BLOB;

-- What an extractor found in an episode, asked for or brought along: a rebuild asks nobody again. `text` is the digest
-- of the episode's words.
CREATE TABLE extractions (
  row INTEGER PRIMARY KEY REFERENCES cubes ON DELETE CASCADE,
  extractor TEXT NOT NULL, text TEXT NOT NULL, value TEXT NOT NULL
);
CREATE INDEX extractions_text ON extractions (text);
"""

KEYS = """
-- Keys of a server. A secret is shown once and kept only as its SHA-256.
CREATE TABLE keys (
  id TEXT PRIMARY KEY, digest TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
  tenant TEXT NOT NULL, user TEXT NOT NULL, agent TEXT NOT NULL, rights TEXT NOT NULL, rate INTEGER NOT NULL,
  created_at INTEGER NOT NULL, revoked_at INTEGER
) WITHOUT ROWID;

-- Requests that may come again under the same name (Idempotency-Key): when the first came, and its answer.
CREATE TABLE attempts (
  key TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, at INTEGER NOT NULL, status INTEGER, body TEXT,
  PRIMARY KEY (key, name)
) WITHOUT ROWID;
CREATE INDEX attempts_at ON attempts (at);
"""

QUEUE = """
-- A job that failed waits until `not_before`; after its last failure its state is 'dead' instead of 'pending'.
ALTER TABLE jobs ADD COLUMN state TEXT NOT NULL DEFAULT 'pending';
ALTER TABLE jobs ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN not_before INTEGER NOT NULL DEFAULT 0;
"""

GOVERNANCE = """
-- Who may do what with an owner's memory beside the owner: a subject is a user of the same tenant, or one of their
-- agents ('' is any). `agent` and `session` narrow what is opened; with `listed` it is the cubes in `granted` alone.
CREATE TABLE grants (
  number INTEGER PRIMARY KEY AUTOINCREMENT, owner INTEGER NOT NULL REFERENCES owners,
  agent TEXT NOT NULL, session TEXT NOT NULL, listed INTEGER NOT NULL,
  with_user TEXT NOT NULL, with_agent TEXT NOT NULL, rights TEXT NOT NULL,
  at INTEGER NOT NULL, revoked_at INTEGER
);
CREATE INDEX grants_owner ON grants (owner, with_user);
CREATE TABLE granted (
  number INTEGER NOT NULL REFERENCES grants ON DELETE CASCADE,
  row INTEGER NOT NULL REFERENCES cubes ON DELETE CASCADE,
  PRIMARY KEY (number, row)
) WITHOUT ROWID;
CREATE INDEX granted_row ON granted (row);

-- What was done to the store, without anything that was remembered. `hash` is over the entry and the hash before it.
CREATE TABLE audit (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, actor TEXT NOT NULL,
  tenant TEXT NOT NULL, user TEXT NOT NULL, act TEXT NOT NULL, detail TEXT NOT NULL, hash TEXT NOT NULL
);
CREATE INDEX audit_owner ON audit (tenant, user);
CREATE TRIGGER audit_is_not_rewritten BEFORE UPDATE ON audit BEGIN
  SELECT RAISE(ABORT, 'the audit log cannot be changed');
END;
CREATE TRIGGER audit_is_not_cut BEFORE DELETE ON audit BEGIN
  SELECT RAISE(ABORT, 'the audit log cannot be changed');
END;

DELETE FROM meta WHERE name = 'audit_head';  -- of no log that is here

-- Until now every key saw all that it could read in clear.
UPDATE keys SET rights = rights || ',reveal';
"""

LIFE = """
-- The states of `memorist.states`; what organisers had hidden and what was forgotten is both 'deleted'.
UPDATE cubes SET state = CASE state
  WHEN 'active' THEN 'activated' WHEN 'forgotten' THEN 'deleted' WHEN 'undone' THEN 'archived' ELSE state END;
-- The rest of a cube's header. `updated_at` is NULL while that is when it was recorded; `sensitivity` is a JSON list.
ALTER TABLE cubes ADD COLUMN semantic_type TEXT NOT NULL DEFAULT '';
ALTER TABLE cubes ADD COLUMN updated_at INTEGER;
ALTER TABLE cubes ADD COLUMN expires_at INTEGER;
ALTER TABLE cubes ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE cubes ADD COLUMN sensitivity TEXT NOT NULL DEFAULT '[]';
CREATE INDEX cubes_expiring ON cubes (owner, expires_at) WHERE expires_at IS NOT NULL;

-- How often a cube was recalled, and when last. Not part of what changes: caches need not know.
CREATE TABLE usage (
  row INTEGER PRIMARY KEY REFERENCES cubes ON DELETE CASCADE,
  recalls INTEGER NOT NULL, last INTEGER NOT NULL
);
"""

PAYLOADS = """
-- Tensors of cubes that are not text: a safetensors file, named by the sha256 of its bytes, in parts.
-- Each owner has its own, and the last cube that has it takes it along, whoever removes that cube.
ALTER TABLE cubes ADD COLUMN payload TEXT;
CREATE INDEX cubes_payload ON cubes (owner, payload) WHERE payload IS NOT NULL;
CREATE TABLE payloads (
  owner INTEGER NOT NULL REFERENCES owners, sha256 TEXT NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL,
  PRIMARY KEY (owner, sha256, part)
);
CREATE TRIGGER payload_goes_with_its_last_cube AFTER DELETE ON cubes WHEN OLD.payload IS NOT NULL BEGIN
  DELETE FROM payloads WHERE owner = OLD.owner AND sha256 = OLD.payload
  AND NOT EXISTS (SELECT 1 FROM cubes WHERE owner = OLD.owner AND payload = OLD.payload);
END;
CREATE TRIGGER payload_goes_when_its_last_cube_has_another AFTER UPDATE OF payload ON cubes
WHEN OLD.payload IS NOT NULL AND OLD.payload IS NOT NEW.payload BEGIN
  DELETE FROM payloads WHERE owner = OLD.owner AND sha256 = OLD.payload
  AND NOT EXISTS (SELECT 1 FROM cubes WHERE owner = OLD.owner AND payload = OLD.payload);
END;
"""

COLUMNS = """
-- What the fact graph keeps of an episode has another form now: it is derived anew when next asked for.
UPDATE cubes SET state = 'deleted' WHERE origin = 'graph';
DELETE FROM marks WHERE organiser = 'graph';

-- What organisers look for after their mark; by cubes_changed they would pass over all that was derived since.
CREATE INDEX cubes_said ON cubes (owner, revision) WHERE origin = 'source' AND kind = 'text';
"""

TIME = """
-- Snapshots of an owner's memory: `top` is the highest row then, `marks` and `jobs` are as they were (JSON), `touched`
-- are rows that lost a neighbour to an erase since. A row that a roll-back took out of sight has a snapshot in `aside`.
ALTER TABLE cubes ADD COLUMN aside INTEGER;
CREATE TABLE snapshots (
  snapshot INTEGER PRIMARY KEY AUTOINCREMENT, owner INTEGER NOT NULL REFERENCES owners, name TEXT NOT NULL,
  at INTEGER NOT NULL, top INTEGER NOT NULL, embedder TEXT NOT NULL, marks TEXT NOT NULL, jobs TEXT NOT NULL,
  touched TEXT NOT NULL, UNIQUE (owner, name)
);
-- What may change of a cube; of an episode neither its words nor its features do, which are NULL here.
CREATE TABLE snapshot_cubes (
  snapshot INTEGER NOT NULL REFERENCES snapshots ON DELETE CASCADE,
  row INTEGER NOT NULL REFERENCES cubes ON DELETE CASCADE,
  state TEXT NOT NULL, trust TEXT NOT NULL, at INTEGER NOT NULL, valid_from INTEGER NOT NULL, valid_to INTEGER,
  recorded_at INTEGER NOT NULL, superseded_at INTEGER, replaces INTEGER, revision INTEGER NOT NULL,
  semantic_type TEXT NOT NULL, updated_at INTEGER, expires_at INTEGER, priority INTEGER NOT NULL,
  sensitivity TEXT NOT NULL, aside INTEGER, text TEXT, meta TEXT,
  tokens INTEGER, members BLOB, norm REAL, vector BLOB, vectors BLOB, data BLOB,
  PRIMARY KEY (snapshot, row)
) WITHOUT ROWID;
CREATE INDEX snapshot_cubes_row ON snapshot_cubes (row);
CREATE TABLE snapshot_lineage (
  snapshot INTEGER NOT NULL REFERENCES snapshots ON DELETE CASCADE,
  child INTEGER NOT NULL REFERENCES cubes ON DELETE CASCADE,
  parent INTEGER NOT NULL REFERENCES cubes ON DELETE CASCADE,
  PRIMARY KEY (snapshot, child, parent)
) WITHOUT ROWID;
CREATE INDEX snapshot_lineage_child ON snapshot_lineage (child);
CREATE INDEX snapshot_lineage_parent ON snapshot_lineage (parent);
CREATE TABLE snapshot_links (
  snapshot INTEGER NOT NULL REFERENCES snapshots ON DELETE CASCADE,
  source INTEGER NOT NULL REFERENCES cubes ON DELETE CASCADE,
  target INTEGER NOT NULL REFERENCES cubes ON DELETE CASCADE,
  kind TEXT NOT NULL, weight REAL NOT NULL,
  PRIMARY KEY (snapshot, source, kind, target)
) WITHOUT ROWID;
CREATE INDEX snapshot_links_source ON snapshot_links (source);
CREATE INDEX snapshot_links_target ON snapshot_links (target);
"""

TIMELINE = """
-- What a list of the newest, or a count by days, needs: it never visits the cubes that it does not show.
CREATE INDEX cubes_timeline ON cubes (owner, origin, at, position, row, state, superseded_at);
"""

SCHEDULE = """
-- What a user changed of what is done by itself, and when it was done last. `every` is in seconds.
CREATE TABLE schedule (
  owner INTEGER NOT NULL REFERENCES owners, name TEXT NOT NULL, every REAL NOT NULL, enabled INTEGER NOT NULL,
  options TEXT NOT NULL, ran_at INTEGER, told TEXT,
  PRIMARY KEY (owner, name)
) WITHOUT ROWID;
"""

MIGRATIONS: tuple[str, ...] = (
    CREATE,
    MARKS,
    REPLIES,
    FACTS,
    BESIDE,
    KEYS,
    QUEUE,
    LIFE,
    PAYLOADS,
    COLUMNS,
    TIME,
    TIMELINE,
    SCHEDULE,
    GOVERNANCE,
)
"""MIGRATIONS[n] takes version n to n + 1; version 0 is the empty file."""

VERSION = len(MIGRATIONS)
