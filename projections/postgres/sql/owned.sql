-- $1: ids, as a JSON array
SELECT media_id, object_key, state, store, bucket, etag, content_length
FROM media
WHERE media_id = ANY (ARRAY(SELECT json_array_elements_text($1::json)))
