package checks

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// service is what the checks need to know of a service in docker-compose.yml.
type service struct {
	Image       string
	Profiles    []string
	Command     []string
	Environment map[string]string
	Ports       []string
	Volumes     []string
	DependsOn   map[string]struct{ Condition string } `json:"depends_on"`
	Healthcheck struct {
		Test              []string
		Disable           bool
		Interval, Timeout string
		StartPeriod       string `json:"start_period"`
	}
}

const composeFile = "docker-compose.yml"

// variable is how Compose writes one: ${NAME}, ${NAME:-default}, ${NAME:?message}.
var variable = regexp.MustCompile(`\$\{([A-Z0-9_]+)(:?[-?][^}]*)?\}|\$\$`)

// interpolate does what Compose does to values before it uses them.
func interpolate(text string, values map[string]string) string {
	return variable.ReplaceAllStringFunc(text, func(found string) string {
		if found == "$$" {
			return "$"
		}
		return values[variable.FindStringSubmatch(found)[1]]
	})
}

func composeServices(t *testing.T, values map[string]string) map[string]service {
	t.Helper()
	var document struct{ Services map[string]service }
	if err := json.Unmarshal(asJSON(t, interpolate(content(t, composeFile), values)), &document); err != nil {
		t.Fatalf("%s: %v", composeFile, err)
	}
	if len(document.Services) == 0 {
		t.Fatalf("%s has no services", composeFile)
	}
	return document.Services
}

// asJSON turns YAML into JSON, with merge keys resolved.
func asJSON(t *testing.T, text string) []byte {
	t.Helper()
	var document map[string]any
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		t.Fatalf("%s: %v", composeFile, err)
	}
	encoded, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

func composeSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", "compose-spec.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	document, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("compose-spec.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("compose-spec.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// validateCompose checks a document against the schema as JSON, since that is
// what a JSON Schema speaks of.
func validateCompose(t *testing.T, schema *jsonschema.Schema, text string) error {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON(t, text)))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(value)
}

func TestComposeFileIsValid(t *testing.T) {
	schema := composeSchema(t)
	text := content(t, composeFile)
	if err := validateCompose(t, schema, text); err != nil {
		t.Errorf("%s: %v", composeFile, err)
	}
	// The check must be able to fail.
	for name, wrong := range map[string]string{
		"key":     strings.Replace(text, "restart:", "restrat:", 1),
		"command": strings.Replace(text, `command: ["migrate"]`, `command: {run: migrate}`, 1),
		"volume":  strings.Replace(text, "\nvolumes:\n", "\nvolumes: []\nx-volumes:\n", 1),
	} {
		if wrong == text {
			t.Errorf("%s: nothing was changed in the file", name)
		} else if validateCompose(t, schema, wrong) == nil {
			t.Errorf("%s: a wrong file passes", name)
		}
	}
}

var loopbackPort = regexp.MustCompile(`^(?:127\.0\.0\.1|\[::1\]):\d+:(\d+)$`)

// loopbackPorts are those that files come to over FTP.
var loopbackPorts = regexp.MustCompile(`^127\.0\.0\.1:(\d+-\d+):(\d+-\d+)$`)

func TestComposePublishesOnLoopbackOnly(t *testing.T) {
	published := 0
	for name, s := range composeServices(t, nil) {
		for _, port := range s.Ports {
			published++
			if all := loopbackPorts.FindStringSubmatch(port); all != nil && all[1] == all[2] {
				if !strings.Contains(strings.Join(s.Command, " "), "--ftp-passive-ports "+all[2]) {
					t.Errorf("service %s publishes its ports %s, and its command %q does not listen there", name, all[2], s.Command)
				}
				continue
			}
			inside := loopbackPort.FindStringSubmatch(port)
			if inside == nil {
				t.Errorf("service %s publishes %s: only 127.0.0.1:PORT:PORT may be", name, port)
				continue
			}
			if !slices.Contains(s.Command, "0.0.0.0:"+inside[1]) {
				t.Errorf("service %s publishes its port %s, and its command %q does not listen there", name, inside[1], s.Command)
			}
		}
	}
	if published == 0 {
		t.Error("no service publishes a port: how is it reached?")
	}
}

var secretName = regexp.MustCompile(`(?i)passw|secret|token|auth$|_key$`)

func TestComposeHoldsNoPassword(t *testing.T) {
	asked := 0
	for name, s := range composeServices(t, map[string]string{"NEO4J_PASSWORD": "<asked>"}) {
		for key, value := range s.Environment {
			if !secretName.MatchString(key) {
				continue
			}
			asked++
			if !strings.Contains(value, "<asked>") {
				t.Errorf("service %s: %s is written in the file", name, key)
			}
		}
	}
	if asked == 0 {
		t.Error("no service is given a password")
	}
	for _, found := range variable.FindAllString(content(t, composeFile), -1) {
		if strings.Contains(found, "PASSWORD") && !strings.Contains(found, ":?") {
			t.Errorf("%s starts without a password when none is set: write ${NAME:?message}", found)
		}
	}
	command := regexp.MustCompile(`--(?:neo4j-)?password|redis://[^@\s]*:[^@\s]+@`)
	for number, line := range strings.Split(content(t, composeFile), "\n") {
		if command.MatchString(line) {
			t.Errorf("%s:%d gives a password on a command line", composeFile, number+1)
		}
	}
}

func TestComposeServicesFitTogether(t *testing.T) {
	services := composeServices(t, nil)
	all := files(t)
	for _, name := range slices.Sorted(maps.Keys(services)) {
		s := services[name]
		for other, dependence := range s.DependsOn {
			on, ok := services[other]
			switch {
			case !ok:
				t.Errorf("service %s depends on %s, which is not there", name, other)
			case dependence.Condition == "service_healthy" && len(on.Healthcheck.Test) == 0:
				t.Errorf("service %s waits until %s is healthy, which has no health check", name, other)
			}
		}
		if len(s.Healthcheck.Test) == 0 && !s.Healthcheck.Disable {
			t.Errorf("service %s has no health check", name)
		}
		for _, length := range []string{s.Healthcheck.Interval, s.Healthcheck.Timeout, s.Healthcheck.StartPeriod} {
			if _, err := time.ParseDuration(length); length != "" && err != nil {
				t.Errorf("service %s: health check: %v", name, err)
			}
		}
		for _, volume := range s.Volumes {
			if from, _, _ := strings.Cut(volume, ":"); strings.HasPrefix(from, "./") && !slices.Contains(all, strings.TrimPrefix(from, "./")) {
				t.Errorf("service %s mounts %s, which is not there", name, from)
			}
		}
	}
}
