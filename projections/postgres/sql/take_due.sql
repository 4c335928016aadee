-- As due.sql, without what others hold, and held from now on.
-- $1: now, $2 $3: the place after which to go on, $4: limit, $5: the run, $6: its page, $7: how long it is held, in seconds
WITH present AS MATERIALIZED (
  SELECT clock_timestamp() AS at,
         (SELECT position FROM projection_checkpoints WHERE name = 'media' AND status = 'live') AS position
), held AS MATERIALIZED (
  SELECT unnest(pages.media_ids) AS media_id
  FROM collection_pages pages, present
  WHERE pages.held_until > present.at AND (pages.done_position IS NULL OR pages.done_position > present.position)
), page AS MATERIALIZED (
  SELECT media_id, tenant, state, store, bucket, object_key, content_length, etag, collectable_at, release_reason,
         collect_reason, claim, sequence
  FROM media
  WHERE state IN ('pending', 'uploaded', 'released', 'trashed')
    AND (collectable_at, media_id) > ($2, $3)
    AND collectable_at <= $1
    AND NOT EXISTS (SELECT 1 FROM collection_retries
                    WHERE collection_retries.media_id = media.media_id AND next_try_at > $1)
    AND media_id NOT IN (SELECT media_id FROM held)
  ORDER BY collectable_at, media_id
  LIMIT $4
), forgotten AS (
  DELETE FROM collection_pages USING present
  WHERE held_until <= present.at OR done_position <= present.position
), taken AS (
  INSERT INTO collection_pages (run_id, page, media_ids, held_until)
  SELECT $5, $6, array_agg(page.media_id), max(present.at) + $7 * interval '1 second'
  FROM page, present
  HAVING count(*) > 0
)
SELECT media_id, tenant, state, store, bucket, object_key, content_length, etag, collectable_at, release_reason,
       collect_reason, claim, sequence
FROM page
ORDER BY collectable_at, media_id
