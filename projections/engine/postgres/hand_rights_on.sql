-- Whoever may use {from} may use {to}, so that a swap or a new table takes no rights away.
DO $$
DECLARE
  right_given record;
BEGIN
  FOR right_given IN
    SELECT given.privilege_type AS privilege,
           CASE given.grantee WHEN 0 THEN 'PUBLIC' ELSE given.grantee::regrole::text END AS grantee
    FROM pg_class c
    CROSS JOIN LATERAL aclexplode(c.relacl) given
    WHERE c.oid = to_regclass('{from}') AND given.grantee <> c.relowner
  LOOP
    EXECUTE format('GRANT %s ON {to} TO %s', right_given.privilege, right_given.grantee);
  END LOOP;
END
$$
