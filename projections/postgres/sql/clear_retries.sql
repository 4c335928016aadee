-- $1: ids
DELETE FROM collection_retries WHERE media_id = ANY ($1::text[])
