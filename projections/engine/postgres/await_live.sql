-- $1: the projection
SELECT version, position
FROM projection_checkpoints
WHERE name = $1 AND status = 'live'
FOR UPDATE
