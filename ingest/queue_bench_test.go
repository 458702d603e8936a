package ingest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

func BenchmarkQueueAdd(b *testing.B) {
	for _, producers := range []int{1, 16} {
		b.Run(fmt.Sprintf("producers=%d", producers), func(b *testing.B) {
			q := openQueue(b, func(c *QueueConfig) { c.Partitions = 8; c.MaxReadings = 1 << 30; c.MaxBytes = 1 << 40 })
			readings := manyReadings(100, 100)
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ResetTimer()
			var wait sync.WaitGroup
			for range producers {
				wait.Go(func() {
					for left.Add(-1) >= 0 {
						if err := q.Add(b.Context(), readings); err != nil && !errors.Is(err, b.Context().Err()) {
							b.Error(err)
							return
						}
					}
				})
			}
			wait.Wait()
			b.ReportMetric(float64(b.N)*100/b.Elapsed().Seconds(), "readings/s")
		})
	}
}
