-- ?1 ?2: store, bucket, ?3: a JSON array of planned times, ?4: position, ?5: now. It never goes back, whoever is slower.
INSERT INTO recheck_progress (store, bucket, after_seconds, position, updated_at)
SELECT ?1, ?2, value, ?4, ?5
FROM json_each(?3)
WHERE true
ON CONFLICT (store, bucket, after_seconds) DO UPDATE SET
  position   = max(position, excluded.position),
  updated_at = excluded.updated_at
