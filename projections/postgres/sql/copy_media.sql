COPY media_v{version}
  (media_id, tenant, owner, state, store, bucket, object_key, content_type, content_length, checksum_sha256, etag,
   attached_to, requested_at, ticket_expires_at, confirm_by, collectable_at, uploaded_at, confirmed_at, released_at,
   release_reason, collection_started_at, collected_at, claim, collect_reason, collect_run_id, seen, outcome,
   bytes_freed, sequence, position, sealed_at, substituted_at, found, found_etag)
FROM STDIN (FORMAT binary)
