// A move rewrites the paths of everything below: what lists groups of a template
// does not hold them, and words are looked for in the groups' own names.
DROP INDEX group_template IF EXISTS;
CREATE INDEX group_of_template IF NOT EXISTS FOR (n:Group) ON (n.account, n.templateFold);
DROP INDEX thing_words IF EXISTS;
CREATE FULLTEXT INDEX thing_words IF NOT EXISTS FOR (n:Group|Device|Asset)
ON EACH [n.reference, n.name, n.description, n.searchText, n.account]
OPTIONS {indexConfig: {`fulltext.analyzer`: 'standard-no-stop-words', `fulltext.eventually_consistent`: true}};

// The changes of an object until a moment are those until a position.
DROP INDEX change_object_at IF EXISTS;
