package graph

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/holon-registry/holon/registry"
)

// The ways to dead letters, each in the order of an index: all of an account,
// those of a reason, those of a device, those of an asset. What else is asked for is looked at one
// by one. The order of the ids is that of time, so a time is a range of ids.
const (
	deadLettersAll = `MATCH (n:DeadLetter) WHERE n.account = $account AND n.keyFold >= $idFrom AND n.keyFold < $idTo
		AND ($source IS NULL OR n.source = $source)`
	deadLettersOfReason = `MATCH (n:DeadLetter) WHERE n.account = $account AND n.reason = $reason AND n.keyFold >= $idFrom AND n.keyFold < $idTo
		AND ($source IS NULL OR n.source = $source)`
	deadLettersOfDevice = `MATCH (n:DeadLetter) WHERE n.account = $account AND n.reference = $device AND n.keyFold >= $idFrom AND n.keyFold < $idTo
		AND ($source IS NULL OR n.source = $source) AND ($reason IS NULL OR n.reason = $reason) AND ($asset IS NULL OR n.assetReference = $asset)`
	deadLettersOfAsset = `MATCH (n:DeadLetter) WHERE n.account = $account AND n.assetReference = $asset AND n.keyFold >= $idFrom AND n.keyFold < $idTo
		AND ($source IS NULL OR n.source = $source) AND ($reason IS NULL OR n.reason = $reason)`

	// theirLetter leaves out what was received, of up to 512 KiB, if nobody asks.
	theirLetter = `CASE WHEN $content THEN properties(n) ELSE n{.id, .reference, .device, .assetReference, .asset, .reason, .message, .source, .receivedAt,
		.truncated, .payload, .contentType, .template, .payloadAt} END`

	countFound = ` RETURN count(n) AS n`
	dropFound  = ` WITH n LIMIT $limit DELETE n RETURN count(*) AS n`
)

// deadLetterWay is one way to dead letters.
type deadLetterWay struct {
	list        listing
	count, drop query
}

func newDeadLetterWay(suffix, match, prefix string) deadLetterWay {
	return deadLetterWay{
		list:  listing{name: "deadLetter.list" + suffix, key: "n.keyFold", prefix: prefix, item: theirLetter, match: match}.registered(),
		count: named("deadLetter.count"+suffix, match+countFound),
		drop:  named("deadLetter.drop"+suffix, match+dropFound),
	}
}

var (
	deadLetterAll      = newDeadLetterWay("", deadLettersAll, "n.account, ")
	deadLetterOfReason = newDeadLetterWay("OfReason", deadLettersOfReason, "n.account, n.reason, ")
	deadLetterOfDevice = newDeadLetterWay("OfDevice", deadLettersOfDevice, "n.account, n.reference, ")

	deadLetterOfAsset = newDeadLetterWay("OfAsset", deadLettersOfAsset, "n.account, n.assetReference, ")

	deadLetterByIDs = named("deadLetter.byIDs", `
		UNWIND $ids AS id
		MATCH (n:Entity {id: id}) WHERE n:DeadLetter AND n.account = $account
		RETURN properties(n) AS item`)

	deadLetterCountIDs = named("deadLetter.countIDs", `
		UNWIND $ids AS id
		MATCH (n:Entity {id: id}) WHERE n:DeadLetter AND n.account = $account
		RETURN count(n) AS n`)

	deadLetterRemove = named("deadLetter.remove", `
		UNWIND $ids AS id
		MATCH (n:Entity {id: id}) WHERE n:DeadLetter AND n.account = $account
		DELETE n
		RETURN count(*) AS n`)

	deadLetterRejudge = named("deadLetter.rejudge", `
		UNWIND $rows AS r
		MATCH (n:Entity {id: r[0]}) WHERE n:DeadLetter AND n.account = $account
		SET n.reason = r[1], n.message = r[2]`)

	deadLetterTally = named("deadLetter.tally", `
		UNWIND $reasons AS reason
		MATCH (n:DeadLetter) WHERE n.account = $account AND n.reason = reason AND n.keyFold >= $idFrom AND n.keyFold < $idTo
			AND ($source IS NULL OR n.source = $source) AND ($device IS NULL OR n.reference = $device) AND ($asset IS NULL OR n.assetReference = $asset)
		RETURN reason, count(n) AS n, min(n.receivedAt) AS firstAt, max(n.receivedAt) AS lastAt`)
)

// wayTo chooses the way to the dead letters of a filter, ids aside.
func wayTo(f registry.DeadLetterFilter) (deadLetterWay, params) {
	p := params{"idFrom": "", "idTo": "~", "source": nil, "reason": nil, "device": nil, "asset": nil, "content": !f.Brief}
	if f.From != nil {
		p["idFrom"] = firstIDAt(*f.From)
	}
	if f.To != nil {
		p["idTo"] = firstIDAt(*f.To)
	}
	if f.Source != nil {
		p["source"] = *f.Source
	}
	way := deadLetterAll
	if f.Reason != nil {
		way, p["reason"] = deadLetterOfReason, string(*f.Reason)
	}
	if f.Asset != nil {
		way, p["asset"] = deadLetterOfAsset, *f.Asset
	}
	if f.Device != nil {
		way, p["device"] = deadLetterOfDevice, *f.Device
	}
	return way, p
}

// firstIDAt is what the ids of a time begin with, or lie after.
func firstIDAt(at time.Time) string {
	ms := max(at.UnixMilli(), 0)
	if at.After(time.UnixMilli(ms)) {
		ms++
	}
	return fmt.Sprintf("%08x-%04x", ms>>16, ms&0xffff)
}

// ListDeadLetters returns readings that could not be used, newest first. The
// key of a cursor is a dead letter's id, whose order is that of time.
func (s *Store) ListDeadLetters(ctx context.Context, scope registry.Scope, f registry.DeadLetterFilter, page registry.PageRequest) (registry.Page[*registry.DeadLetter], error) {
	way, p := wayTo(f)
	// The list runs against the order of the keys.
	against := page
	against.Backward = !page.Backward
	found, err := readPage(ctx, s.reading(scope), way.list, against, p, deadLetterOf)
	if err != nil {
		return found, fmt.Errorf("list dead letters: %w", err)
	}
	slices.Reverse(found.Items)
	found.HasNext, found.HasPrevious = found.HasPrevious, found.HasNext
	return found, nil
}

// OldestDeadLetters returns dead letters, oldest first, after the one with an
// id, or all of a list of ids.
func (s *Store) OldestDeadLetters(ctx context.Context, scope registry.Scope, f registry.DeadLetterFilter, after string, limit int) ([]*registry.DeadLetter, error) {
	if len(f.IDs) > 0 {
		found, err := all(ctx, s.reading(scope), deadLetterByIDs, params{"ids": texts(f.IDs)}, func(row fields) *registry.DeadLetter {
			return deadLetterOf(row.nested("item"))
		})
		if err != nil {
			return nil, fmt.Errorf("dead letters by their ids: %w", err)
		}
		return found, nil
	}
	way, p := wayTo(f)
	found, err := readPage(ctx, s.reading(scope), way.list, registry.PageRequest{Size: limit, Key: after}, p, deadLetterOf)
	if err != nil {
		return nil, fmt.Errorf("oldest dead letters: %w", err)
	}
	return found.Items, nil
}

// CountDeadLetters says how many there are.
func (s *Store) CountDeadLetters(ctx context.Context, scope registry.Scope, f registry.DeadLetterFilter) (int, error) {
	way, p := wayTo(f)
	count := way.count
	if len(f.IDs) > 0 {
		count, p = deadLetterCountIDs, params{"ids": texts(f.IDs)}
	}
	n, _, err := one(ctx, s.reading(scope), count, p, counted)
	if err != nil {
		return 0, fmt.Errorf("count dead letters: %w", err)
	}
	return n, nil
}

// TallyDeadLetters counts dead letters by their reasons; a reason without any
// is left out.
func (s *Store) TallyDeadLetters(ctx context.Context, scope registry.Scope, f registry.DeadLetterFilter) ([]*registry.DeadLetterCount, error) {
	_, p := wayTo(f)
	p["reasons"] = registry.DeadLetterReasons
	found, err := all(ctx, s.reading(scope), deadLetterTally, p, func(row fields) *registry.DeadLetterCount {
		return &registry.DeadLetterCount{
			Reason: registry.DeadLetterReason(row.text("reason")), Count: row.integer("n"),
			FirstAt: row.time("firstAt"), LastAt: row.time("lastAt"),
		}
	})
	if err != nil {
		return nil, fmt.Errorf("tally dead letters: %w", err)
	}
	return found, nil
}

// RemoveDeadLetters removes dead letters, those of the account only, and says
// how many there were.
func (s *Store) RemoveDeadLetters(ctx context.Context, scope registry.Scope, ids []registry.ID) (int, error) {
	n, _, err := one(ctx, s.writing(scope), deadLetterRemove, params{"ids": texts(ids)}, counted)
	if err != nil {
		return 0, fmt.Errorf("remove dead letters: %w", err)
	}
	return n, nil
}

// dropPage is how many dead letters one transaction removes.
const dropPage = 1000

// DropDeadLetters removes what a filter finds, in transactions of a thousand,
// and says how many were removed: what is removed stays so if it is interrupted.
func (s *Store) DropDeadLetters(ctx context.Context, scope registry.Scope, f registry.DeadLetterFilter) (int, error) {
	if len(f.IDs) > 0 {
		return s.RemoveDeadLetters(ctx, scope, f.IDs)
	}
	way, p := wayTo(f)
	p["limit"] = dropPage
	dropped := 0
	for {
		n, _, err := one(ctx, s.writing(scope), way.drop, p, counted)
		if err != nil {
			return dropped, fmt.Errorf("drop dead letters, after %d: %w", dropped, err)
		}
		if dropped += n; n < dropPage {
			return dropped, nil
		}
	}
}

// RejudgeDeadLetters keeps dead letters with another reason and message.
func (s *Store) RejudgeDeadLetters(ctx context.Context, scope registry.Scope, letters []*registry.DeadLetter) error {
	rows := make([]any, len(letters))
	for i, l := range letters {
		rows[i] = []any{string(l.ID), string(l.Reason), plainText(l.Message)}
	}
	if err := nothing(ctx, s.writing(scope), deadLetterRejudge, params{"rows": rows}); err != nil {
		return fmt.Errorf("rejudge dead letters: %w", err)
	}
	return nil
}

// DeadLetterKey is the key of a dead letter in its list, for cursors.
func DeadLetterKey(d *registry.DeadLetter) string { return string(d.ID) }
