// A profile is unique by kind, template and name; those of a template come in
// the order of their keys.
CREATE CONSTRAINT profile_key IF NOT EXISTS FOR (n:Profile) REQUIRE (n.account, n.keyFold) IS UNIQUE;
CREATE INDEX profile_template IF NOT EXISTS FOR (n:Profile) ON (n.account, n.kind, n.templateFold, n.keyFold);
