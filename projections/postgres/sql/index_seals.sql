-- What seals read: confirmed objects that were not compared yet, by the time from which on no ticket can write them, and
-- those that turned out to be others. An item leaves the first with its seal, so it stays as small as what is under way.
CREATE INDEX IF NOT EXISTS media_v{version}_unsealed ON media_v{version} (store, bucket, ticket_expires_at, media_id)
WHERE state = 'confirmed' AND sealed_at IS NULL AND substituted_at IS NULL;

CREATE INDEX IF NOT EXISTS media_v{version}_substituted ON media_v{version} (media_id)
WHERE state = 'confirmed' AND substituted_at IS NOT NULL;
