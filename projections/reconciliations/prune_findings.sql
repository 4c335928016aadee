-- $1: walks to keep
DELETE FROM reconciliation_findings
WHERE reconciliation_id NOT IN (SELECT reconciliation_id FROM reconciliations ORDER BY reconciliation_id DESC LIMIT $1)
