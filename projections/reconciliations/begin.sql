-- $1 … $21: the columns, $22: the holder. One walk runs at a time.
INSERT INTO reconciliations (
  reconciliation_id, caller, status, started_at, saved_at, ended_at, after_key, delete_older_than, report_only,
  expected, objects, bytes, requests, came_back, unknown, missing, differs, deleted, unreadable, orphaned, broken_off,
  holder)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
ON CONFLICT DO NOTHING
