INSERT INTO objects (bucket, key, blob, size, etag, sha256, modified_at, headers)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (bucket, key) DO UPDATE SET
    blob = excluded.blob,
    size = excluded.size,
    etag = excluded.etag,
    sha256 = excluded.sha256,
    modified_at = excluded.modified_at,
    headers = excluded.headers
