-- $1: inspection, $2: now, $3: limit
SELECT {columns}
FROM inspection_retries
JOIN media USING (media_id)
WHERE inspection = $1 AND next_try_at <= $2
ORDER BY next_try_at, media_id
LIMIT $3
