-- An item that is confirmed or collected has nothing to wait for; a late upload begins a claim of its own. One that is in
-- the trash may wait for its next claim, but no longer for what the claim that put it there needed.
DELETE FROM collection_retries
WHERE EXISTS (SELECT 1 FROM media
              WHERE media.media_id = collection_retries.media_id
                AND (state IN ('confirmed', 'collected')
                     OR state = 'trashed' AND (collection_retries.claim IS NOT NULL
                                               OR collection_retries.updated_at < collection_started_at)))
