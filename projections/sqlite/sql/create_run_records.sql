-- One version of run_records: one row per run of the collector that found something due. What a run did is NULL until it
-- has ended. The meaning of each column is documented at RunRow and at CollectionRunEnded; reasons and failures are JSON
-- objects of counts.
CREATE TABLE IF NOT EXISTS run_records_v{version}
(
  run_id         TEXT NOT NULL PRIMARY KEY,
  caller         TEXT NOT NULL,
  started_at     TEXT NOT NULL,
  ended_at       TEXT,
  due            INTEGER,
  collected      INTEGER,
  absent         INTEGER,
  in_use         INTEGER,
  failed         INTEGER,
  unknown        INTEGER,
  bytes_freed    INTEGER,
  more           INTEGER,
  reasons        TEXT,
  failures       TEXT,
  broken_off     TEXT,
  first_position INTEGER NOT NULL,
  position       INTEGER NOT NULL,
  trashed        INTEGER
) STRICT, WITHOUT ROWID;
