SELECT last_code, attempts, next_try_at FROM collection_retries WHERE media_id = $1
