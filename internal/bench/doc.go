// Package bench measures Holon on real stores: how many measurements a second
// go from the queue, or from HTTP, into the graph, beside the fastest plain
// Cypher that leaves the same behind; and how many requests a second GraphQL
// answers, beside the driver alone. What is compared is measured in turns, so
// that a database that warms up, or a machine that is shared, favours nobody.
//
// It imports the rooms that it measures, and the Neo4j driver for the plain
// forms. The server that it sends requests to is handed in.
package bench
