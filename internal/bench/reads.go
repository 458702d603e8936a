package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/holon-registry/holon/registry"
)

// readCell is one way of reading at one number of connections: by GraphQL, and
// by plain Cypher that gives the same answer.
type readCell struct {
	question    *question
	connections int
	runner      *runner
	raw, api    []sample
}

func (c *readCell) title() string {
	return fmt.Sprintf("%s, %d connections", c.question.name, c.connections)
}

// measure measures both, for a time each.
func (c *readCell) measure(ctx context.Context, each time.Duration, counts bool) error {
	if c.question.cypher != "" {
		raw, err := c.asking(ctx, each, func(ctx context.Context, _, which int) error {
			_, err := c.runner.rows(ctx, c.question.cypher, c.question.params[which])
			return err
		})
		if err != nil {
			return fmt.Errorf("plain Cypher: %w", err)
		}
		if counts {
			c.raw = append(c.raw, raw)
		}
	}
	api, err := c.measureAPI(ctx, each)
	if err == nil && counts {
		c.api = append(c.api, api)
	}
	return err
}

// measureAPI measures GraphQL, or what is asked of the store itself.
func (c *readCell) measureAPI(ctx context.Context, each time.Duration) (s sample, err error) {
	if c.question.call != nil {
		return c.asking(ctx, each, func(ctx context.Context, _, which int) error {
			_, err := c.question.call(ctx, which)
			return err
		})
	}
	connections := make([]*connection, c.connections)
	for i := range connections {
		if connections[i], err = dial(ctx, c.runner.Address); err != nil {
			return s, err
		}
		defer connections[i].close()
	}
	s, err = c.asking(ctx, each, func(_ context.Context, i, which int) error {
		status, answer, err := connections[i].do(c.question.requests[which])
		if err == nil && status != 200 {
			err = fmt.Errorf("answered %d: %s", status, answer)
		}
		return err
	})
	if err != nil {
		return s, fmt.Errorf("GraphQL: %w", err)
	}
	return s, nil
}

// asking asks by all connections for a time.
func (c *readCell) asking(ctx context.Context, each time.Duration, ask func(ctx context.Context, connection, which int) error) (sample, error) {
	until := time.Now().Add(each)
	return c.runner.race(ctx, c.connections, func(ctx context.Context, i int, lap func(time.Time)) error {
		// Each connection begins elsewhere.
		for which := i * 7919; ; which++ {
			began := time.Now()
			if began.After(until) {
				return nil
			}
			if err := ask(ctx, i, which%len(c.question.params)); err != nil {
				return err
			}
			lap(began)
		}
	})
}

// addReads adds the ways of reading, after making sure that both give the same
// answers.
func (r *runner) addReads(ctx context.Context, make func(context.Context) ([]*question, error), connections ...int) error {
	questions, err := make(ctx)
	if err != nil {
		return err
	}
	for _, q := range questions {
		for _, which := range []int{0, len(q.params) / 2, len(q.params) - 1} {
			if err := r.compare(ctx, q, which); err != nil {
				return fmt.Errorf("%s: %w", q.name, err)
			}
		}
		if q.call != nil {
			r.reads = append(r.reads, &readCell{question: q, connections: 1, runner: r})
			continue
		}
		for _, n := range connections {
			r.reads = append(r.reads, &readCell{question: q, connections: n, runner: r})
		}
	}
	return nil
}

func (r *runner) compare(ctx context.Context, q *question, which int) error {
	if q.cypher == "" {
		answer, err := r.ask(ctx, q.requests[which])
		q.bytes, q.graphTrips = answer.bytes, answer.graphTrips
		return err
	}
	rows, err := r.rows(ctx, q.cypher, q.params[which])
	if err != nil {
		return err
	}
	if len(rows) != 1 {
		return fmt.Errorf("plain Cypher gave %d rows", len(rows))
	}
	text, err := json.Marshal(rows[0])
	if err != nil {
		return err
	}
	var raw any
	if err := json.Unmarshal(text, &raw); err != nil {
		return err
	}
	var api answered
	if q.call != nil {
		api, err = r.callOnce(ctx, q, which)
	} else {
		api, err = r.ask(ctx, q.requests[which])
	}
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(raw, api.data) {
		return fmt.Errorf("plain Cypher says %.300s, and GraphQL %.300s", text, fmt.Sprint(api.data))
	}
	q.bytes, q.graphTrips = len(text), api.graphTrips
	return nil
}

// callOnce asks the store itself, with its answer as JSON has it.
func (r *runner) callOnce(ctx context.Context, q *question, which int) (out answered, err error) {
	counted, cost := registry.WithCost(ctx)
	answer, err := q.call(counted, which)
	if err != nil {
		return out, err
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return out, err
	}
	out.graphTrips = int(cost.Graph())
	return out, json.Unmarshal(text, &out.data)
}

type answered struct {
	data              any
	bytes, graphTrips int
}

// ask asks GraphQL once.
func (r *runner) ask(ctx context.Context, request []byte) (out answered, err error) {
	c, err := dial(ctx, r.Address)
	if err != nil {
		return out, err
	}
	defer c.close()
	status, body, err := c.do(request)
	if err != nil {
		return out, err
	}
	var answer struct {
		Data       any
		Errors     []any
		Extensions struct {
			Cost struct{ GraphRoundTrips int }
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil || status != 200 || len(answer.Errors) > 0 {
		return out, fmt.Errorf("GraphQL answered %d: %s", status, body)
	}
	return answered{answer.Data, len(body), answer.Extensions.Cost.GraphRoundTrips}, nil
}
