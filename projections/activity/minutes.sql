-- $1 $2: the first and the last minute, $3: limit
SELECT {columns}
FROM activity
WHERE minute >= $1 AND minute <= $2
  -- Minutes whose counts have come to nothing: whether they have a row depends on how events fell into batches.
  AND (requested <> 0 OR confirmed <> 0 OR open <> 0 OR kept <> 0 OR expired <> 0)
ORDER BY minute
LIMIT $3
