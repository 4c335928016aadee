-- ?1: inspection, ?2: a JSON array of ids
DELETE FROM inspection_retries WHERE inspection = ?1 AND media_id IN (SELECT value FROM json_each(?2))
