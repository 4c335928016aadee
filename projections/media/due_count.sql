-- $1: now, $2: at most so many
SELECT count(*) AS count
FROM (SELECT 1
      FROM media
      WHERE state IN ('pending', 'uploaded', 'released', 'trashed')
        AND collectable_at <= $1
        AND NOT EXISTS (SELECT 1 FROM collection_retries
                        WHERE collection_retries.media_id = media.media_id AND next_try_at > $1)
      LIMIT $2) AS some_due
