-- The read models. Everything but collection_retries is a fold of the journal and can be rebuilt from it.
-- Times are text of one width, RFC 3339 in UTC with microseconds (2026-11-22T08:42:11.123456Z): text sorts as
-- time does. Sizes are bytes. Absent is NULL.

-- The newest step that these tables have taken.
CREATE TABLE projection_schema
(
  one     BOOLEAN NOT NULL PRIMARY KEY DEFAULT true CHECK (one),
  version BIGINT  NOT NULL
);

INSERT INTO projection_schema (version) VALUES (0);

-- Where each version of a projection stands. Rows and checkpoint always change in one transaction.
CREATE TABLE projection_checkpoints
(
  name        TEXT COLLATE "C" NOT NULL, -- the projection: media
  version     BIGINT NOT NULL, -- 1, 2, …
  status      TEXT COLLATE "C" NOT NULL CHECK (status IN ('live', 'building')),
  position    BIGINT NOT NULL, -- of the last event applied, 0 before the first
  recorded_at TEXT COLLATE "C",             -- when the last event applied was recorded
  PRIMARY KEY (name, version)
);

CREATE UNIQUE INDEX projection_checkpoints_live ON projection_checkpoints (name) WHERE status = 'live';

-- The newest version number ever given to a projection: none is used twice, so that a rebuild that was replaced
-- finds its version gone and never writes into another's.
CREATE TABLE projection_versions
(
  name   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  newest BIGINT NOT NULL
);

INSERT INTO projection_versions (name, newest) VALUES ('media', 0);

-- The collector's own notebook, not a projection: items whose collection failed wait here. A rebuild leaves it
-- alone; losing it means no more than trying again at once.
CREATE TABLE collection_retries
(
  media_id    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  claim       BIGINT,          -- the claim that failed, NULL where it failed before a claim
  attempts    BIGINT NOT NULL, -- failures of this claim in a row
  next_try_at TEXT COLLATE "C" NOT NULL,
  last_code   TEXT COLLATE "C" NOT NULL, -- of the last failure, as the bucket named it
  updated_at  TEXT COLLATE "C" NOT NULL
);
