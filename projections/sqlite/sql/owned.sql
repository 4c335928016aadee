-- $1: ids, as a JSON array
SELECT media_id, object_key, state, store, bucket, etag, content_length
FROM media
WHERE media_id IN (SELECT value FROM json_each($1))
