-- Meant as documented at Counts. Walks of before had found none of either.
ALTER TABLE reconciliations ADD COLUMN unreadable INTEGER NOT NULL DEFAULT 0;
ALTER TABLE reconciliations ADD COLUMN orphaned INTEGER NOT NULL DEFAULT 0;
