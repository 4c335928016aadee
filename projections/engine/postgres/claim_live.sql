-- $1: the projection. No row where another process holds it.
SELECT version, position
FROM projection_checkpoints
WHERE name = $1 AND status = 'live'
FOR UPDATE SKIP LOCKED
