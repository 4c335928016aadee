-- $1: inspection; $2 $3: media ids, codes; $4: now; $5: the times to try again after the first, second ... failure, the
-- last of which holds for all further ones
INSERT INTO inspection_retries AS known (inspection, media_id, attempts, next_try_at, last_code, updated_at)
SELECT $1, media_id, 1, ($5::text[])[1], code, $4
FROM unnest($2::text[], $3::text[]) AS failed (media_id, code)
ON CONFLICT (inspection, media_id) DO UPDATE SET
  attempts    = known.attempts + 1,
  next_try_at = ($5::text[])[least(known.attempts + 1, cardinality($5::text[]))],
  last_code   = excluded.last_code,
  updated_at  = excluded.updated_at
