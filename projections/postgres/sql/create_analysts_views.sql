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
       sum(content_length)::bigint                                           AS bytes,
       count(*) FILTER (WHERE state IN ('pending', 'uploaded'))              AS pending_items,
       coalesce(sum(content_length) FILTER (WHERE state IN ('pending', 'uploaded')), 0)::bigint AS pending_bytes,
       count(*) FILTER (WHERE state = 'confirmed')                           AS confirmed_items,
       coalesce(sum(content_length) FILTER (WHERE state = 'confirmed'), 0)::bigint   AS confirmed_bytes,
       coalesce(sum(bytes_freed), 0)::bigint                                         AS bytes_freed
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
       coalesce(sum(bytes_freed), 0)::bigint                                   AS bytes_freed
FROM media
WHERE collect_run_id IS NOT NULL
GROUP BY 1, 2;
