-- Items and bytes of each owner. Bytes are those requested; freed are those that collection is known to have freed.
SELECT tenant,
       owner,
       count(*)                                                               AS items,
       CAST(sum(content_length) AS BIGINT)                                    AS bytes,
       count(*) FILTER (WHERE state IN ('pending', 'uploaded'))               AS pending_items,
       CAST(coalesce(sum(content_length) FILTER (WHERE state IN ('pending', 'uploaded')), 0) AS BIGINT) AS pending_bytes,
       count(*) FILTER (WHERE state = 'confirmed')                            AS confirmed_items,
       CAST(coalesce(sum(content_length) FILTER (WHERE state = 'confirmed'), 0) AS BIGINT) AS confirmed_bytes,
       CAST(coalesce(sum(bytes_freed), 0) AS BIGINT)                          AS bytes_freed
FROM media
GROUP BY tenant, owner
