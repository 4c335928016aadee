SELECT {columns}
FROM media
WHERE media_id = $1
