-- $1: walks to keep
DELETE FROM reconciliations
WHERE reconciliation_id NOT IN (SELECT reconciliation_id FROM reconciliations ORDER BY reconciliation_id DESC LIMIT $1)
