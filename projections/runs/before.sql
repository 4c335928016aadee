-- $1: the run after which to go on, $2: limit
SELECT {columns}
FROM run_records
WHERE run_id < $1
ORDER BY run_id DESC
LIMIT $2
