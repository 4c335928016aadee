-- $1: tenant, $2 $3: the place after which to go on, $4: due before, $5: limit; {of_owner}: AND owner = $6, or nothing
-- The position comes with an empty page too: one statement, so that it is the position of what is shown. Rows come in any
-- order.
SELECT live.position, item.*
FROM (SELECT position FROM projection_checkpoints WHERE name = 'media' AND status = 'live') AS live
LEFT JOIN (
  SELECT media_id, owner, state, object_key, content_length, requested_at, confirm_by, collectable_at
  FROM pending_media
  WHERE tenant = $1
    AND (collectable_at, media_id) > ($2, $3)
    AND collectable_at < $4 {of_owner}
  ORDER BY collectable_at, media_id
  LIMIT $5
) AS item ON true
