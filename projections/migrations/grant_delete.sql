-- Who changes rows takes them out and puts them back, for which earlier grants do not suffice.
DO $$
DECLARE
  grantee text;
BEGIN
  FOR grantee IN
    SELECT CASE given.grantee WHEN 0 THEN 'PUBLIC' ELSE given.grantee::regrole::text END
    FROM pg_class c
    CROSS JOIN LATERAL aclexplode(c.relacl) given
    WHERE c.oid = to_regclass('media_v{version}') AND given.grantee <> c.relowner AND given.privilege_type = 'UPDATE'
  LOOP
    EXECUTE format('GRANT DELETE ON media_v{version} TO %s', grantee);
  END LOOP;
END
$$
