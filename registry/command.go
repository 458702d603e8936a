package registry

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// CommandDeclaration is a command that devices of a template understand.
type CommandDeclaration struct {
	Name        string  `json:"name"`
	Description *string `json:"description,omitempty"`
	// Parameters is the JSON Schema of what is sent with the command, Response that
	// of the result that comes back; nil lets anything through.
	Parameters map[string]any `json:"parameters,omitempty"`
	Response   map[string]any `json:"response,omitempty"`
	// ExpiresAfterSeconds is how long a command waits for its answer; 0 is an hour.
	ExpiresAfterSeconds float64 `json:"expiresAfterSeconds,omitempty"`
}

// ExpiresAfter is how long a command waits for its answer.
func (d CommandDeclaration) ExpiresAfter() time.Duration {
	if after := seconds(d.ExpiresAfterSeconds); after != nil {
		return *after
	}
	return time.Hour
}

// CommandState is where a command is.
type CommandState string

// The states.
const (
	CommandQueued       CommandState = "QUEUED"       // it waits for the device
	CommandSent         CommandState = "SENT"         // it was given to a connection of the device, once
	CommandAcknowledged CommandState = "ACKNOWLEDGED" // the device did it
	CommandFailed       CommandState = "FAILED"       // the device could not, or its answer is none
	CommandExpired      CommandState = "EXPIRED"      // there was no answer in time
	CommandCancelled    CommandState = "CANCELLED"    // it was taken back before it was sent
)

// MarshalGQL writes the state as a GraphQL enum value.
func (s CommandState) MarshalGQL(w io.Writer) { marshalEnum(w, string(s)) }

// UnmarshalGQL reads the state from a GraphQL enum value.
func (s *CommandState) UnmarshalGQL(v any) error {
	return unmarshalEnum(v, s, CommandQueued, CommandSent, CommandAcknowledged, CommandFailed, CommandExpired, CommandCancelled)
}

// Open says whether the command may still be answered.
func (s CommandState) Open() bool { return s == CommandQueued || s == CommandSent }

// Command is something that a device is told to do.
type Command struct {
	ID       ID
	DeviceID ID
	// Reference is the device's.
	Reference  string
	Name       string
	Parameters map[string]any
	State      CommandState
	// Version grows by one with every change.
	Version   int
	CreatedAt time.Time
	ExpiresAt time.Time
	// SentAt is when it was given to a connection, DeliveredAt when the device's
	// end of the connection had it, EndedAt when it came to its last state.
	SentAt, DeliveredAt, EndedAt *time.Time
	// Result is what the device answered, Error why it failed.
	Result any
	Error  *string
}

// IsNode marks a command as a GraphQL Node.
func (*Command) IsNode() {}

// NodeID is the command's id.
func (c *Command) NodeID() ID { return c.ID }

// NewCommand is what a device is to be told.
type NewCommand struct {
	Device     Ref
	Name       string
	Parameters map[string]any
	// ExpiresAfter is the declaration's own if nil.
	ExpiresAfter *time.Duration
}

// CommandReply is a device's answer.
type CommandReply struct {
	ID ID
	// Failed says that the device could not do it.
	Failed bool
	// Error is what the device says of why, empty if nothing.
	Error  string
	Result any
}

// MaxCommandError is how many characters are kept of what a device says of why it
// could not do something.
const MaxCommandError = 1000

// MaxExpiry is how long a command may wait at most.
const MaxExpiry = 90 * 24 * time.Hour

func (n NewTemplate) checkCommands(c *checker) {
	if n.Kind != KindDevice && len(n.Commands) > 0 {
		c.add("commands", "kind", "only devices take commands")
	}
	if len(n.Commands) > MaxTemplateParts {
		c.add("commands", "maxItems", "has at most %d", MaxTemplateParts)
	}
	for i, declared := range n.Commands {
		path := fmt.Sprintf("commands[%d]", i)
		if !measureName.MatchString(declared.Name) {
			c.add(path+".name", "name", "a command's name is 1 to 64 letters, digits and underscores and does not begin with a digit")
		}
		for _, other := range n.Commands[:i] {
			if strings.EqualFold(other.Name, declared.Name) {
				c.add(path+".name", "unique", "there is another command %q", declared.Name)
			}
		}
		if after := declared.ExpiresAfter(); after < time.Second || after > MaxExpiry {
			c.add(path+".expiresAfter", "range", "is one second to 90 days")
		}
	}
}

// Command returns the declaration of a command; an open template takes any.
func (t *Template) Command(name string) (CommandDeclaration, bool) {
	for _, declared := range t.Commands {
		if strings.EqualFold(declared.Name, name) {
			return declared, true
		}
	}
	return CommandDeclaration{Name: name}, t.Open && measureName.MatchString(name)
}
