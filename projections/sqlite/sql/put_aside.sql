-- ?1: inspection, ?2: a JSON array of [media_id, code], ?3: now, ?4: a JSON array of the times to try again after the
-- first, second … failure, the last of which holds for all further ones
INSERT INTO inspection_retries (inspection, media_id, attempts, next_try_at, last_code, updated_at)
SELECT ?1, value ->> 0, 1, ?4 ->> 0, value ->> 1, ?3
FROM json_each(?2)
WHERE true
ON CONFLICT (inspection, media_id) DO UPDATE SET
  attempts    = attempts + 1,
  next_try_at = ?4 ->> min(attempts, json_array_length(?4) - 1),
  last_code   = excluded.last_code,
  updated_at  = excluded.updated_at
