-- An item that is confirmed or collected has nothing to wait for; a late upload begins a claim of its own.
DELETE FROM collection_retries
WHERE media_id IN (SELECT media_id FROM media
                   WHERE media_id IN (SELECT media_id FROM collection_retries)
                     AND state IN ('confirmed', 'trashed', 'collected'))
