-- The notebook of reconciliations, not a projection: walks of the bucket and what they found. A rebuild leaves it alone;
-- losing it means walking again. The meaning of each column is documented at Walk and at Finding; holder is the process
-- that works on a walk.
CREATE TABLE reconciliations
(
  reconciliation_id TEXT COLLATE "C" NOT NULL,
  caller            TEXT COLLATE "C" NOT NULL,
  status            TEXT COLLATE "C" NOT NULL,
  started_at        TEXT COLLATE "C" NOT NULL,
  saved_at          TEXT COLLATE "C" NOT NULL,
  ended_at          TEXT COLLATE "C",
  after_key         TEXT COLLATE "C" NOT NULL,
  delete_older_than BIGINT,
  report_only       TEXT COLLATE "C",
  expected          BIGINT NOT NULL,
  objects           BIGINT NOT NULL,
  bytes             BIGINT NOT NULL,
  requests          BIGINT NOT NULL,
  came_back         BIGINT NOT NULL,
  unknown           BIGINT NOT NULL,
  missing           BIGINT NOT NULL,
  differs           BIGINT NOT NULL,
  deleted           BIGINT NOT NULL,
  broken_off        TEXT COLLATE "C",
  holder            TEXT COLLATE "C",
  PRIMARY KEY (reconciliation_id)
);

-- One walk runs at a time.
CREATE UNIQUE INDEX reconciliations_running ON reconciliations (status) WHERE status = 'running';

CREATE TABLE reconciliation_findings
(
  reconciliation_id TEXT COLLATE "C" NOT NULL,
  object_key        TEXT COLLATE "C" NOT NULL,
  kind              TEXT COLLATE "C" NOT NULL,
  media_id          TEXT COLLATE "C",
  found_at          TEXT COLLATE "C" NOT NULL,
  size              BIGINT,
  etag              TEXT COLLATE "C",
  last_modified     TEXT COLLATE "C",
  expected_size     BIGINT,
  expected_etag     TEXT COLLATE "C",
  action            TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (reconciliation_id, object_key)
);
