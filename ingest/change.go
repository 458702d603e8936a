package ingest

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/holon-registry/holon/registry"
)

// How a change of an object is told over MQTT: as
//
//	holon/{account}/changes/{kind}/{key, percent-encoded}/{create|modify|delete}
//
// with the change as GraphQL shows it.

// changesTopic is where all topics of an account's changes begin.
func changesTopic(account string) string { return "holon/" + account + "/changes/" }

var changeVerbs = map[registry.ChangeOperation]string{
	registry.ChangeCreate: "create", registry.ChangeUpdate: "modify", registry.ChangeDelete: "delete",
}

// changeTopic is the topic of a change. All but letters, digits and -_.~ is
// encoded, so that a key is one level and no wildcard.
func changeTopic(account string, c *registry.Change) string {
	key := strings.ReplaceAll(url.QueryEscape(c.Key), "+", "%20")
	return changesTopic(account) + strings.ToLower(string(c.Kind)) + "/" + key + "/" + changeVerbs[c.Operation]
}

// changeMessage is the payload of a change.
func changeMessage(c *registry.Change) ([]byte, error) {
	type actor struct {
		ID   registry.ID `json:"id"`
		Name string      `json:"name"`
	}
	message := struct {
		ID        registry.ID              `json:"id"`
		Cursor    string                   `json:"cursor"`
		Position  int64                    `json:"position"`
		At        string                   `json:"at"`
		Operation registry.ChangeOperation `json:"operation"`
		Action    string                   `json:"action"`
		Kind      registry.ObjectKind      `json:"kind"`
		ObjectID  registry.ID              `json:"objectId"`
		Key       string                   `json:"key"`
		Actor     *actor                   `json:"actor"`
		Request   *string                  `json:"request"`
		Version   int                      `json:"version"`
		Diff      []registry.Difference    `json:"diff"`
		After     map[string]any           `json:"after"`
	}{
		ID: c.ID(), Cursor: c.Cursor(), Position: c.Position, At: c.At.UTC().Format("2006-01-02T15:04:05.000Z07:00"),
		Operation: c.Operation, Action: c.Action, Kind: c.Kind, ObjectID: c.ObjectID, Key: c.Key,
		Request: c.Request(), Version: c.Version, Diff: c.Differences, After: c.After,
	}
	if by := c.Actor(); by != nil {
		message.Actor = &actor{by.ID, by.Name}
	}
	if message.Diff == nil {
		message.Diff = []registry.Difference{}
	}
	text, err := json.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("message of change %d: %w", c.Position, err)
	}
	return text, nil
}

// fitsFilter says whether a topic is among those of a filter.
func fitsFilter(topic, filter string) bool {
	for {
		want, more, deeper := strings.Cut(filter, "/")
		if want == "#" {
			return true
		}
		have, rest, further := strings.Cut(topic, "/")
		if want != "+" && want != have {
			return false
		}
		if !deeper || !further {
			// "a/#" takes "a" as well.
			return deeper == further || deeper && more == "#"
		}
		filter, topic = more, rest
	}
}

// subscriberLasts is how long a client that is away is remembered at most.
const subscriberLasts = 7 * 24 * time.Hour
