-- What a reconciliation reads: confirmed items in the order in which a bucket is listed.
CREATE INDEX IF NOT EXISTS media_v{version}_objects ON media_v{version} (object_key) WHERE state = 'confirmed';
