-- $1 ... $34: an array for each column
INSERT INTO media_v{version}
  (media_id, tenant, owner, state, store, bucket, object_key, content_type, content_length, checksum_sha256, etag,
   attached_to, requested_at, ticket_expires_at, confirm_by, collectable_at, uploaded_at, confirmed_at, released_at,
   release_reason, collection_started_at, collected_at, claim, collect_reason, collect_run_id, seen, outcome,
   bytes_freed, sequence, position, sealed_at, substituted_at, found, found_etag)
SELECT * FROM unnest(
  $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
  $7::text[], $8::text[], $9::bigint[], $10::text[], $11::text[], $12::text[],
  $13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::text[],
  $19::text[], $20::text[], $21::text[], $22::text[], $23::bigint[], $24::text[],
  $25::text[], $26::text[], $27::text[], $28::bigint[], $29::bigint[], $30::bigint[],
  $31::text[], $32::text[], $33::text[], $34::text[])
