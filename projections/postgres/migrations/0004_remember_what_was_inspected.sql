-- What the service notes while it looks again at items whose collection or confirm has ended. Neither table is a
-- projection: a rebuild leaves them alone, and losing them means no more than looking once more.

-- How far each planned time of re-checks has come in one bucket: every item of it whose collection was recorded up to
-- this position has been looked at so long after it.
CREATE TABLE recheck_progress
(
  store         TEXT COLLATE "C" NOT NULL,
  bucket        TEXT COLLATE "C" NOT NULL,
  after_seconds BIGINT NOT NULL, -- the planned time, counted from the collection
  position      BIGINT NOT NULL, -- in the journal
  updated_at    TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (store, bucket, after_seconds)
);

-- Items that could not be looked at: each waits for its own time, and delays no other.
CREATE TABLE inspection_retries
(
  inspection  TEXT COLLATE "C" NOT NULL, -- what for: recheck
  media_id    TEXT COLLATE "C" NOT NULL,
  attempts    BIGINT NOT NULL, -- failures in a row
  next_try_at TEXT COLLATE "C" NOT NULL,
  last_code   TEXT COLLATE "C" NOT NULL, -- of the last failure
  updated_at  TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (inspection, media_id)
);

CREATE INDEX inspection_retries_due ON inspection_retries (inspection, next_try_at, media_id);
