// Package api is a small client of Holon's public protocols: GraphQL and the
// receiver of readings, over HTTP. It imports the standard library only.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// Client calls one Holon with one key.
type Client struct {
	// URL is where Holon answers, without a slash at its end.
	URL string
	// Key is the secret of an API key of the account.
	Key string
	// Patience is how long a request that Holon refuses for the moment is
	// tried again, in all.
	Patience time.Duration
}

// FromEnvironment makes a client from HOLON_URL and HOLON_KEY. It is an error
// if one of them is empty.
func FromEnvironment() (*Client, error) {
	c := &Client{URL: strings.TrimRight(os.Getenv("HOLON_URL"), "/"), Key: os.Getenv("HOLON_KEY"), Patience: 2 * time.Minute}
	if c.URL == "" || c.Key == "" {
		return nil, errors.New("HOLON_URL and HOLON_KEY say which Holon to use: set both")
	}
	return c, nil
}

// Error is an answer that says no.
type Error struct {
	// Code is the code of a GraphQL error such as CONFLICT, or an HTTP status.
	Code string
	// Message says why, in words.
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Query runs one GraphQL operation and decodes its data, if into is not nil.
// What Holon refuses is an *Error; where several fields failed, it is the first.
func (c *Client) Query(ctx context.Context, text string, variables map[string]any, into any) error {
	body, err := json.Marshal(map[string]any{"query": text, "variables": variables})
	if err != nil {
		return fmt.Errorf("encoding the variables: %w", err)
	}
	answer, status, err := c.Post(ctx, "/graphql", "application/json", body)
	if err != nil {
		return err
	}
	var response struct {
		Data   json.RawMessage
		Errors []struct {
			Message    string
			Path       []any
			Extensions struct{ Code string }
		}
	}
	if err := json.Unmarshal(answer, &response); err != nil || status >= http.StatusBadRequest && len(response.Errors) == 0 {
		return &Error{Code: strconv.Itoa(status), Message: string(bytes.TrimSpace(answer))}
	}
	if len(response.Errors) > 0 {
		first := response.Errors[0]
		return &Error{Code: first.Extensions.Code, Message: fmt.Sprintf("%s (at %v)", first.Message, first.Path)}
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(response.Data, into); err != nil {
		return fmt.Errorf("decoding the answer: %w", err)
	}
	return nil
}

// Post sends a body and returns the answer with its status. While Holon
// answers 429 or 503 it waits as long as the answer asks for (Retry-After), or
// twice as long each time, and sends it again, until the patience is at an end.
func (c *Client) Post(ctx context.Context, path, contentType string, body []byte) ([]byte, int, error) {
	deadline := time.Now().Add(c.Patience)
	for attempt := 0; ; attempt++ {
		answer, header, status, err := c.post(ctx, path, contentType, body)
		if err != nil {
			return nil, 0, err
		}
		if status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
			return answer, status, nil
		}
		wait := Backoff(attempt, header.Get("Retry-After"))
		if time.Now().Add(wait).After(deadline) {
			return answer, status, nil
		}
		select {
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		case <-time.After(wait):
		}
	}
}

func (c *Client) post(ctx context.Context, path, contentType string, body []byte) ([]byte, http.Header, int, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, 0, err
	}
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("Authorization", "Bearer "+c.Key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, nil, 0, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, nil, 0, fmt.Errorf("reading the answer: %w", err)
	}
	return answer, response.Header, response.StatusCode, nil
}

// Backoff is how long to wait before the next attempt, where attempts count
// from 0: what Retry-After says in seconds, else 100 ms, twice as long each
// time, 5 s at most. Up to a tenth is added by chance, so that many senders
// do not come back at once.
func Backoff(attempt int, retryAfter string) time.Duration {
	wait := 100 * time.Millisecond << min(attempt, 6)
	wait = min(wait, 5*time.Second)
	if seconds, err := strconv.Atoi(retryAfter); err == nil && seconds >= 0 {
		wait = time.Duration(seconds) * time.Second
	}
	return wait + rand.N(wait/10+1)
}
