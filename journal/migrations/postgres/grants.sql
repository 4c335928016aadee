-- What the role that serves needs, and no more: it reads, appends through functions that keep the journal
-- whole, and keeps the cursors of consumers.
-- Run it as the role that owns the journal, after `zeroload migrate`:
--
--   psql --variable role=zeroload_serve --file grants.sql <database>
GRANT SELECT ON events, commits, journal_head, event_versions, journal_schema TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON journal_consumers TO :"role";
GRANT EXECUTE ON FUNCTION journal_begin_writer(), journal_end_writer(bigint), journal_raise_fence(text, bigint, bigint),
  journal_append(bigint, text, bigint, boolean, text[], text[], bigint[], integer[], text[], text[], text[], text[],
                 bigint[], text[], text[], text[], text[], text[], text[], bytea[], integer[], bytea),
  journal_append_all(bigint, text, bigint, text[], text[], bigint[], text[], text[], text[], text[], bigint[], text[],
                     text[], text[], text[], text[], text[], bytea[], bytea),
  journal_append_all(bigint, text, bigint, text[], text[], bigint[], text[], text[], journal_new_event[], bytea) TO :"role";
