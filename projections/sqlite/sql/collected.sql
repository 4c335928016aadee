-- ?1: the position after which to go on, ?2: limit
SELECT media_id, store, bucket, object_key, claim, collected_at, position, ticket_expires_at
FROM media
WHERE state = 'collected' AND position > ?1
ORDER BY position
LIMIT ?2
