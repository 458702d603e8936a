package graph

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/holon-registry/holon/registry"
)

//go:embed migrations/*.cypher
var migrationFiles embed.FS

// DefaultPartitions is how many partitions the queue has if nobody says
// otherwise. The number is fixed when a database is first migrated.
const DefaultPartitions = 8

// maxPartitions bounds what Migrate takes.
const maxPartitions = 1024

// indexTimeout is how long a migration waits for indexes to be built.
const indexTimeout = 10 * time.Minute

type migration struct {
	number     int
	name       string
	statements []string
}

var (
	migrationsDone = named("migration.done", `
		MATCH (m:Migration) WHERE m.number > 0
		RETURN coalesce(max(m.number), 0) AS n`)

	migrationRecord = named("migration.record", `
		MERGE (m:Migration {number: $number})
		ON CREATE SET m.name = $name, m.at = $at`)

	// The write to the migration's node makes a second process wait, so that
	// only one makes the partitions.
	partitionsMake = named("partition.make", `
		MATCH (m:Migration {number: 1})
		SET m.partitionsChecked = $at
		WITH m
		WHERE NOT EXISTS { (:Partition) }
		UNWIND range(0, $partitions - 1) AS number
		CREATE (:Partition {number: number, epoch: 0, topology: 0, stored: 0, repeats: 0, deadLetters: 0, measurements: 0})`)

	partitionsCount = named("partition.count", `
		MATCH (p:Partition) WHERE p.number >= 0
		RETURN count(p) AS n`)

	// Those of searched attributes come and go by themselves, and may fail.
	indexesPending = named("index.pending", `
		SHOW INDEXES YIELD name, state
		WHERE state <> 'ONLINE' AND NOT name STARTS WITH $prefix
		RETURN collect(name) AS names`)

	indexAwait = named("index.await", `CALL db.awaitIndex($name, $seconds)`)

	replanning = named("statistics.refresh", `CALL db.prepareForReplanning($seconds)`)
)

// Migrate brings the database up to what this version of Holon needs, in
// numbered steps, and tells progress of each. It may be run again, also by two
// processes at once. The number of partitions counts only the first time. A
// database that a newer version has migrated is refused with
// FAILED_PRECONDITION.
func (s *Store) Migrate(ctx context.Context, partitions int, progress func(step string)) error {
	if partitions < 1 || partitions > maxPartitions {
		return registry.InvalidField("partitions", "range", "there are 1 to %d partitions", maxPartitions)
	}
	steps, err := migrations()
	if err != nil {
		return err
	}
	s = s.patient()
	done, err := s.migrated(ctx)
	if err != nil {
		return err
	}
	if done > len(steps) {
		return newer(done, len(steps))
	}
	for _, step := range steps[done:] {
		progress(fmt.Sprintf("%04d %s: %d statements", step.number, step.name, len(step.statements)))
		if err := s.apply(ctx, step); err != nil {
			return fmt.Errorf("migration %04d %s: %w", step.number, step.name, err)
		}
	}
	progress("waiting for indexes")
	if err := s.awaitIndexes(ctx); err != nil {
		return fmt.Errorf("wait for indexes: %w", err)
	}
	if err := nothing(ctx, s.writing(registry.Scope{}), partitionsMake, params{"partitions": partitions, "at": s.now()}); err != nil {
		return fmt.Errorf("make partitions: %w", err)
	}
	if done == len(steps) {
		return nil
	}
	return s.RefreshStatistics(ctx)
}

// awaitIndexes waits until the indexes are there that every process counts on.
func (s *Store) awaitIndexes(ctx context.Context) error {
	names, _, err := one(ctx, s.reading(registry.Scope{}), indexesPending, params{"prefix": indexPrefix}, func(f fields) []string { return f.texts("names") })
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := nothing(ctx, s.reading(registry.Scope{}), indexAwait, params{"name": name, "seconds": int(indexTimeout.Seconds())}); err != nil {
			return err
		}
	}
	return nil
}

// RefreshStatistics makes the database count anew and plan every query afresh:
// plans made for an empty database are bad ones for a full one. It belongs
// after an import.
func (s *Store) RefreshStatistics(ctx context.Context) error {
	if err := nothing(ctx, s.patient().reading(registry.Scope{}), replanning, params{"seconds": int(indexTimeout.Seconds())}); err != nil {
		return fmt.Errorf("refresh statistics: %w", err)
	}
	return nil
}

// CheckMigrated says whether the database is what this version of Holon needs:
// FAILED_PRECONDITION if it is not.
func (s *Store) CheckMigrated(ctx context.Context) error {
	steps, err := migrations()
	if err != nil {
		return err
	}
	done, err := s.patient().migrated(ctx)
	switch {
	case err != nil:
		return err
	case done > len(steps):
		return newer(done, len(steps))
	case done < len(steps):
		return registry.FailedPrecondition("the graph database is at migration %d of %d: run holon migrate", done, len(steps))
	}
	return nil
}

// CheckMigratedOrEmpty is CheckMigrated for what changes nothing: a database that
// was never migrated will do.
func (s *Store) CheckMigratedOrEmpty(ctx context.Context) error {
	done, err := s.patient().migrated(ctx)
	if err != nil || done == 0 {
		return err
	}
	return s.CheckMigrated(ctx)
}

// Partitions is the number of partitions of the queue. It never changes.
func (s *Store) Partitions(ctx context.Context) (int, error) {
	if known := s.partitions.Load(); known > 0 {
		return int(known), nil
	}
	n, _, err := one(ctx, s.reading(registry.Scope{}), partitionsCount, nil, counted)
	if err != nil {
		return 0, fmt.Errorf("count partitions: %w", err)
	}
	if n == 0 {
		return 0, registry.FailedPrecondition("the graph database has no partitions: run holon migrate")
	}
	s.partitions.Store(int32(n))
	return n, nil
}

// patient is the same store with time for what has to wait for indexes, or for
// a database that has just started.
func (s *Store) patient() *Store {
	patient := *s
	patient.timeout = indexTimeout
	return &patient
}

func (s *Store) migrated(ctx context.Context) (int, error) {
	done, _, err := one(ctx, s.reading(registry.Scope{}), migrationsDone, nil, counted)
	if err != nil {
		return 0, fmt.Errorf("read migrations: %w", err)
	}
	return done, nil
}

// apply runs a migration's statements one by one, since the database does not
// mix changes of schema and of data in a transaction, and then what Cypher cannot
// do. Each may run again.
func (s *Store) apply(ctx context.Context, step migration) error {
	for i, text := range step.statements {
		q := query{fmt.Sprintf("migration.%04d", step.number), text}
		if err := s.changeSchema(ctx, q); err != nil {
			return fmt.Errorf("statement %d: %w", i+1, err)
		}
	}
	if step.name == "profile_relations" {
		if err := s.relateProfiles(ctx); err != nil {
			return err
		}
	}
	return nothing(ctx, s.writing(registry.Scope{}), migrationRecord, params{"number": step.number, "name": step.name, "at": s.now()})
}

// changeSchema runs a statement that says IF NOT EXISTS. Where another process
// makes the same thing at the same moment the database refuses it all the same;
// the next try finds it there.
func (s *Store) changeSchema(ctx context.Context, q query) error {
	for attempt := 1; ; attempt++ {
		err := nothing(ctx, s.writing(registry.Scope{}), q, nil)
		refusal, refused := refusalIn(err)
		if !refused || !strings.HasPrefix(refusal.Code, "Neo.ClientError.Schema.") || !strings.HasSuffix(refusal.Code, "AlreadyExists") {
			return err
		}
		if attempt == maxAttempts || !pause(ctx, attempt) {
			return err
		}
	}
}

// migrations reads the embedded files: number_name.cypher, in order, without
// gaps. A statement ends with a semicolon at the end of a line; lines that
// begin with // are comments.
func migrations() ([]migration, error) {
	files, err := fs.Glob(migrationFiles, "migrations/*.cypher")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	sort.Strings(files)
	steps := make([]migration, 0, len(files))
	for i, file := range files {
		number, name, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(file, "migrations/"), ".cypher"), "_")
		if n, err := strconv.Atoi(number); err != nil || n != i+1 {
			return nil, fmt.Errorf("migration file %s: expected number %d", file, i+1)
		}
		text, err := migrationFiles.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read migration: %w", err)
		}
		steps = append(steps, migration{number: i + 1, name: name, statements: statements(string(text))})
	}
	return steps, nil
}

func statements(text string) []string {
	var lines, out []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \r\n")
		if line == "" || strings.HasPrefix(line, "//") {
			continue
		}
		end := strings.HasSuffix(line, ";")
		lines = append(lines, strings.TrimSuffix(line, ";"))
		if end {
			out = append(out, strings.Join(lines, "\n"))
			lines = nil
		}
	}
	return out
}

func newer(done, known int) error {
	return registry.FailedPrecondition("the graph database is at migration %d and this version of Holon knows %d: use a newer version", done, known)
}
