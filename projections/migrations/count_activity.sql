-- Counts anew what a version of media holds already.
DELETE FROM activity_v{version};
INSERT INTO activity_v{version} (minute, requested, confirmed, open, kept, expired)
SELECT minute, sum(requested), sum(confirmed), sum(open), sum(kept), sum(expired)
FROM (SELECT substr(requested_at, 1, 16) AS minute, 1 AS requested, 0 AS confirmed, 0 AS open, 0 AS kept, 0 AS expired
      FROM media_v{version}
      UNION ALL
      SELECT substr(confirmed_at, 1, 16), 0, 1, 0, 0, 0
      FROM media_v{version} WHERE confirmed_at IS NOT NULL
        -- The key of a restore: its confirmed_at is no confirm.
        AND object_key NOT LIKE '%/' || media_id || '.%.%'
      UNION ALL
      SELECT substr(CASE WHEN state IN ('trashed', 'restoring')
                           OR state = 'confirmed' AND claim IS NOT NULL
                           OR state IN ('collecting', 'collected') AND claim > 1 AND collect_reason <> 'late_upload'
                         THEN confirm_by ELSE collectable_at END, 1, 16), 0, 0,
             CASE WHEN state IN ('pending', 'uploaded') THEN 1 ELSE 0 END,
             CASE WHEN state = 'confirmed' THEN 1 ELSE 0 END,
             CASE WHEN state IN ('collecting', 'trashed', 'restoring', 'collected') THEN 1 ELSE 0 END
      FROM media_v{version} WHERE release_reason IS NULL) AS counted
GROUP BY minute;
