-- ?1: a JSON array of [media_id, claim, code], ?2: now, ?3: a JSON array of the times to try again after the first,
-- second … failure, the last of which holds for all further ones
INSERT INTO collection_retries (media_id, claim, attempts, next_try_at, last_code, updated_at)
SELECT value ->> 0, value ->> 1, 1, ?3 ->> 0, value ->> 2, ?2
FROM json_each(?1)
WHERE true
ON CONFLICT (media_id) DO UPDATE SET
  claim       = excluded.claim,
  attempts    = iif(claim IS excluded.claim, attempts + 1, 1),
  next_try_at = ?3 ->> iif(claim IS excluded.claim, min(attempts, json_array_length(?3) - 1), 0),
  last_code   = excluded.last_code,
  updated_at  = excluded.updated_at
