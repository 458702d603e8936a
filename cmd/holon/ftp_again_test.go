package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	ftpclient "github.com/jlaffaye/ftp"

	"github.com/holon-registry/holon/ingest/ftp"
)

// TestFTPGoesOn finds a directory as a process leaves it that was killed: a file
// of which a part was taken, another that only was to be put away, an upload that
// was not complete, and one that was but had not got its name.
func TestFTPGoesOn(t *testing.T) {
	t.Parallel()
	client, account := newAccount(t)
	ask[any](t, client, makeLogger, nil)
	owner, err := holon.stores.graph.AccountByName(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	home := filepath.Join(directory, string(owner.ID))
	write := func(path, content string) {
		t.Helper()
		at := filepath.Join(home, path)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stateOf := func(path, ending string, state map[string]any) {
		t.Helper()
		for key, value := range map[string]any{"path": path, "account": owner.ID, "accountName": account, "receivedAt": "2026-03-02T00:00:00Z"} {
			state[key] = value
		}
		text, err := json.Marshal(state)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(path))
		write("state/"+hex.EncodeToString(sum[:16])+ending, string(text))
	}
	// Lines 2 and 3 were taken, and line 3 reported; the report has a line more, as
	// that of 4 was written before the process was killed.
	const half = "templates/logger/half.csv"
	write("files/"+half, "Zeit;Station;Temp (C);Datum\n10:00;l1;before;01.03.2026\n10:01;l1;before;01.03.2026\n10:02;l1;late;01.03.2026\n10:03;l1;4;01.03.2026\n")
	report := `{"line":3,"code":"UNDECODABLE","message":"before"}` + "\n"
	stateOf(half, ".json", map[string]any{"line": 3, "report": len(report), "refused": 1})
	sum := sha256.Sum256([]byte(half))
	write("state/"+hex.EncodeToString(sum[:16])+".report", report+`{"line":4,"code":"UNDEC`)
	// This one was taken whole.
	write("files/readings/taken.ndjson", "this is not looked at again\n")
	stateOf("readings/taken.ndjson", ".json", map[string]any{"line": 1, "to": "done/readings/taken.ndjson"})
	// These were not acknowledged.
	stateOf("readings/unnamed.ndjson", ".json", map[string]any{})
	stateOf("readings/unnamed.ndjson", ".part", map[string]any{})
	write("state/0123.part", "half a line")
	// Old files go, but not those of others.
	write("files/done/old.ndjson", "old")
	write("files/readings/old.tmp", "old")
	old := time.Now().AddDate(0, 0, -3)
	for _, name := range []string{"files/done/old.ndjson", "files/readings/old.tmp"} {
		if err := os.Chtimes(filepath.Join(home, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	address, stop := serveFiles(t, ftp.Config{Directory: directory})
	c := logIn(t, address, client.key)
	c.await("/failed/" + half)
	c.await("/done/readings/taken.ndjson")
	if got, want := c.get("/failed/"+half+".report.ndjson"), report+`{"line":4,"code":"UNDECODABLE","message":"column Temp (C): \"late\" is not a number"}`+"\n"; got != want {
		t.Errorf("the report: %s", cmp.Diff(want, got))
	}
	waitFor(t, "the reading of the rest", func() bool { return cmp.Equal([]any{4.0}, deviceSamples(t, client, "l1", "temperature")) })
	waitFor(t, "the end of old files", func() bool {
		_, done := os.Stat(filepath.Join(home, "files/done/old.ndjson"))
		_, left := os.Stat(filepath.Join(home, "files/readings/old.tmp"))
		return errors.Is(done, fs.ErrNotExist) && errors.Is(left, fs.ErrNotExist)
	})
	// What waits when the server stops is taken when it runs again.
	stop()
	left, err := os.ReadDir(filepath.Join(home, "state"))
	if err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestFTPBound lets a key that is bound to a device send for that one, and see
// nothing of what others sent.
func TestFTPBound(t *testing.T) {
	t.Parallel()
	client, account := newAccount(t)
	ask[any](t, client, makeLogger, nil)
	address, _ := serveFiles(t, ftp.Config{})
	everybody := logIn(t, address, client.key)
	everybody.put("/readings/all.tmp", "x")
	c := logIn(t, address, clientOf(t, account, "Hall/7").key)
	if names := c.names("/readings"); len(names) != 0 {
		t.Errorf("what others sent: %q", names)
	}
	if err := c.Stor("/devices/l1/x", strings.NewReader("x")); !refuses(err, 553) {
		t.Errorf("for another device: %v", err)
	}
	c.put("/devices/hall/7/own.ndjson", `{"t": 1, "at": "2026-01-01T00:00:00Z"}`)
	c.put("/readings/mixed.ndjson", `{"device": "Hall/7", "measuredAt": "2026-01-01T00:01:00Z", "values": {"temperature": 2}}
{"device": "l1", "measuredAt": "2026-01-01T00:01:00Z", "values": {"temperature": 2}}
`)
	c.await("/failed/readings/mixed.ndjson")
	c.await("/done/devices/hall/7/own.ndjson")
	waitFor(t, "its readings", func() bool { return cmp.Equal([]any{1.0, 2.0}, deviceSamples(t, client, "Hall/7", "temperature")) })
	// What is stored in turn with those of the other device comes after them.
	waitFor(t, "a reading of the other device", func() bool {
		status, _ := sendRaw(t, client, "/v1/readings?ack=stored", "application/json", `{"device": "l1", "measuredAt": "2026-01-01T00:02:00Z", "values": {"temperature": 3}}`)
		return status == http.StatusOK
	})
	if got := ask[fileLetters](t, client, askLetters, nil).DeadLetters.Nodes; len(got) != 0 {
		t.Errorf("dead letters: %+v", got)
	}
	if diff := cmp.Diff([]any{3.0}, deviceSamples(t, client, "l1", "temperature")); diff != "" {
		t.Errorf("of another device: %s", diff)
	}
}

// certificate makes a certificate for 127.0.0.1, as two PEM files.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "127.0.0.1"}, NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	if err := errors.Join(os.WriteFile(certFile, text, 0o600), os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), 0o600)); err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return certFile, keyFile, pool
}

// TestFTPS lets those in only who encrypt.
func TestFTPS(t *testing.T) {
	t.Parallel()
	client, _ := newAccount(t)
	ask[any](t, client, makeLogger, nil)
	cert, key, pool := certificate(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	address, _ := serveFiles(t, ftp.Config{TLS: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, RequireTLS: true})
	if err := dialFiles(t, address).Login("anybody", client.key); err == nil {
		t.Error("somebody is let in who does not encrypt")
	}
	c := dialFiles(t, address, ftpclient.DialWithExplicitTLS(&tls.Config{RootCAs: pool, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}))
	if err := c.Login("anybody", client.key); err != nil {
		t.Fatal(err)
	}
	c.put("/readings/x.ndjson", `{"device": "l1", "measuredAt": "2026-01-01T00:00:00Z", "values": {"temperature": 1}}`)
	c.await("/done/readings/x.ndjson")
	if got := c.get("/done/readings/x.ndjson"); !strings.Contains(got, "l1") {
		t.Errorf("read back: %q", got)
	}
}

// TestFTPSettings opens servers by the settings of a gateway, and refuses those
// that do not make sense.
func TestFTPSettings(t *testing.T) {
	t.Parallel()
	cert, key, _ := certificate(t)
	good := ftpSettings{FTPListen: "127.0.0.1:0", FTPDirectory: t.TempDir(), FTPMaxFile: 1, FTPMaxWaiting: 1}
	metrics := *holon.stores
	metrics.metrics = newMetrics()
	for name, change := range map[string]func(*ftpSettings){
		"nothing to wait with": func(c *ftpSettings) { c.FTPMaxWaiting = 0 }, "half a certificate": func(c *ftpSettings) { c.FTPCert = cert },
		"no certificate": func(c *ftpSettings) { c.FTPCert, c.FTPKey = key, key }, "ports": func(c *ftpSettings) { c.FTPPassivePorts = "50000" },
		"ports the wrong way": func(c *ftpSettings) { c.FTPPassivePorts = "50100-50000" }, "a name": func(c *ftpSettings) { c.FTPPublicHost = "example.com" },
		"days": func(c *ftpSettings) { c.FTPKeepDays = -1 },
	} {
		c := good
		change(&c)
		if _, err := metrics.listenFTP(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if server, err := metrics.listenFTP(ftpSettings{}); server != nil || err != nil {
		t.Errorf("off: %v, %v", server, err)
	}
	good.FTPCert, good.FTPKey, good.FTPRequireTLS, good.FTPPassivePorts, good.FTPPublicHost = cert, key, true, "50000-50100", "127.0.0.1"
	if _, err := metrics.listenFTP(good); err != nil {
		t.Error(err)
	}
}
