-- One version of run_records: one row per run of the collector that found something due. What a run did is NULL until it
-- has ended. The meaning of each column is documented at RunRow and at CollectionRunEnded; reasons and failures are JSON
-- objects of counts.
CREATE TABLE IF NOT EXISTS run_records_v{version}
(
  run_id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  caller         TEXT COLLATE "C" NOT NULL,
  started_at     TEXT COLLATE "C" NOT NULL,
  ended_at       TEXT COLLATE "C",
  due            BIGINT,
  collected      BIGINT,
  absent         BIGINT,
  in_use         BIGINT,
  failed         BIGINT,
  unknown        BIGINT,
  bytes_freed    BIGINT,
  more           BIGINT,
  reasons        TEXT COLLATE "C",
  failures       TEXT COLLATE "C",
  broken_off     TEXT COLLATE "C",
  first_position BIGINT NOT NULL,
  position       BIGINT NOT NULL,
  trashed        BIGINT
);
