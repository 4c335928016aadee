-- ?1: a JSON array of ids
DELETE FROM collection_retries WHERE media_id IN (SELECT value FROM json_each(?1))
