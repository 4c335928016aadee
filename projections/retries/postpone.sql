-- $1: an array of [media_id, claim, code], $2: now, $3: the times to try again after the first, second … failure, the last of
-- which holds for all further ones
INSERT INTO collection_retries AS known (media_id, claim, attempts, next_try_at, last_code, updated_at)
SELECT media_id, claim, 1, {json $3} ->> 0, code, $2
FROM {rows $1: media_id text, claim integer, code text}
WHERE true
ON CONFLICT (media_id) DO UPDATE SET
  claim       = excluded.claim,
  attempts    = CASE WHEN known.claim IS NOT DISTINCT FROM excluded.claim THEN known.attempts + 1 ELSE 1 END,
  next_try_at = {json $3} ->> CAST(CASE WHEN known.claim IS DISTINCT FROM excluded.claim THEN 0
                                        WHEN known.attempts < json_array_length({json $3}) THEN known.attempts
                                        ELSE json_array_length({json $3}) - 1 END AS INTEGER),
  last_code   = excluded.last_code,
  updated_at  = excluded.updated_at
