-- $1: inspection, $2: now, $3: limit
SELECT media.media_id, store, bucket, object_key, claim, collected_at, position, ticket_expires_at
FROM inspection_retries
JOIN media ON media.media_id = inspection_retries.media_id
WHERE inspection = $1 AND next_try_at <= $2
ORDER BY next_try_at, inspection_retries.media_id
LIMIT $3
