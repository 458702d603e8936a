// Every object that node(id:) can find carries the label Entity beside its own.
CREATE CONSTRAINT entity_id IF NOT EXISTS FOR (n:Entity) REQUIRE n.id IS UNIQUE;

// Keys compare folded, within an account.
CREATE CONSTRAINT account_name IF NOT EXISTS FOR (n:Account) REQUIRE n.nameFold IS UNIQUE;
CREATE CONSTRAINT key_hash IF NOT EXISTS FOR (n:Key) REQUIRE n.hash IS UNIQUE;
CREATE CONSTRAINT key_key IF NOT EXISTS FOR (n:Key) REQUIRE (n.account, n.keyFold) IS UNIQUE;
CREATE CONSTRAINT group_key IF NOT EXISTS FOR (n:Group) REQUIRE (n.account, n.keyFold) IS UNIQUE;
CREATE CONSTRAINT device_key IF NOT EXISTS FOR (n:Device) REQUIRE (n.account, n.keyFold) IS UNIQUE;
CREATE CONSTRAINT asset_key IF NOT EXISTS FOR (n:Asset) REQUIRE (n.account, n.keyFold) IS UNIQUE;
CREATE CONSTRAINT template_key IF NOT EXISTS FOR (n:Template) REQUIRE (n.account, n.keyFold) IS UNIQUE;
CREATE CONSTRAINT measure_type_key IF NOT EXISTS FOR (n:MeasureType) REQUIRE (n.account, n.keyFold) IS UNIQUE;
CREATE CONSTRAINT policy_key IF NOT EXISTS FOR (n:Policy) REQUIRE (n.account, n.keyFold) IS UNIQUE;
CREATE CONSTRAINT dead_letter_key IF NOT EXISTS FOR (n:DeadLetter) REQUIRE (n.account, n.keyFold) IS UNIQUE;

// Lists that are narrowed to a template come in the order of their keys.
CREATE INDEX group_template IF NOT EXISTS FOR (n:Group) ON (n.account, n.templateFold, n.keyFold);
CREATE INDEX device_template IF NOT EXISTS FOR (n:Device) ON (n.account, n.templateFold, n.keyFold);
CREATE INDEX asset_template IF NOT EXISTS FOR (n:Asset) ON (n.account, n.templateFold, n.keyFold);
CREATE INDEX template_kind IF NOT EXISTS FOR (n:Template) ON (n.account, n.kind, n.keyFold);
CREATE INDEX template_name IF NOT EXISTS FOR (n:Template) ON (n.account, n.kind, n.nameFold, n.version);
CREATE INDEX policy_type IF NOT EXISTS FOR (n:Policy) ON (n.account, n.type, n.keyFold);
CREATE INDEX dead_letter_reason IF NOT EXISTS FOR (n:DeadLetter) ON (n.account, n.reason, n.keyFold);

// Measurements.
CREATE CONSTRAINT series_id IF NOT EXISTS FOR (n:Series) REQUIRE n.id IS UNIQUE;
CREATE CONSTRAINT series_key IF NOT EXISTS FOR (n:Series) REQUIRE n.key IS UNIQUE;
// Series of deleted twins, until what they hold is gone too.
CREATE INDEX orphaned_account IF NOT EXISTS FOR (n:Orphaned) ON (n.account);
CREATE INDEX bucket_to IF NOT EXISTS FOR (n:Bucket) ON (n.to);
CREATE CONSTRAINT partition_number IF NOT EXISTS FOR (n:Partition) REQUIRE n.number IS UNIQUE;

// Names of relations and attributes that the database has ever seen.
CREATE CONSTRAINT name_key IF NOT EXISTS FOR (n:Name) REQUIRE (n.kind, n.name) IS UNIQUE;
CREATE CONSTRAINT name_budget IF NOT EXISTS FOR (n:NameBudget) REQUIRE n.kind IS UNIQUE;

CREATE CONSTRAINT migration_number IF NOT EXISTS FOR (n:Migration) REQUIRE n.number IS UNIQUE;
