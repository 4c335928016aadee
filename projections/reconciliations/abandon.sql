-- $1: now, $2: a holder that has not saved since then is gone
UPDATE reconciliations SET holder = NULL, status = 'abandoned', saved_at = $1, ended_at = $1
WHERE status = 'running' AND (holder IS NULL OR saved_at < $2)
