// Package ingest takes readings in and sees to it that none is lost.
//
// A source (HTTP, WebSocket, MQTT, GraphQL) hands readings to the [Receiver], which
// checks them in memory against the devices' templates and adds them to the
// [Queue], a Redis stream a partition. Only then does the source acknowledge.
// A [Worker] owns some of the partitions, reads them in order and in batches,
// has each batch stored in the graph, then applied to the live state, and only
// then removed from the queue. All readings of a device go through the same
// partition, so they stay in order.
//
// What must hold, whatever is killed: a reading that was acknowledged becomes
// stored, a repeat, or a dead letter. A call that ends in doubt may have been
// queued; sending it again is safe, since a reading is identified by device,
// measure and measuredAt (or message id).
//
// The package imports registry and speaks of the stores as small interfaces.
// go-redis is used by the queue and lease files, idempotency.go and
// stream_memory.go only, MQTT by the mqtt files, WebSockets by the stream files
// only.
package ingest
