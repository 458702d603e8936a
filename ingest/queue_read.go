package ingest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holon-registry/holon/registry"
)

// Entry is what one call to Redis added to a partition.
type Entry struct {
	// ID is the id in the stream, "milliseconds-sequence".
	ID string
	// Generation names the stream that the id belongs to.
	Generation string
	Readings   []registry.AcceptedReading
	// queued and size are what the entry counts for in the books.
	queued, size int
}

// packed is an entry as it came from Redis.
type packed struct {
	id     string
	fields map[string]any
}

// readings is how many readings the entry says to hold.
func (p packed) readings() int {
	n, _ := strconv.Atoi(p.text("n"))
	return n
}

func (p packed) text(field string) string {
	s, _ := p.fields[field].(string)
	return s
}

// read returns entries after an id, "0" for the start, at most count of them.
// It waits up to block for the first one; 0 means not at all.
func (q *Queue) read(ctx context.Context, partition int, after string, count int, block time.Duration) ([]packed, error) {
	if block <= 0 {
		block = -1 // for go-redis, which takes 0 for "for ever"
	}
	got, err := q.client.XRead(ctx, &redis.XReadArgs{
		Streams: []string{q.keys[partition].stream, after}, Count: int64(count), Block: block,
	}).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, registry.Unavailable("queue", err)
	}
	var entries []packed
	for _, stream := range got {
		for _, message := range stream.Messages {
			entries = append(entries, packed{message.ID, message.Values})
		}
	}
	return entries, nil
}

// unpack decodes an entry. An entry that cannot be decoded was not written by
// Holon, or by another version of it.
func (d *decoder) unpack(p packed) (Entry, error) {
	e := Entry{ID: p.id, Generation: p.text("g"), queued: p.readings()}
	blob := p.text("b")
	e.size = len(blob)
	received, err := strconv.ParseInt(p.text("r"), 10, 64)
	if err != nil {
		return e, fmt.Errorf("entry %s of the queue has no time of receipt", p.id)
	}
	var times []int64
	if list := p.text("t"); list != "" {
		for one := range strings.SplitSeq(list, ",") {
			ms, err := strconv.ParseInt(one, 10, 64)
			if err != nil {
				return e, fmt.Errorf("entry %s of the queue has a bad time", p.id)
			}
			times = append(times, ms)
		}
	}
	e.Readings, err = d.records([]byte(blob), e.queued, times, time.UnixMilli(received).UTC())
	if err != nil {
		return e, fmt.Errorf("entry %s of the queue: %w", p.id, err)
	}
	return e, nil
}

// generation names the stream of a partition. It is empty before the first
// entry and another one after the stream was lost.
func (q *Queue) generation(ctx context.Context, partition int) (string, error) {
	got, err := q.client.HGet(ctx, q.keys[partition].meta, "generation").Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", registry.Unavailable("queue", err)
	}
	return got, nil
}

// Read returns up to count entries of a partition after the entry with an id,
// "0" for the start. It waits up to block for the first; none is no error.
func (q *Queue) Read(ctx context.Context, partition int, after string, count int, block time.Duration) ([]Entry, error) {
	raw, err := q.read(ctx, partition, after, count, block)
	if err != nil {
		return nil, err
	}
	d := q.decode.Get().(*decoder)
	defer q.decode.Put(d)
	entries := make([]Entry, 0, len(raw))
	for _, one := range raw {
		e, err := d.unpack(one)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// Done removes entries that are stored. Doing so again does nothing.
func (q *Queue) Done(ctx context.Context, partition int, entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	k := &q.keys[partition]
	args := make([]any, 0, 3*len(entries))
	for i := range entries {
		args = append(args, entries[i].ID, entries[i].queued, entries[i].size)
	}
	if err := doneScript.Run(ctx, q.client, []string{k.stream, k.meta}, args...).Err(); err != nil {
		return registry.Unavailable("queue", err)
	}
	return nil
}

// Backlog says what a partition holds.
type Backlog struct {
	Partition int
	// Readings and Bytes wait to be stored.
	Readings, Bytes int
	// Accepted counts the readings that were ever queued, as long as Redis keeps
	// its data.
	Accepted int
	// Oldest is how long the oldest entry has waited, 0 if there is none.
	Oldest time.Duration
	// Generation names the stream.
	Generation string
}

// Backlogs describes every partition, in order, in one round trip.
func (q *Queue) Backlogs(ctx context.Context) ([]Backlog, error) {
	pipe := q.client.Pipeline()
	metas := make([]*redis.SliceCmd, len(q.keys))
	first := make([]*redis.XMessageSliceCmd, len(q.keys))
	for p := range q.keys {
		metas[p] = pipe.HMGet(ctx, q.keys[p].meta, "readings", "bytes", "accepted", "generation")
		first[p] = pipe.XRangeN(ctx, q.keys[p].stream, "-", "+", 1)
	}
	clock := pipe.Time(ctx)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, registry.Unavailable("queue", err)
	}
	all := make([]Backlog, len(q.keys))
	for p := range all {
		b := &all[p]
		b.Partition = p
		fields := metas[p].Val()
		for i, into := range []*int{&b.Readings, &b.Bytes, &b.Accepted} {
			text, _ := fields[i].(string)
			*into, _ = strconv.Atoi(text) // absent before the first reading
		}
		b.Generation, _ = fields[3].(string)
		if oldest := first[p].Val(); len(oldest) > 0 {
			received, _ := strconv.ParseInt(packed{fields: oldest[0].Values}.text("r"), 10, 64)
			b.Oldest = max(clock.Val().Sub(time.UnixMilli(received)), 0)
		}
	}
	return all, nil
}

// setAside moves an entry that cannot be read out of the way, to a stream of
// such entries beside the partition's, where it can be looked into.
func (q *Queue) setAside(ctx context.Context, partition int, p packed) error {
	k := &q.keys[partition]
	err := q.client.XAdd(ctx, &redis.XAddArgs{Stream: k.stream + ":unreadable", Values: p.fields}).Err()
	if err != nil {
		return registry.Unavailable("queue", err)
	}
	return q.Done(ctx, partition, []Entry{{ID: p.id, queued: p.readings(), size: len(p.text("b"))}})
}
