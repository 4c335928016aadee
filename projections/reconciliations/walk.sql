SELECT reconciliation_id, caller, status, started_at, saved_at, ended_at, after_key, delete_older_than, report_only,
       expected, objects, bytes, requests, came_back, unknown, missing, differs, deleted, unreadable,
       orphaned, broken_off
FROM reconciliations
WHERE reconciliation_id = $1
