-- $1: now, $2 $3: the place after which to go on, $4: limit, {held}: ids to leave out
SELECT {columns}
FROM media
WHERE state IN ('pending', 'uploaded', 'released', 'trashed')
  AND (collectable_at, media_id) > ($2, $3)
  AND collectable_at <= $1
  AND NOT EXISTS (SELECT 1 FROM collection_retries
                  WHERE collection_retries.media_id = media.media_id AND next_try_at > $1)
  AND media_id {held}
ORDER BY collectable_at, media_id
LIMIT $4
