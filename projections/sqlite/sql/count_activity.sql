-- ?1: a JSON array of [minute, requested, confirmed, open, kept, expired], by how much each changes
INSERT INTO activity_v{version} (minute, requested, confirmed, open, kept, expired)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5
FROM json_each(?1)
WHERE true
ON CONFLICT (minute) DO UPDATE SET
  requested = requested + excluded.requested,
  confirmed = confirmed + excluded.confirmed,
  open      = open + excluded.open,
  kept      = kept + excluded.kept,
  expired   = expired + excluded.expired
