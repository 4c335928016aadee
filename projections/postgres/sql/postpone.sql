-- $1 $2 $3: media ids, claims, codes; $4: now; $5: the times to try again after the first, second ... failure, the last
-- of which holds for all further ones
INSERT INTO collection_retries AS known (media_id, claim, attempts, next_try_at, last_code, updated_at)
SELECT media_id, claim, 1, ($5::text[])[1], code, $4
FROM unnest($1::text[], $2::bigint[], $3::text[]) AS failed (media_id, claim, code)
ON CONFLICT (media_id) DO UPDATE SET
  claim       = excluded.claim,
  attempts    = CASE WHEN known.claim IS NOT DISTINCT FROM excluded.claim THEN known.attempts + 1 ELSE 1 END,
  next_try_at = ($5::text[])[CASE WHEN known.claim IS NOT DISTINCT FROM excluded.claim
                                  THEN least(known.attempts + 1, cardinality($5::text[])) ELSE 1 END],
  last_code   = excluded.last_code,
  updated_at  = excluded.updated_at
