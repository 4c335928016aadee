-- The columns of a version that was made without them.
ALTER TABLE media_v{version} ADD COLUMN sealed_at TEXT;
ALTER TABLE media_v{version} ADD COLUMN substituted_at TEXT;
ALTER TABLE media_v{version} ADD COLUMN found TEXT;
ALTER TABLE media_v{version} ADD COLUMN found_etag TEXT;
