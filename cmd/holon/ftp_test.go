package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	ftpclient "github.com/jlaffaye/ftp"
	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/ingest/ftp"
	"github.com/holon-registry/holon/registry"
)

// serveFiles runs an FTP server on the stores of the tests. Stop ends it as a
// gateway ends it.
func serveFiles(t *testing.T, c ftp.Config) (address string, stop func()) {
	t.Helper()
	c.Address, c.Logger = "127.0.0.1:0", zerolog.Nop()
	if c.Directory == "" {
		c.Directory = t.TempDir()
	}
	if c.Keep == 0 {
		c.Keep = 24 * time.Hour
	}
	server, err := ftp.New(holon.stores.receiver, holon.stores.keys, c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(stop)
	return server.Address(), stop
}

// fileClient is a client of an FTP server, with its connections: the first one is
// that of commands.
type fileClient struct {
	*ftpclient.ServerConn
	t     *testing.T
	conns []net.Conn
}

func dialFiles(t *testing.T, address string, options ...ftpclient.DialOption) *fileClient {
	t.Helper()
	c := &fileClient{t: t}
	if len(options) == 0 {
		options = append(options, ftpclient.DialWithDialFunc(func(network, address string) (net.Conn, error) {
			conn, err := net.DialTimeout(network, address, 30*time.Second)
			c.conns = append(c.conns, conn)
			return conn, err
		}))
	}
	var err error
	if c.ServerConn, err = ftpclient.Dial(address, options...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Quit() })
	return c
}

// logIn is a client that has logged in.
func logIn(t *testing.T, address, key string) *fileClient {
	t.Helper()
	c := dialFiles(t, address)
	if err := c.Login("anybody", key); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *fileClient) put(path, content string) {
	c.t.Helper()
	if err := c.Stor(path, strings.NewReader(content)); err != nil {
		c.t.Fatalf("%s: %v", path, err)
	}
}

func (c *fileClient) get(path string) string {
	c.t.Helper()
	file, err := c.Retr(path)
	if err != nil {
		c.t.Fatalf("%s: %v", path, err)
	}
	content, err := io.ReadAll(file)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		c.t.Fatal(err)
	}
	return string(content)
}

// await waits until there is a file.
func (c *fileClient) await(path string) {
	c.t.Helper()
	waitFor(c.t, path, func() bool {
		_, err := c.FileSize(path)
		return err == nil
	})
}

func (c *fileClient) names(path string) []string {
	c.t.Helper()
	names, err := c.NameList(path)
	if err != nil {
		c.t.Fatal(err)
	}
	return names
}

// refuses says whether an error is an answer of the server with a code.
func refuses(err error, code int) bool {
	said, ok := errors.AsType[*textproto.Error](err)
	return ok && said.Code == code
}

const makeLogger = `mutation { createTemplate(input: {kind: DEVICE, name: "logger", publish: true, measures: [{name: "temperature", type: "number", unit: "Cel"}],
	decoder: {name: "csv", options: {delimiter: ";", decimal: ",", device: "Station", time: {column: ["Datum", "Zeit"], format: "%d.%m.%Y %H:%M"}, measures: {temperature: "Temp (C)"}}}}) { template { id } }
	createTemplate2: createTemplate(input: {kind: DEVICE, name: "probe", publish: true, measures: [{name: "temperature", type: "number"}],
	decoder: {name: "json", options: {time: "at", measures: {temperature: "t"}}}}) { template { id } }
	l1: createDevice(input: {reference: "l1", template: "logger"}) { device { id } } l2: createDevice(input: {reference: "l2", template: "logger"}) { device { id } }
	deep: createDevice(input: {reference: "Hall/7", template: "probe"}) { device { id } } }`

type fileLetters struct {
	DeadLetters struct {
		Nodes []struct {
			Reason, Source, Raw string
			Payload             *struct{ Template, Content string }
		}
	}
}

const askLetters = `{ deadLetters(first: 50) { nodes { reason source raw payload { template content } } } }`

// TestFilesOverFTP sends files of all kinds, and looks at what became of them.
func TestFilesOverFTP(t *testing.T) {
	t.Parallel()
	client, _ := newAccount(t)
	ask[any](t, client, makeLogger, nil)
	address, _ := serveFiles(t, ftp.Config{})
	c := logIn(t, address, client.key)
	if diff := cmp.Diff([]string{"devices", "done", "failed", "readings", "templates"}, sorted(c.names("/"))); diff != "" {
		t.Errorf("folders: -want +got\n%s", diff)
	}

	c.put("/readings/plain.ndjson", `{"device": "l1", "measuredAt": "2026-01-01T00:00:00Z", "values": {"temperature": 1}}
[{"device": "l1", "measuredAt": "2026-01-01T00:01:00Z", "values": {"temperature": 2}}, {"device": "l2", "measuredAt": "2026-01-01T00:01:00Z", "values": {"temperature": {"value": 50, "unit": "[degF]"}}}]
`)
	for _, folder := range []string{"/templates/logger", "/templates/logger/2026"} {
		if err := c.MakeDir(folder); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.ChangeDir("/templates/logger/2026"); err != nil {
		t.Fatal(err)
	}
	c.put("march.csv", "Zeit;Nr;Station;Temp (C);Datum\n10:00;1;l1;21,5;01.03.2026\n10:01;2;l1;warm;01.03.2026\n10:02;3;nobody;1;01.03.2026\n10:03;4;l2;-3,25;01.03.2026\n")
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	if _, err := io.WriteString(zip, "{\"t\": 7, \"at\": \"2026-03-01T10:00:00Z\"}\n{\"t\": 8, \"at\": \"2026-03-01T10:01:00Z\"}\n"); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	c.put("/devices/Hall/7/x.ndjson.gz", packed.String())
	// Complete when it has its name.
	c.put("/readings/late.tmp", `{"device": "l2", "measuredAt": "2026-01-02T00:00:00Z", "values": {"temperature": 5}}`)
	c.put("/readings/after.ndjson", `{"device": "l2", "measuredAt": "2026-01-03T00:00:00Z", "values": {"temperature": 6}}`)
	c.await("/done/readings/after.ndjson")
	if _, err := c.FileSize("/readings/late.tmp"); err != nil {
		t.Errorf("before it is renamed: %v", err)
	}
	if err := c.Rename("/readings/late.tmp", "/readings/late.ndjson"); err != nil {
		t.Fatal(err)
	}
	c.await("/done/readings/late.ndjson")

	for device, want := range map[string][]any{"l1": {1.0, 2.0, 21.5}, "l2": {10.0, 5.0, 6.0, -3.25}, "Hall/7": {7.0, 8.0}} {
		waitFor(t, device, func() bool { return cmp.Equal(want, deviceSamples(t, client, device, "temperature")) })
	}
	c.await("/done/devices/Hall/7/x.ndjson.gz")
	c.await("/failed/templates/logger/2026/march.csv")
	if got := c.get("/failed/templates/logger/2026/march.csv.report.ndjson"); got != `{"line":3,"code":"UNDECODABLE","message":"column Temp (C): \"warm\" is not a number"}
{"line":4,"code":"UNKNOWN_DEVICE","message":"device: there is no device \"nobody\", and devices of template logger do not announce themselves"}
` {
		t.Errorf("the report: %s", got)
	}
	var found fileLetters
	waitFor(t, "the dead letters", func() bool {
		found = ask[fileLetters](t, client, askLetters, nil)
		return len(found.DeadLetters.Nodes) == 2
	})
	for _, letter := range found.DeadLetters.Nodes {
		if letter.Source != "ftp" || letter.Payload == nil || letter.Payload.Template != "logger" {
			t.Errorf("a dead letter: %+v", letter)
		}
	}
	// A row that was refused is tried again when its device is there.
	ask[any](t, client, `mutation { createDevice(input: {reference: "nobody", template: "logger"}) { device { id } } }`, nil)
	replayed := ask[struct {
		ReplayDeadLetters struct{ Accepted, Refused int }
	}](t, client, `mutation { replayDeadLetters(input: {source: "ftp"}) { accepted refused } }`, nil).ReplayDeadLetters
	if replayed.Accepted != 1 || replayed.Refused != 1 {
		t.Errorf("tried again: %+v", replayed)
	}
	waitFor(t, "the row of the device that was not there", func() bool {
		return cmp.Equal([]any{1.0}, deviceSamples(t, client, "nobody", "temperature"))
	})

	// The same name again, the same again: nothing twice. What is wrong as a whole.
	c.put("/readings/after.ndjson", `{"device": "l2", "measuredAt": "2026-01-03T00:00:00Z", "values": {"temperature": 6}}`)
	c.put("/templates/logger/wrong.csv", "Zeit;Station\n10:00;l1\n")
	c.put("/readings/no.gz", "this is not packed")
	c.await("/failed/readings/no.gz")
	if got := c.get("/failed/templates/logger/wrong.csv.report.ndjson"); !strings.HasPrefix(got, `{"line":1,"code":"UNDECODABLE","message":"line 1: there is no column`) {
		t.Errorf("the report: %s", got)
	}
	if done := c.names("/done/readings"); len(done) != 4 {
		t.Errorf("done: %q", done)
	}
	if left := append(c.names("/readings"), c.names("/templates/logger/2026")...); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
	if got := deviceSamples(t, client, "l2", "temperature"); len(got) != 4 {
		t.Errorf("l2: %v", got)
	}
	if err := c.Delete("/failed/readings/no.gz"); err != nil {
		t.Error(err)
	}
}

// TestFTPRefuses what leads out of an account's directory, and what nobody could
// take in.
func TestFTPRefuses(t *testing.T) {
	t.Parallel()
	client, account := newAccount(t)
	ask[any](t, client, makeLogger, nil)
	other, _ := newAccount(t)
	directory := t.TempDir()
	address, _ := serveFiles(t, ftp.Config{Directory: directory, MaxFile: 2000, MaxWaiting: 10_000})
	if err := dialFiles(t, address).Login(account, "hk_"+strings.Repeat("x", 10)); !refuses(err, 530) {
		t.Errorf("a wrong key: %v", err)
	}
	stranger := logIn(t, address, other.key)
	stranger.put("/readings/theirs.tmp", "theirs")
	c := logIn(t, address, client.key)
	if names := c.names("/readings"); len(names) != 0 {
		t.Errorf("another account's: %q", names)
	}
	homes, err := filepath.Glob(filepath.Join(directory, "*", "files"))
	if err != nil || len(homes) != 2 {
		t.Fatalf("homes: %q, %v", homes, err)
	}
	outside := filepath.Join(directory, "outside")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, home := range homes {
		for name, target := range map[string]string{"readings/link.csv": outside, "readings/up": directory, "done/all": "/"} {
			if err := os.Symlink(target, filepath.Join(home, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, path := range []string{"/../../outside", "../../../outside", "/readings/../../../outside", "/readings/link.csv", "/readings/up/outside", "/done/all/etc/hostname", "/../state"} {
		if file, err := c.Retr(path); err == nil {
			t.Errorf("%s can be read", path)
			file.Close()
		}
		if err := c.Stor(path, strings.NewReader("{}")); err == nil && !strings.HasPrefix(path, "/readings/link") {
			t.Errorf("%s can be written", path)
		}
	}
	if text, err := os.ReadFile(outside); err != nil || string(text) != "secret" {
		t.Errorf("outside: %q, %v", text, err)
	}
	for path, code := range map[string]int{
		"/x.ndjson": 553, "/done/x.ndjson": 553, "/templates/x.csv": 553, "/templates/ghost/x.csv": 553, "/devices/ghost/x": 553, "/devices/x": 553,
		"/readings/" + strings.Repeat("x", 200): 553, "/readings/big.ndjson": 552,
	} {
		content := "{}"
		if code == 552 {
			content = strings.Repeat("{}\n", 1000)
		}
		if err := c.Stor(path, strings.NewReader(content)); !refuses(err, code) {
			t.Errorf("%s: %v, want %d", path, err, code)
		}
	}
	for what, do := range map[string]func() error{
		"a folder elsewhere": func() error { return c.MakeDir("/done/x") }, "a folder at the top": func() error { return c.MakeDir("/x") },
		"remove a folder of the inbox": func() error { return c.RemoveDir("/readings") }, "rename a folder": func() error { return c.Rename("/done", "/readings/x") },
		"append": func() error { return c.Append("/readings/x.tmp", strings.NewReader("x")) }, "continue": func() error { return c.StorFrom("/readings/x.tmp", strings.NewReader("x"), 3) },
	} {
		if err := do(); err == nil {
			t.Errorf("%s: it may be done", what)
		}
	}
	// What waits is bounded: two files of 1,000 bytes count for 10,192.
	c.put("/readings/1.tmp", strings.Repeat("x", 1000))
	if err := c.Stor("/readings/2.tmp", strings.NewReader(strings.Repeat("x", 1000))); !refuses(err, 552) {
		t.Errorf("too much: %v", err)
	}
	if err := c.Delete("/readings/1.tmp"); err != nil {
		t.Error(err)
	}
	c.put("/readings/2.tmp", strings.Repeat("x", 1000))
	stranger.put("/readings/theirs.2.tmp", "not more than another's account")

	// A key that is deleted ends in the middle.
	owner, err := holon.stores.graph.AccountByName(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	scope := registry.Scope{Account: owner.ID, AccountName: account}
	keys, err := holon.stores.graph.Keys(t.Context(), scope)
	if err != nil || len(keys) != 1 {
		t.Fatalf("keys: %v, %v", keys, err)
	}
	if err := holon.stores.graph.DeleteKey(t.Context(), scope, keys[0].ID); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the end of the key", func() bool { return c.Stor("/readings/3.ndjson", strings.NewReader("\n")) != nil })
	if names, err := c.NameList("/readings"); err == nil {
		t.Errorf("a deleted key still sees %q", names)
	}
	if file, err := c.Retr("/readings/2.tmp"); err == nil {
		t.Error("a deleted key still reads")
		file.Close()
	}
}

func sorted(names []string) []string {
	for i := range names {
		names[i] = strings.TrimPrefix(names[i], "/")
	}
	slices.Sort(names)
	return names
}
