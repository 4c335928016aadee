-- ?1: now, ?2 ?3: the place after which to go on, ?4: limit, ?5: a JSON array of ids to leave out
SELECT media_id, tenant, state, store, bucket, object_key, content_length, etag, collectable_at, release_reason,
       collect_reason, claim, sequence
FROM media
WHERE state IN ('collecting', 'restoring')
  AND (collectable_at, media_id) > (?2, ?3)
  AND NOT EXISTS (SELECT 1 FROM collection_retries
                  WHERE collection_retries.media_id = media.media_id AND next_try_at > ?1)
  AND media_id NOT IN (SELECT value FROM json_each(?5))
ORDER BY collectable_at, media_id
LIMIT ?4
