// Buckets that have ended get the roll-ups of their quarters of an hour.
CREATE INDEX unsealed_at IF NOT EXISTS FOR (n:Unsealed) ON (n.sealAt);
MATCH (b:Bucket) WHERE b.to > 0 CALL (b) { SET b:Unsealed, b.sealAt = b.to + 3600000 } IN TRANSACTIONS OF 10000 ROWS;
