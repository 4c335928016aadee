-- What the service notes while it looks again at items whose collection or confirm has ended. Neither table is a
-- projection: a rebuild leaves them alone, and losing them means no more than looking once more.

-- How far each planned time of re-checks has come in one bucket: every item of it whose collection was recorded up to
-- this position has been looked at so long after it.
CREATE TABLE recheck_progress
(
  store         TEXT    NOT NULL,
  bucket        TEXT    NOT NULL,
  after_seconds INTEGER NOT NULL, -- the planned time, counted from the collection
  position      INTEGER NOT NULL, -- in the journal
  updated_at    TEXT    NOT NULL,
  PRIMARY KEY (store, bucket, after_seconds)
) STRICT, WITHOUT ROWID;

-- Items that could not be looked at: each waits for its own time, and delays no other.
CREATE TABLE inspection_retries
(
  inspection  TEXT    NOT NULL, -- what for: recheck
  media_id    TEXT    NOT NULL,
  attempts    INTEGER NOT NULL, -- failures in a row
  next_try_at TEXT    NOT NULL,
  last_code   TEXT    NOT NULL, -- of the last failure
  updated_at  TEXT    NOT NULL,
  PRIMARY KEY (inspection, media_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX inspection_retries_due ON inspection_retries (inspection, next_try_at, media_id);
