-- What each run of the collector has claimed and what became of it, and what its record says. kind is run, or late_upload
-- where a request found bytes that arrived after an item was collected; then run_id names the request. In the first
-- columns an item counts for its latest claim only; those from status on are the record's, which counts what the run did.
-- A run without the record of its end is unfinished: it is under way, it was cut off, or it is from before there were
-- records.
SELECT coalesce(items.run_id, records.run_id)                              AS run_id,
       coalesce(items.kind, 'run')                                         AS kind,
       coalesce(items.started_at, records.started_at)                      AS started_at,
       items.last_collected_at                                             AS last_collected_at,
       coalesce(items.claimed, 0)                                          AS claimed,
       coalesce(items.deleted, 0)                                          AS deleted,
       coalesce(items.absent, 0)                                           AS absent,
       coalesce(items.unfinished, 0)                                       AS unfinished,
       coalesce(items.bytes_freed, 0)                                      AS bytes_freed,
       CASE WHEN records.ended_at IS NOT NULL THEN 'ended'
            WHEN items.kind = 'late_upload' THEN NULL
            ELSE 'unfinished' END                                          AS status,
       records.caller                                                      AS caller,
       records.ended_at                                                    AS ended_at,
       records.due                                                         AS due,
       records.in_use                                                      AS in_use,
       records.failed                                                      AS failed,
       records.unknown                                                     AS unknown,
       records.failures                                                    AS failures,
       records.broken_off                                                  AS broken_off,
       records.trashed                                                     AS trashed
FROM (SELECT collect_run_id                                                AS run_id,
             CASE collect_reason WHEN 'late_upload' THEN 'late_upload' ELSE 'run' END AS kind,
             min(collection_started_at)                                    AS started_at,
             max(collected_at)                                             AS last_collected_at,
             count(*)                                                      AS claimed,
             count(*) FILTER (WHERE outcome = 'deleted')                   AS deleted,
             count(*) FILTER (WHERE outcome = 'absent')                    AS absent,
             count(*) FILTER (WHERE state = 'collecting')                  AS unfinished,
             CAST(coalesce(sum(bytes_freed), 0) AS BIGINT)                 AS bytes_freed
      FROM media
      WHERE collect_run_id IS NOT NULL
      GROUP BY 1, 2) items
FULL JOIN run_records records ON records.run_id = items.run_id
