-- Whoever may use the live version's table may use this one's, so that a swap takes no rights away.
DO $$
DECLARE
  right_given record;
BEGIN
  FOR right_given IN
    SELECT given.privilege_type AS privilege,
           CASE given.grantee WHEN 0 THEN 'PUBLIC' ELSE given.grantee::regrole::text END AS grantee
    FROM projection_checkpoints live
    JOIN pg_class c ON c.oid = to_regclass('media_v' || live.version)
    CROSS JOIN LATERAL aclexplode(c.relacl) given
    WHERE live.name = 'media' AND live.status = 'live' AND given.grantee <> c.relowner
  LOOP
    EXECUTE format('GRANT %s ON media_v{version} TO %s', right_given.privilege, right_given.grantee);
  END LOOP;
END
$$
