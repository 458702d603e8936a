// Readings that replace measurements which were undone, until they are queued.
CREATE CONSTRAINT requeue_id IF NOT EXISTS FOR (n:Requeue) REQUIRE n.id IS UNIQUE;
CREATE INDEX requeue_at IF NOT EXISTS FOR (n:Requeue) ON (n.at);
