-- The read models. Everything but collection_retries is a fold of the journal and can be rebuilt from it.
-- Times are text of one width, RFC 3339 in UTC with microseconds (2026-11-22T08:42:11.123456Z): text sorts as
-- time does. Sizes are bytes. Absent is NULL.

-- Where each version of a projection stands. Rows and checkpoint always change in one transaction.
CREATE TABLE projection_checkpoints
(
  name        TEXT    NOT NULL, -- the projection: media
  version     INTEGER NOT NULL, -- 1, 2, …
  status      TEXT    NOT NULL CHECK (status IN ('live', 'building')),
  position    INTEGER NOT NULL, -- of the last event applied, 0 before the first
  recorded_at TEXT,             -- when the last event applied was recorded
  PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX projection_checkpoints_live ON projection_checkpoints (name) WHERE status = 'live';

-- The newest version number ever given to a projection: none is used twice, so that a rebuild that was replaced
-- finds its version gone and never writes into another's.
CREATE TABLE projection_versions
(
  name   TEXT    NOT NULL PRIMARY KEY,
  newest INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO projection_versions (name, newest) VALUES ('media', 0);

-- The collector's own notebook, not a projection: items whose collection failed wait here. A rebuild leaves it
-- alone; losing it means no more than trying again at once.
CREATE TABLE collection_retries
(
  media_id    TEXT    NOT NULL PRIMARY KEY,
  claim       INTEGER,          -- the claim that failed, NULL where it failed before a claim
  attempts    INTEGER NOT NULL, -- failures of this claim in a row
  next_try_at TEXT    NOT NULL,
  last_code   TEXT    NOT NULL, -- of the last failure, as the bucket named it
  updated_at  TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- Items that were requested or uploaded and are neither confirmed nor being collected.
CREATE VIEW pending_media AS
SELECT * FROM media WHERE state IN ('pending', 'uploaded');

-- Of the items requested on a day (UTC), how many came how far. An item counts in each column that it has reached.
-- A release that was undone by a confirm does not count.
CREATE VIEW funnel_per_day AS
SELECT substr(requested_at, 1, 10)  AS day,
       tenant,
       count(*)                     AS requested,
       count(uploaded_at)           AS uploaded,
       count(confirmed_at)          AS confirmed,
       count(released_at)           AS released,
       count(collected_at)          AS collected
FROM media
GROUP BY 1, 2;

-- Items and bytes of each owner. Bytes are those requested; freed are those that collection is known to have freed.
CREATE VIEW bytes_per_owner AS
SELECT tenant,
       owner,
       count(*)                                                              AS items,
       sum(content_length)                                                   AS bytes,
       count(*) FILTER (WHERE state IN ('pending', 'uploaded'))              AS pending_items,
       coalesce(sum(content_length) FILTER (WHERE state IN ('pending', 'uploaded')), 0) AS pending_bytes,
       count(*) FILTER (WHERE state = 'confirmed')                           AS confirmed_items,
       coalesce(sum(content_length) FILTER (WHERE state = 'confirmed'), 0)   AS confirmed_bytes,
       coalesce(sum(bytes_freed), 0)                                         AS bytes_freed
FROM media
GROUP BY tenant, owner;

-- What each run of the collector has claimed and what became of it. kind is run, or late_upload where a request
-- found bytes that arrived after an item was collected; then run_id names the request. An item counts for its
-- latest claim only.
CREATE VIEW collection_runs AS
SELECT collect_run_id                                                  AS run_id,
       CASE collect_reason WHEN 'late_upload' THEN 'late_upload' ELSE 'run' END AS kind,
       min(collection_started_at)                                      AS started_at,
       max(collected_at)                                               AS last_collected_at,
       count(*)                                                        AS claimed,
       count(*) FILTER (WHERE outcome = 'deleted')                     AS deleted,
       count(*) FILTER (WHERE outcome = 'absent')                      AS absent,
       count(*) FILTER (WHERE state = 'collecting')                    AS unfinished,
       coalesce(sum(bytes_freed), 0)                                   AS bytes_freed
FROM media
WHERE collect_run_id IS NOT NULL
GROUP BY 1, 2;
