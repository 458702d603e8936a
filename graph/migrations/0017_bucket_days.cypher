// A series' buckets are found by their days.
CREATE INDEX bucket_day IF NOT EXISTS FOR ()-[h:HAS_BUCKET]-() ON (h.series, h.day);
MATCH (s:Series)-[h:HAS_BUCKET]->(b:Bucket) WHERE h.day IS NULL CALL (s, h, b) { SET h.series = s.id, h.day = b.from - b.from % 86400000 } IN TRANSACTIONS OF 10000 ROWS;
