CREATE TABLE IF NOT EXISTS buckets (
    name       TEXT    NOT NULL PRIMARY KEY,
    created_at INTEGER NOT NULL -- ms since 1970
) STRICT;

-- Keys are BLOB so that their order is the byte order that S3 lists in, and so that the end of
-- a prefix can be named by adding one to its last byte.
CREATE TABLE IF NOT EXISTS objects (
    bucket      TEXT    NOT NULL,
    key         BLOB    NOT NULL,
    blob        TEXT    NOT NULL UNIQUE, -- file below blobs/
    size        INTEGER NOT NULL,        -- bytes
    etag        TEXT    NOT NULL,        -- MD5 in hex, without quotes
    sha256      TEXT    NOT NULL,        -- base64
    modified_at INTEGER NOT NULL,        -- ms since 1970
    headers     TEXT    NOT NULL,        -- JSON, see StoredHeaders
    PRIMARY KEY (bucket, key)
) STRICT, WITHOUT ROWID;
