package devstack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// passwordFile is beside the data folder, so that a reset leaves it and clients
// that were set up with it still work.
func (n *neo4jServer) passwordFile() string { return filepath.Join(n.o.Dir, "neo4j.password") }

// ensurePassword returns the password of this data directory. Neo4j takes an
// initial password only before its first start; afterwards it is what it was.
func (n *neo4jServer) ensurePassword(ctx context.Context) (string, error) {
	kept, err := os.ReadFile(n.passwordFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the kept password: %w", err)
	}
	known, wanted := string(kept), n.o.Neo4jPassword
	switch _, err := os.Stat(n.systemData()); {
	case err == nil && known == "":
		return "", fmt.Errorf("the data in %s were made without a password: start without authentication, or reset them", n.home)
	case err == nil && wanted != "" && wanted != known:
		return "", fmt.Errorf("the data in %s were made with another password (see %s): give that one, or reset them", n.home, n.passwordFile())
	case err == nil:
		return known, nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	if wanted == "" {
		wanted = known
	}
	if wanted == "" {
		wanted = rand.Text()
	}
	if err := n.setInitialPassword(ctx, wanted); err != nil {
		return "", err
	}
	if err := os.WriteFile(n.passwordFile(), []byte(wanted), 0o600); err != nil {
		return "", fmt.Errorf("keep the password: %w", err)
	}
	return wanted, nil
}

// systemData is the folder that Neo4j makes at its first start.
func (n *neo4jServer) systemData() string {
	return filepath.Join(n.home, "data", "databases", "system")
}

// setInitialPassword runs what `neo4j-admin dbms set-initial-password` runs. The
// password goes through a file that only this user can read, not through the
// process list.
func (n *neo4jServer) setInitialPassword(ctx context.Context, password string) error {
	if len(password) < 8 || strings.ContainsAny(password, "\r\n\x00") {
		return errors.New("a Neo4j password needs 8 characters or more, on one line")
	}
	// What an interrupted first start left would be refused as already set.
	if err := os.Remove(filepath.Join(n.home, "data", "dbms", "auth.ini")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	args := filepath.Join(n.home, "conf", "password.args")
	defer os.Remove(args)
	err := os.WriteFile(args, javaArgs(
		"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-classpath", n.jars,
		"org.neo4j.cli.AdminTool", "dbms", "set-initial-password", "--", password), 0o600)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, n.java.path, "@"+args)
	cmd.Dir = n.home
	cmd.Env = append(os.Environ(), "NEO4J_HOME="+n.home, "NEO4J_CONF="+filepath.Join(n.home, "conf"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("set Neo4j's initial password: %w\n%s", err, lastLines(string(out)))
	}
	return nil
}
