-- $1 … $11: the columns. A page that is walked again finds the same again.
INSERT INTO reconciliation_findings (
  reconciliation_id, object_key, kind, media_id, found_at, size, etag, last_modified, expected_size, expected_etag, action)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (reconciliation_id, object_key) DO UPDATE SET
  kind = excluded.kind, media_id = excluded.media_id, found_at = excluded.found_at, size = excluded.size,
  etag = excluded.etag, last_modified = excluded.last_modified, expected_size = excluded.expected_size,
  expected_etag = excluded.expected_etag, action = excluded.action
