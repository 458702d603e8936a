// The journal of an account: its writers take turns at it.
CREATE CONSTRAINT journal_account IF NOT EXISTS FOR (n:Journal) REQUIRE n.account IS UNIQUE;
MATCH (a:Account) MERGE (j:Journal {account: a.id}) ON CREATE SET j.position = 0, j.structure = 0, j.at = a.createdAt;

// What happened: in order, of one object, by key, by actor, and what concerns
// the hierarchy.
CREATE CONSTRAINT change_position IF NOT EXISTS FOR (n:Change) REQUIRE (n.account, n.position) IS UNIQUE;
CREATE INDEX change_object IF NOT EXISTS FOR (n:Change) ON (n.object, n.position);
CREATE INDEX change_object_at IF NOT EXISTS FOR (n:Change) ON (n.object, n.at);
CREATE INDEX change_key IF NOT EXISTS FOR (n:Change) ON (n.account, n.kind, n.keyFold, n.position);
CREATE INDEX change_actor IF NOT EXISTS FOR (n:Change) ON (n.account, n.actor, n.position);
CREATE INDEX change_kind IF NOT EXISTS FOR (n:Change) ON (n.account, n.kind, n.position);
CREATE INDEX change_at IF NOT EXISTS FOR (n:Change) ON (n.account, n.at);
CREATE INDEX change_structure IF NOT EXISTS FOR (n:Change) ON (n.account, n.structure);
