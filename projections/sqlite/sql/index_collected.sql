-- What re-checks read: what was collected, in the order in which it was. A position has no equals and never moves
-- behind one that was read, as a time could.
CREATE INDEX IF NOT EXISTS media_v{version}_collected ON media_v{version} (position)
WHERE state = 'collected';
