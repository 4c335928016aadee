-- $1 $2: store, bucket, $3: planned times, $4: position, $5: now. The position never goes back, whoever is slower.
INSERT INTO recheck_progress AS known (store, bucket, after_seconds, position, updated_at)
SELECT $1, $2, after_seconds, $4, $5
FROM {rows $3: after_seconds integer}
WHERE true
ON CONFLICT (store, bucket, after_seconds) DO UPDATE SET
  position   = CASE WHEN known.position > excluded.position THEN known.position ELSE excluded.position END,
  updated_at = excluded.updated_at
