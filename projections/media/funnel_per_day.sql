-- Of the items requested on a day (UTC), how many came how far. An item counts in each column that it has reached.
-- A release that was undone by a confirm does not count. arrived counts the items whose object was ever seen, by whomever;
-- abandoned those of them that nobody ever confirmed and whose object is gone.
SELECT substr(requested_at, 1, 10)  AS day,
       tenant,
       count(*)                     AS requested,
       count(uploaded_at)           AS uploaded,
       count(confirmed_at)          AS confirmed,
       count(released_at)           AS released,
       count(collected_at)          AS collected,
       count(arrived_at)            AS arrived,
       count(*) FILTER (WHERE arrived_at IS NOT NULL AND confirmed_at IS NULL AND collected_at IS NOT NULL) AS abandoned
FROM media
GROUP BY 1, 2
