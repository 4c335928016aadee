-- The notebook of reconciliations, not a projection: walks of the bucket and what they found. A rebuild leaves it alone;
-- losing it means walking again. The meaning of each column is documented at Walk and at Finding; holder is the process
-- that works on a walk.
CREATE TABLE reconciliations
(
  reconciliation_id TEXT NOT NULL,
  caller            TEXT NOT NULL,
  status            TEXT NOT NULL,
  started_at        TEXT NOT NULL,
  saved_at          TEXT NOT NULL,
  ended_at          TEXT,
  after_key         TEXT NOT NULL,
  delete_older_than INTEGER,
  report_only       TEXT,
  expected          INTEGER NOT NULL,
  objects           INTEGER NOT NULL,
  bytes             INTEGER NOT NULL,
  requests          INTEGER NOT NULL,
  came_back         INTEGER NOT NULL,
  unknown           INTEGER NOT NULL,
  missing           INTEGER NOT NULL,
  differs           INTEGER NOT NULL,
  deleted           INTEGER NOT NULL,
  broken_off        TEXT,
  holder            TEXT,
  PRIMARY KEY (reconciliation_id)
) STRICT, WITHOUT ROWID;

-- One walk runs at a time.
CREATE UNIQUE INDEX reconciliations_running ON reconciliations (status) WHERE status = 'running';

CREATE TABLE reconciliation_findings
(
  reconciliation_id TEXT NOT NULL,
  object_key        TEXT NOT NULL,
  kind              TEXT NOT NULL,
  media_id          TEXT,
  found_at          TEXT NOT NULL,
  size              INTEGER,
  etag              TEXT,
  last_modified     TEXT,
  expected_size     INTEGER,
  expected_etag     TEXT,
  action            TEXT NOT NULL,
  PRIMARY KEY (reconciliation_id, object_key)
) STRICT, WITHOUT ROWID;
