-- $1: ids. They are written again in the same transaction: every change of a row moves its entries in the indexes anyway,
-- and one COPY of all rows, new and changed, costs less than an upsert.
DELETE FROM media_v{version}
WHERE media_id = ANY ($1::text[])
RETURNING media_id, tenant, owner, state, store, bucket, object_key, content_type, content_length, checksum_sha256, etag,
          attached_to, requested_at, ticket_expires_at, confirm_by, collectable_at, uploaded_at, confirmed_at, released_at,
          release_reason, collection_started_at, collected_at, claim, collect_reason, collect_run_id, seen, outcome,
          bytes_freed, sequence, position, sealed_at, substituted_at, found, found_etag
