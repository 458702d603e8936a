// Words: the index is brought up to date in the background.
CREATE FULLTEXT INDEX thing_words IF NOT EXISTS FOR (n:Group|Device|Asset)
ON EACH [n.reference, n.path, n.name, n.description, n.searchText, n.account]
OPTIONS {indexConfig: {`fulltext.analyzer`: 'standard-no-stop-words', `fulltext.eventually_consistent`: true}};

// What templates declare searched, in all accounts: one process at a time makes
// the indexes for it.
CREATE INDEX template_searched IF NOT EXISTS FOR (n:Template) ON (n.searched);
CREATE CONSTRAINT lease_name IF NOT EXISTS FOR (n:Lease) REQUIRE n.name IS UNIQUE;
