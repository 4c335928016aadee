-- $1: the projection, $2: the version
SELECT position
FROM projection_checkpoints
WHERE name = $1 AND version = $2 AND status = 'building'
FOR UPDATE
