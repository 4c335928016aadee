-- $1: the walk after which to go on, $2: limit
SELECT {columns}
FROM reconciliations
WHERE reconciliation_id < $1
ORDER BY reconciliation_id DESC
LIMIT $2
