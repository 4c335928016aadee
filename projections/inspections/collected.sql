-- $1: the position after which to go on, $2: limit
SELECT {columns}
FROM media
WHERE state = 'collected' AND position > $1
ORDER BY position
LIMIT $2
