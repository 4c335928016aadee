-- Meant as documented at Counts. Walks of before had found none of either.
ALTER TABLE reconciliations ADD COLUMN IF NOT EXISTS unreadable BIGINT NOT NULL DEFAULT 0;
ALTER TABLE reconciliations ADD COLUMN IF NOT EXISTS orphaned BIGINT NOT NULL DEFAULT 0;
