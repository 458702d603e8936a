// What a profile gives objects is a relationship GIVES; a relation of that name
// is in lower case, as those of all names that are Holon's own. What profiles
// named as text becomes relationships in migrateprofile.go.
MATCH (a:Group|Device|Asset)-[r:GIVES]->(b) CALL (a, r, b) { CREATE (a)-[own:gives]->(b) SET own = properties(r) DELETE r } IN TRANSACTIONS OF 10000 ROWS;
