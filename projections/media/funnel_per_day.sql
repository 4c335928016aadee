-- Of the items requested on a day (UTC), how many came how far. An item counts in each column that it has reached.
-- A release that was undone by a confirm does not count.
SELECT substr(requested_at, 1, 10)  AS day,
       tenant,
       count(*)                     AS requested,
       count(uploaded_at)           AS uploaded,
       count(confirmed_at)          AS confirmed,
       count(released_at)           AS released,
       count(collected_at)          AS collected
FROM media
GROUP BY 1, 2
