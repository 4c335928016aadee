-- Drops the tables of versions that have no checkpoint, of the schema in use only.
DO $$
DECLARE
  unused text;
BEGIN
  FOR unused IN
    SELECT format('%I.%I', n.nspname, c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname = current_schema() AND c.relname ~ '^({names})_v[0-9]+$'
      AND NOT EXISTS (SELECT 1 FROM projection_checkpoints WHERE version = split_part(c.relname, '_v', 2)::bigint)
  LOOP
    EXECUTE 'DROP TABLE ' || unused;
  END LOOP;
END
$$
