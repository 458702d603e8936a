package checks

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/holon-registry/holon/internal/devstack"
	"github.com/holon-registry/holon/internal/testkit"
)

const composePassword = "compose-test-password"

// deployment runs the services of docker-compose.yml as processes: the same
// commands, environments and health checks, with the names of the stores and
// the ports of the containers translated to this machine.
type deployment struct {
	t        *testing.T
	services map[string]service
	stores   *devstack.Stack
	holon    string
	redis    string // address of the Redis that the file's own command starts
	// addresses has, by service and container port, where it is here.
	addresses map[string]string
	running   map[string]*testkit.Program
}

// TestComposeServicesRun starts what `docker compose up` would, in its order.
func TestComposeServicesRun(t *testing.T) {
	dir := t.TempDir()
	holon, err := testkit.BuildHolon(dir)
	if err != nil {
		t.Fatal(err)
	}
	stores, err := devstack.Start(t.Context(), devstack.Options{Dir: filepath.Join(dir, "stores"), Neo4jPassword: composePassword, Life: devstack.Brief})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stores.Close(); err != nil {
			t.Error(err)
		}
	})
	d := &deployment{
		t: t, stores: stores, holon: holon,
		services:  composeServices(t, map[string]string{"NEO4J_PASSWORD": composePassword}),
		addresses: map[string]string{}, running: map[string]*testkit.Program{},
	}
	d.checkNeo4j()
	d.startRedis()
	for _, name := range d.order() {
		d.startHolon(name)
	}
	d.useIt()
	for _, name := range slices.Sorted(maps.Keys(d.running)) {
		d.running[name].Stop(t)
	}
}

// order lists Holon's services of the default profile, each after those that it
// depends on.
func (d *deployment) order() []string {
	var sorted []string
	var visit func(string)
	visit = func(name string) {
		s := d.services[name]
		if slices.Contains(sorted, name) || s.Image != "holon:local" || len(s.Profiles) > 0 {
			return
		}
		for _, other := range slices.Sorted(maps.Keys(s.DependsOn)) {
			visit(other)
		}
		sorted = append(sorted, name)
	}
	for _, name := range slices.Sorted(maps.Keys(d.services)) {
		visit(name)
	}
	if len(sorted) < 4 {
		d.t.Fatalf("only %q run Holon", sorted)
	}
	return sorted
}

// checkNeo4j checks what cannot be run without the image: that every setting
// is one of Neo4j's, and that the ports named are those that it listens on.
func (d *deployment) checkNeo4j() {
	t, s := d.t, d.services["neo4j"]
	t.Helper()
	if want := "neo4j/" + composePassword; s.Environment["NEO4J_AUTH"] != want {
		t.Errorf("NEO4J_AUTH is %q, want %q", s.Environment["NEO4J_AUTH"], want)
	}
	settings := neo4jSettings(t, d.stores)
	for name := range s.Environment {
		if name == "NEO4J_AUTH" {
			continue
		}
		if _, known := settings[neo4jSetting(name)]; !known {
			t.Errorf("service neo4j: %s means %s, which is no setting of Neo4j", name, neo4jSetting(name))
		}
	}
	for setting, wanted := range map[string]string{"server.bolt.listen_address": ":7687", "server.http.listen_address": ":7474", "server.http.enabled": "true"} {
		if settings[setting] != wanted {
			t.Errorf("Neo4j's default of %s is %q, and the file counts on %q", setting, settings[setting], wanted)
		}
	}
	if check := strings.Join(s.Healthcheck.Test, " "); !strings.Contains(check, "http://127.0.0.1:7474") {
		t.Errorf("service neo4j: the health check %q does not ask its HTTP port", check)
	}
}

// neo4jSetting is the setting that the image makes of a variable: the prefix
// goes, __ is an underscore and _ is a dot.
func neo4jSetting(variable string) string {
	name := strings.TrimPrefix(variable, "NEO4J_")
	return strings.NewReplacer("__", "_", "_", ".").Replace(name)
}

// neo4jSettings lists every setting with its default.
func neo4jSettings(t *testing.T, stores *devstack.Stack) map[string]string {
	t.Helper()
	ctx := t.Context()
	driver, err := neo4j.NewDriverWithContext(stores.URI, neo4j.BasicAuth(stores.Username, stores.Password, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer driver.Close(ctx)
	result, err := neo4j.ExecuteQuery(ctx, driver, "SHOW SETTINGS YIELD name, defaultValue", nil, neo4j.EagerResultTransformer)
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{}
	for _, r := range result.Records {
		name, _ := r.Get("name")
		value, _ := r.Get("defaultValue")
		settings[fmt.Sprint(name)] = fmt.Sprint(value)
	}
	return settings
}

// startRedis runs the service's own command, so that its settings are tried.
func (d *deployment) startRedis() {
	t, s := d.t, d.services["redis"]
	t.Helper()
	if len(s.Command) == 0 || s.Command[0] != "redis-server" {
		t.Fatalf("service redis: the command is %q", s.Command)
	}
	program, err := exec.LookPath("redis-server")
	if err != nil { // then the stores run one that was fetched
		if program, err = os.Readlink(fmt.Sprintf("/proc/%d/exe", d.stores.Redis.Pid())); err != nil {
			t.Fatalf("no redis-server on the PATH, and the one of the stores is not known: %v", err)
		}
	}
	d.redis = testkit.FreeAddr(t)
	_, port, err := net.SplitHostPort(d.redis)
	if err != nil {
		t.Fatal(err)
	}
	args := append(slices.Clone(s.Command[1:]), "--bind", "127.0.0.1", "--port", port, "--dir", t.TempDir())
	d.running["redis"] = testkit.Start(t, "redis", nil, program, args...)
	if got := strings.Join(s.Healthcheck.Test, " "); got != "CMD redis-cli ping" {
		t.Errorf("service redis: the health check is %q; this test knows CMD redis-cli ping only", got)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := redisPing(d.redis)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("service redis is not healthy: %v\n%s", err, d.running["redis"].Output())
		}
	}
}

// redisPing does what redis-cli ping does.
func redisPing(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		return err
	}
	answer := make([]byte, len("+PONG\r\n"))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if string(answer) != "+PONG\r\n" {
		return fmt.Errorf("it answers %q", answer)
	}
	return nil
}

// ownPort is an address that a service has itself, alone or in a URL.
var ownPort = regexp.MustCompile(`^(http://)?(?:0\.0\.0\.0|127\.0\.0\.1):(\d+)(/.*)?$`)

// here translates an address of a container to one of this machine.
func (d *deployment) here(name, text string) string {
	if found := ownPort.FindStringSubmatch(text); found != nil {
		inside := name + ":" + found[2]
		if d.addresses[inside] == "" {
			d.addresses[inside] = testkit.FreeAddr(d.t)
		}
		return found[1] + d.addresses[inside] + found[3]
	}
	bolt := d.stores.URI[strings.Index(d.stores.URI, "//"):]
	return strings.NewReplacer("//neo4j:7687", bolt, "//redis:6379", "//"+d.redis).Replace(text)
}

// startHolon runs a service of Holon and waits until its health check passes,
// or, where it has none, until it has ended well.
func (d *deployment) startHolon(name string) {
	t, s := d.t, d.services[name]
	t.Helper()
	var env, args []string
	for key, value := range s.Environment {
		env = append(env, key+"="+d.here(name, value))
	}
	for _, arg := range s.Command {
		args = append(args, d.here(name, arg))
	}
	program := testkit.Start(t, name, env, d.holon, args...)
	if s.Healthcheck.Disable {
		program.MustSucceed(t)
		return
	}
	d.running[name] = program
	test := s.Healthcheck.Test
	if len(test) < 2 || test[0] != "CMD" || test[1] != "holon" {
		t.Fatalf("service %s: the health check is %q; the image has only holon in it", name, test)
	}
	var check []string
	for _, arg := range test[2:] {
		check = append(check, d.here(name, arg))
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		out, err := exec.Command(d.holon, check...).CombinedOutput()
		if err == nil {
			return
		}
		select {
		case <-program.Ended():
			t.Fatalf("service %s ended:\n%s", name, program.Output())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("service %s is not healthy: %v\n%s", name, err, out)
		}
	}
}

// useIt makes a key as the file's comment says and asks the published ports.
func (d *deployment) useIt() {
	t := d.t
	t.Helper()
	var env []string
	for key, value := range d.services["serve"].Environment {
		env = append(env, key+"="+d.here("serve", value))
	}
	secret := strings.TrimSpace(testkit.Run(t, env, d.holon, "key", "create", "--account", "compose", "-q"))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for name, s := range d.services {
		if len(s.Profiles) > 0 {
			continue // it was not started
		}
		for _, published := range s.Ports {
			inside := loopbackPort.FindStringSubmatch(published)[1]
			addr := d.addresses[name+":"+inside]
			conn, err := net.DialTimeout("tcp", addr, time.Second)
			if err != nil {
				t.Errorf("service %s publishes %s, and nothing listens there: %v", name, published, err)
				continue
			}
			conn.Close()
		}
	}
	body := strings.NewReader(`{"query":"{ viewer { account { name } } }"}`)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+d.addresses["serve:8080"]+"/graphql", body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+secret)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK || !strings.Contains(string(answer), strconv.Quote("compose")) {
		t.Errorf("%s: %s", response.Status, answer)
	}
}
