-- The cursors of stored consumers, in a file of their own beside the journal's.
CREATE TABLE IF NOT EXISTS journal_consumers
(
  name         TEXT    NOT NULL PRIMARY KEY,
  position     INTEGER NOT NULL CHECK (position >= 0), -- the last event that was consumed
  commit_id    INTEGER,          -- the latest commit known to begin at or before it
  commit_hash  BLOB,             -- SHA-256 of that commit
  lease_holder TEXT,             -- UUID of the process that is at it
  lease_until  INTEGER,          -- µs since 1970-01-01T00:00:00Z, by the clock of that process
  paused       INTEGER NOT NULL CHECK (paused IN (0, 1)),
  failure      TEXT,             -- why the last turn failed
  updated_at   INTEGER NOT NULL  -- µs
) STRICT, WITHOUT ROWID;
