-- $1: at most so many
SELECT count(*) AS count
FROM (SELECT 1 FROM media WHERE state = 'confirmed' AND substituted_at IS NOT NULL LIMIT $1) AS some_substituted
