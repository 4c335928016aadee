-- $1 $2: store, bucket, $3: planned times, $4: position, $5: now. It never goes back, whoever is slower.
INSERT INTO recheck_progress AS known (store, bucket, after_seconds, position, updated_at)
SELECT $1, $2, after_seconds, $4, $5
FROM unnest($3::bigint[]) AS planned (after_seconds)
ON CONFLICT (store, bucket, after_seconds) DO UPDATE SET
  position   = greatest(known.position, excluded.position),
  updated_at = excluded.updated_at
