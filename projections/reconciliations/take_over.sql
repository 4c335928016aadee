-- $1: the holder from now on, $2: now, $3: a holder that has not saved since then is gone
UPDATE reconciliations SET holder = $1, saved_at = $2
WHERE status = 'running' AND (holder IS NULL OR saved_at < $3)
