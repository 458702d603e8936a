package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
)

// apiClient is a small client of a running service.
type apiClient struct {
	url string
	key string
}

// query runs a GraphQL operation and decodes its data.
func (c apiClient) query(ctx context.Context, text string, variables map[string]any, into any) error {
	body, err := json.Marshal(map[string]any{"query": text, "variables": variables})
	if err != nil {
		return err
	}
	answer, err := c.post(ctx, "/graphql", "application/json", body)
	if err != nil {
		return err
	}
	var response struct {
		Data   json.RawMessage
		Errors []struct {
			Message    string
			Extensions struct{ Code string }
		}
	}
	if err := json.Unmarshal(answer, &response); err != nil {
		return fmt.Errorf("the answer is no JSON: %w", err)
	}
	if len(response.Errors) > 0 {
		return fmt.Errorf("%s: %s", response.Errors[0].Extensions.Code, response.Errors[0].Message)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(response.Data, into)
}

func (c apiClient) post(ctx context.Context, at, contentType string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+at, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("Authorization", "Bearer "+c.key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= http.StatusBadRequest {
		return nil, fmt.Errorf("%s: %s", response.Status, bytes.TrimSpace(answer))
	}
	return answer, nil
}

func (d *demo) sendHTTP(ctx context.Context, readings []demoReading) error {
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	for _, r := range readings {
		if err := encoder.Encode(r); err != nil {
			return err
		}
	}
	_, err := d.api.post(ctx, "/v1/readings", "application/x-ndjson", lines.Bytes())
	return err
}

// sendMQTT publishes each reading and waits for its acknowledgement.
func (d *demo) sendMQTT(ctx context.Context, readings []demoReading) error {
	server, err := url.Parse(d.mqtt)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	connection, err := autopaho.NewConnection(ctx, autopaho.ClientConfig{
		ServerUrls: []*url.URL{server}, KeepAlive: 20,
		ConnectUsername: d.account, ConnectPassword: []byte(d.api.key),
		ClientConfig: paho.ClientConfig{ClientID: "holon-demo-" + d.account},
	})
	if err != nil {
		return err
	}
	defer connection.Disconnect(context.WithoutCancel(ctx)) //nolint:errcheck // everything is acknowledged
	if err := connection.AwaitConnection(ctx); err != nil {
		return err
	}
	for _, r := range readings {
		topic := path.Join("holon", d.account, "readings", r.Device)
		r.Device = ""
		payload, err := json.Marshal(r)
		if err != nil {
			return err
		}
		answer, err := connection.Publish(ctx, &paho.Publish{QoS: 1, Topic: topic, Payload: payload})
		if err != nil {
			return fmt.Errorf("%s: %w", topic, err)
		}
		if answer != nil && answer.ReasonCode >= 0x80 {
			return errors.New(topic + ": refused: " + answer.Properties.ReasonString)
		}
	}
	return nil
}
