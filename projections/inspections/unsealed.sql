-- $1 $2: store, bucket, $3: until when the last ticket ended, $4 $5: the place after which to go on, $6: limit
SELECT {columns}
FROM media
WHERE state = 'confirmed' AND sealed_at IS NULL AND substituted_at IS NULL
  AND store = $1 AND bucket = $2
  AND (ticket_expires_at, media_id) > ($4, $5)
  AND ticket_expires_at <= $3
  AND NOT EXISTS (SELECT 1 FROM inspection_retries
                  WHERE inspection = 'seal' AND inspection_retries.media_id = media.media_id)
ORDER BY ticket_expires_at, media_id
LIMIT $6
