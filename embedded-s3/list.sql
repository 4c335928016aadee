SELECT key, size, etag, modified_at
FROM objects
WHERE bucket = ?1 AND key >= ?2 AND (?3 IS NULL OR key < ?3)
ORDER BY key
LIMIT ?4
