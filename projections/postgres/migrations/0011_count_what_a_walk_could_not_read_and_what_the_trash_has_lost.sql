-- Meant as documented at Counts. Walks of before had found none of either.
ALTER TABLE reconciliations ADD COLUMN unreadable BIGINT NOT NULL DEFAULT 0;
ALTER TABLE reconciliations ADD COLUMN orphaned BIGINT NOT NULL DEFAULT 0;
