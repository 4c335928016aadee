-- $1: the walk, $2: the key after which to go on, $3: limit
SELECT {columns}
FROM reconciliation_findings
WHERE reconciliation_id = $1 AND object_key > $2
ORDER BY object_key
LIMIT $3
