SELECT name, version, status, position, recorded_at
FROM projection_checkpoints
ORDER BY name, version
