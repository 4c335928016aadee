-- $1 $2: behind the one key and up to the other, $3: limit
SELECT {columns}
FROM media
WHERE state = 'confirmed' AND object_key > $1 AND object_key <= $2
ORDER BY object_key
LIMIT $3
