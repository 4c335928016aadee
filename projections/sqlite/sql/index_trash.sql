-- Tables from before the trash: what the collector reads also holds what waits in it and what comes back from it.
DROP INDEX IF EXISTS media_v{version}_due;

CREATE INDEX media_v{version}_due ON media_v{version} (collectable_at, media_id)
WHERE state IN ('pending', 'uploaded', 'released', 'trashed');

DROP INDEX IF EXISTS media_v{version}_collecting;

CREATE INDEX media_v{version}_collecting ON media_v{version} (collectable_at, media_id)
WHERE state IN ('collecting', 'restoring');
