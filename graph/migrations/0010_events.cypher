// Clients that are told of changes also after they were away.
CREATE CONSTRAINT subscriber_client IF NOT EXISTS FOR (n:Subscriber) REQUIRE (n.account, n.client) IS UNIQUE;
CREATE INDEX subscriber_until IF NOT EXISTS FOR (n:Subscriber) ON (n.until);

// What is too old for the history to keep.
CREATE INDEX gone_at IF NOT EXISTS FOR (n:Gone) ON (n.goneAt);
CREATE INDEX was_child_of_until IF NOT EXISTS FOR ()-[r:WAS_CHILD_OF]-() ON (r.until);
CREATE INDEX was_applies_to_until IF NOT EXISTS FOR ()-[r:WAS_APPLIES_TO]-() ON (r.until);
CREATE INDEX was_part_of_until IF NOT EXISTS FOR ()-[r:WAS_PART_OF]-() ON (r.until);
CREATE INDEX was_component_of_until IF NOT EXISTS FOR ()-[r:WAS_COMPONENT_OF]-() ON (r.until);
CREATE INDEX was_related_until IF NOT EXISTS FOR ()-[r:WAS_RELATED]-() ON (r.until);
