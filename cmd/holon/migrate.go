package main

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// defaultPartitions is how many parts the queue has where nobody says.
const defaultPartitions = 8

type migrateCmd struct {
	graphSettings
	Partitions int `help:"How many parts the queue has; fixed when a database is first migrated." default:"8" env:"HOLON_PARTITIONS"`
}

// Run brings the database up to date. It is safe to run many times, and from
// several processes at once.
func (c *migrateCmd) Run(ctx context.Context, log zerolog.Logger) error {
	store, err := c.open(ctx, log, prometheus.NewRegistry())
	if err != nil {
		return err
	}
	defer store.Close(context.WithoutCancel(ctx))
	return store.Migrate(ctx, c.Partitions, func(step string) { log.Info().Str("step", step).Msg("migrated") })
}
