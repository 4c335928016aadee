-- $1: inspection, $2: ids
DELETE FROM inspection_retries WHERE inspection = $1 AND media_id = ANY ($2::text[])
