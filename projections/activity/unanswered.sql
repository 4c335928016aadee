-- $1 $2: the first and the last minute that count
SELECT CAST(coalesce(sum(requested), 0) AS BIGINT) AS requested, min(minute) AS since
FROM activity
WHERE requested > 0 AND minute >= $1 AND minute <= $2
  AND minute > coalesce((SELECT minute FROM activity
                         WHERE confirmed > 0 AND minute >= $1 AND minute <= $2
                         ORDER BY minute DESC LIMIT 1), '')
