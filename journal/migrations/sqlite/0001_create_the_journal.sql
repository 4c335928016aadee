-- The seven columns of a cqrs-es event table keep their names and types, so that its tools can read
-- ours; six more follow. `position` is the rowid: one b-tree holds the rows, one the streams.
CREATE TABLE events
(
  position       INTEGER NOT NULL PRIMARY KEY,
  commit_id      INTEGER NOT NULL,
  recorded_at    INTEGER NOT NULL, -- µs since 1970-01-01T00:00:00Z, by this database's clock
  leaf_hash      BLOB    NOT NULL, -- SHA-256, 32 bytes
  tenant         TEXT    NOT NULL,
  command_id     TEXT    NOT NULL, -- hyphenated lower-case UUID
  aggregate_type TEXT    NOT NULL,
  aggregate_id   TEXT    NOT NULL, -- hyphenated lower-case UUID
  sequence       INTEGER NOT NULL CHECK (sequence >= 1),
  event_type     TEXT    NOT NULL,
  event_version  TEXT    NOT NULL,
  payload        TEXT    NOT NULL, -- JSON, kept byte for byte
  metadata       TEXT    NOT NULL, -- JSON, kept byte for byte
  UNIQUE (aggregate_type, aggregate_id, sequence)
) STRICT;

-- The rowid is part of every index: this one yields the history of one tenant in order of position.
CREATE INDEX events_by_tenant ON events (tenant);

CREATE TABLE commits
(
  commit_id      INTEGER NOT NULL PRIMARY KEY,
  first_position INTEGER NOT NULL,
  event_count    INTEGER NOT NULL CHECK (event_count >= 1),
  recorded_at    INTEGER NOT NULL, -- µs, the same in each of its events
  hash           BLOB    NOT NULL  -- SHA-256, 32 bytes; chains the commit before
) STRICT;

-- One row: what was committed last. While the journal is empty all numbers are 0 and the hash is the
-- genesis hash, which binds the journal's id.
CREATE TABLE journal_head
(
  singleton   INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
  journal_id  TEXT    NOT NULL, -- hyphenated lower-case UUID, made once
  position    INTEGER NOT NULL,
  commit_id   INTEGER NOT NULL,
  recorded_at INTEGER NOT NULL, -- µs, of the last commit
  hash        BLOB    NOT NULL
) STRICT;

-- Every (type, version) that was ever stored, written by the first append that brings it: a process that
-- starts asks here what it must be able to decode, instead of reading millions of events.
CREATE TABLE event_versions
(
  event_type    TEXT NOT NULL,
  event_version TEXT NOT NULL,
  PRIMARY KEY (event_type, event_version)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER events_refuse_update BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the journal is append-only: events are never changed'); END;

CREATE TRIGGER events_refuse_delete BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'the journal is append-only: events are never deleted'); END;

-- An event is only ever the next of its journal and the next of its stream. That refuses a hole, a gap
-- and a conflict, and INSERT OR REPLACE too, whose deletes fire no delete trigger.
CREATE TRIGGER events_append_only BEFORE INSERT ON events
WHEN NEW.position IS NOT (SELECT coalesce(max(position), 0) + 1 FROM events)
  OR NEW.sequence IS NOT (SELECT coalesce(max(sequence), 0) + 1 FROM events
                           WHERE aggregate_type = NEW.aggregate_type AND aggregate_id = NEW.aggregate_id)
BEGIN SELECT RAISE(ABORT, 'the journal is append-only: not the next event of its journal and its stream'); END;

CREATE TRIGGER commits_refuse_update BEFORE UPDATE ON commits
BEGIN SELECT RAISE(ABORT, 'the journal is append-only: commits are never changed'); END;

CREATE TRIGGER commits_refuse_delete BEFORE DELETE ON commits
BEGIN SELECT RAISE(ABORT, 'the journal is append-only: commits are never deleted'); END;

CREATE TRIGGER commits_append_only BEFORE INSERT ON commits
WHEN NEW.commit_id IS NOT (SELECT coalesce(max(commit_id), 0) + 1 FROM commits)
BEGIN SELECT RAISE(ABORT, 'the journal is append-only: not the next commit'); END;

CREATE TRIGGER journal_head_refuses_delete BEFORE DELETE ON journal_head
BEGIN SELECT RAISE(ABORT, 'a journal has one head'); END;

CREATE TRIGGER journal_head_refuses_replace BEFORE INSERT ON journal_head
WHEN EXISTS (SELECT 1 FROM journal_head)
BEGIN SELECT RAISE(ABORT, 'a journal has one head'); END;

CREATE TRIGGER journal_head_goes_forward BEFORE UPDATE ON journal_head
WHEN NEW.journal_id IS NOT OLD.journal_id OR NEW.position <= OLD.position OR NEW.commit_id IS NOT OLD.commit_id + 1
BEGIN SELECT RAISE(ABORT, 'the head only goes forward, by one commit'); END;
