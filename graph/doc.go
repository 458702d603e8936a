// Package graph keeps the registry in Neo4j: groups, devices, assets,
// templates, relations, policies, links and measurements, one file a noun, with
// each query beside the method that runs it.
//
// Every query has a name, which is also in the transaction's metadata and in
// the metrics. Values only ever go in as parameters. Text is put together in
// two places, both from checked identifiers: list.go, which orders and pages,
// and relation.go, which names relationship types.
//
// A method that only reads takes one round trip. A method that writes takes
// one managed transaction, whose function may run again and therefore has no
// side effects.
//
// It may import registry and internal/jsonschema, and alone imports the Neo4j
// driver.
package graph
