// Types of policies compare without their case.
MATCH (n:Policy) WHERE n.typeFold IS NULL SET n.typeFold = toLower(n.type);
DROP INDEX policy_type IF EXISTS;
CREATE INDEX policy_type_fold IF NOT EXISTS FOR (n:Policy) ON (n.account, n.typeFold, n.keyFold);
