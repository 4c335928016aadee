-- What the role that serves needs of the read models, which are its own to write. A rebuild makes tables, so it is for the
-- role that owns them; it hands these rights on to the tables of the new version.
-- Run it as the role that owns the read models, after `zeroload migrate`:
--
--   psql --variable role=zeroload_serve --file grants.sql <database>
GRANT SELECT ON projection_schema, projection_versions, media, activity, pending_media, funnel_per_day, bytes_per_owner,
  waste_per_day, collection_runs, run_records, substituted_media TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON projection_checkpoints, collection_retries, collection_pages, recheck_progress,
  inspection_retries, inspection_turns, reconciliations, reconciliation_findings TO :"role";
SELECT format('GRANT SELECT, INSERT, UPDATE, DELETE ON media_v%1$s TO %2$I;
               GRANT SELECT, INSERT, UPDATE ON activity_v%1$s, run_records_v%1$s, waste_per_day_v%1$s TO %2$I', version, :'role')
FROM projection_checkpoints WHERE name = 'media' AND status = 'live' \gexec
