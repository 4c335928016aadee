-- $1 … $21: the columns, $22: the holder from now on, $23: the holder that saves
UPDATE reconciliations
SET caller = $2, status = $3, started_at = $4, saved_at = $5, ended_at = $6, after_key = $7, delete_older_than = $8,
    report_only = $9, expected = $10, objects = $11, bytes = $12, requests = $13, came_back = $14, unknown = $15,
    missing = $16, differs = $17, deleted = $18, unreadable = $19, orphaned = $20, broken_off = $21,
    holder = $22
WHERE reconciliation_id = $1 AND holder = $23
