-- Items in use whose object is not the one that was confirmed: etag is the confirmed one, found says whether there is
-- another one, which is found_etag then. Nothing is ever deleted for it; somebody must look into it.
SELECT media_id, tenant, owner, store, bucket, object_key, attached_to, etag, confirmed_at, substituted_at, found, found_etag
FROM media
WHERE state = 'confirmed' AND substituted_at IS NOT NULL
