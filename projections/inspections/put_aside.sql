-- $1: inspection, $2: an array of [media_id, code], $3: now, $4: the times to try again after the first, second … failure, the
-- last of which holds for all further ones
INSERT INTO inspection_retries AS known (inspection, media_id, attempts, next_try_at, last_code, updated_at)
SELECT $1, media_id, 1, {json $4} ->> 0, code, $3
FROM {rows $2: media_id text, code text}
WHERE true
ON CONFLICT (inspection, media_id) DO UPDATE SET
  attempts    = known.attempts + 1,
  next_try_at = {json $4} ->> CAST(CASE WHEN known.attempts < json_array_length({json $4}) THEN known.attempts
                                        ELSE json_array_length({json $4}) - 1 END AS INTEGER),
  last_code   = excluded.last_code,
  updated_at  = excluded.updated_at
