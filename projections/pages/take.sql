-- The list without what others hold, and held from now on.
-- $1 … $4: as the list has them, $5: the run, $6: its page, $7: how long it is held, in milliseconds
WITH present AS MATERIALIZED (
  SELECT clock_timestamp() AS at,
         (SELECT position FROM projection_checkpoints WHERE name = 'media' AND status = 'live') AS position
), held AS MATERIALIZED (
  SELECT unnest(pages.media_ids) AS media_id
  FROM collection_pages pages, present
  WHERE pages.held_until > present.at AND (pages.done_position IS NULL OR pages.done_position > present.position)
), page AS MATERIALIZED (
{list}), forgotten AS (
  DELETE FROM collection_pages USING present
  WHERE held_until <= present.at OR done_position <= present.position
), taken AS (
  INSERT INTO collection_pages (run_id, page, media_ids, held_until)
  SELECT $5, $6, array_agg(page.media_id), max(present.at) + $7 * interval '1 millisecond'
  FROM page, present
  HAVING count(*) > 0
)
SELECT {columns}
FROM page
ORDER BY collectable_at, media_id
