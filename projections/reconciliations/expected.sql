SELECT count(*) AS count FROM media WHERE state IN ('uploaded', 'confirmed', 'released', 'collecting')
