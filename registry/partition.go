package registry

import "hash/fnv"

// PartitionOf says which of n partitions of the queue the readings of a device
// go through: the 32-bit FNV-1a hash of its id, modulo n. All readings of a
// device are in one partition, in order.
func PartitionOf(device ID, n int) int {
	h := fnv.New32a()
	h.Write([]byte(device))
	return int(h.Sum32() % uint32(n))
}
