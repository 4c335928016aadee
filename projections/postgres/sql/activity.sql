-- $1 $2: the first and the last minute, $3: limit
SELECT minute, requested, confirmed, open, kept, expired
FROM activity
WHERE minute >= $1 AND minute <= $2
ORDER BY minute
LIMIT $3
