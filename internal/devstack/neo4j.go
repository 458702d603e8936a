package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const neo4jUser = "neo4j"

// neo4jServer is a Neo4j whose home is the folder neo4j of the data directory.
type neo4jServer struct {
	o        Options
	home     string
	port     int
	password string // "" with NoAuth
	java     jvm
	jars     string
	process  *Process
}

func newNeo4j(o Options) *neo4jServer {
	n := &neo4jServer{o: o, home: filepath.Join(o.Dir, "neo4j"), port: o.Neo4jPort}
	n.process = &Process{
		name:    "Neo4j",
		logPath: filepath.Join(n.home, "neo4j.log"),
		command: n.command,
		answers: n.answers,
		grace:   30 * time.Second,
	}
	return n
}

func (n *neo4jServer) uri() string      { return "bolt://" + address(n.port) }
func (n *neo4jServer) argsFile() string { return filepath.Join(n.home, "conf", "java.args") }

func (n *neo4jServer) start(ctx context.Context) error {
	begin := time.Now()
	if err := n.prepare(ctx); err != nil {
		return fmt.Errorf("start Neo4j: %w", err)
	}
	resolved := time.Now()
	for try := 1; ; try++ {
		if err := n.configure(); err != nil {
			return fmt.Errorf("start Neo4j: %w", err)
		}
		err := n.process.startPatiently(ctx, lockHeld)
		var ended *endedError
		switch {
		case err == nil:
			fmt.Fprintf(n.o.Log, "Neo4j %s answers on %s after %.1f s\n", neo4jVersion, n.uri(), time.Since(resolved).Seconds())
			return nil
		case !errors.As(err, &ended):
			return err
		case lockHeld(ended):
			return fmt.Errorf("%s is used by another Neo4j, after waiting %.0f s for it: %w", n.home, time.Since(begin).Seconds(), err)
		case portTaken(ended) && n.o.Neo4jPort != 0:
			return errors.Join(portInUse("Neo4j", n.port), err)
		case portTaken(ended) && try < portTries:
			fmt.Fprintf(n.o.Log, "port %d was taken meanwhile, trying another for Neo4j\n", n.port)
		default:
			return err
		}
	}
}

// prepare finds the JVM and the jars, and makes the folders and the password.
func (n *neo4jServer) prepare(ctx context.Context) error {
	var err error
	if n.java, err = findJava(ctx); err != nil {
		return fmt.Errorf("%w: %s", err, javaRemedy)
	}
	if n.jars, err = classPath(ctx, n.o.Log, cacheDir(n.o.Dir)); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(n.home, "conf"), 0o700); err != nil {
		return err
	}
	if n.o.NoAuth {
		return nil
	}
	n.password, err = n.ensurePassword(ctx)
	return err
}

// configure takes a free port unless one was given and writes the settings.
func (n *neo4jServer) configure() error {
	if n.o.Neo4jPort == 0 {
		port, err := freePort()
		if err != nil {
			return err
		}
		n.port = port
	}
	if err := os.WriteFile(filepath.Join(n.home, "conf", "neo4j.conf"), []byte(n.settings()), 0o600); err != nil {
		return err
	}
	return os.WriteFile(n.argsFile(), javaArgs(n.arguments()...), 0o600)
}

// settings is neo4j.conf. No transaction timeout is set: whoever opens a
// transaction gives it one, on every Neo4j and not only on this.
func (n *neo4jServer) settings() string {
	text := fmt.Sprintf(`# Written at every start; changes made here are lost.
server.default_listen_address=127.0.0.1
server.default_advertised_address=127.0.0.1
server.bolt.listen_address=%[1]s
server.http.enabled=false
server.https.enabled=false
dbms.usage_report.enabled=false
dbms.security.auth_enabled=%[2]t
server.memory.heap.initial_size=%[3]dm
server.memory.heap.max_size=%[3]dm
server.memory.pagecache.size=%[4]dm
# Rules and user-defined relations make many query texts; the default is 1000.
server.memory.query_cache.per_db_cache_num_entries=5000
# Small files: this is not a server that is backed up.
db.tx_log.rotation.retention_policy=keep_none
db.tx_log.rotation.size=64m
db.logs.query.enabled=OFF
server.logs.debug.enabled=false
# Bolt otherwise waits 10 s for silence when it is stopped.
internal.dbms.bolt.netty_server_shutdown_quiet_period=0
`, address(n.port), !n.o.NoAuth, n.o.HeapMB, n.o.PageCacheMB)
	if n.o.Life != Lasting {
		text += `# Plans stay as they are, however much comes in.
dbms.cypher.min_replan_interval=24h
dbms.cypher.statistics_divergence_threshold=1.0
`
	}
	return text
}

// arguments are those of the JVM. The opened packages are what Neo4j's page
// cache and network code reach into; the rest is what its own scripts set.
func (n *neo4jServer) arguments() []string {
	return append(n.effort(),
		fmt.Sprintf("-Xms%dm", n.o.HeapMB),
		fmt.Sprintf("-Xmx%dm", n.o.HeapMB),
		"-XX:-OmitStackTraceInFastThrow",
		"-XX:+DisableExplicitGC",
		"-Djdk.nio.maxCachedBufferSize=1024",
		"-Dio.netty.tryReflectionSetAccessible=true",
		"-Dfile.encoding=UTF-8",
		"--add-opens=java.base/java.nio=ALL-UNNAMED",
		"--add-opens=java.base/java.io=ALL-UNNAMED",
		"--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
		"--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
		"-classpath", n.jars,
		"org.neo4j.server.CommunityEntryPoint",
		"--home-dir="+n.home,
		"--config-dir="+filepath.Join(n.home, "conf"),
		"--console-mode", // its log to standard output, which is neo4j.log
	)
}

// effort is how much the JVM does beside the work. The optimizing compiler and
// the concurrent collector take more than half of the processor time of the
// first minutes, and return it only afterwards.
func (n *neo4jServer) effort() []string {
	switch n.o.Life {
	case Brief:
		return []string{"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"}
	case Passing:
		return []string{"-XX:+UseSerialGC"}
	}
	return []string{"-XX:+UseG1GC"}
}

func (n *neo4jServer) command() *exec.Cmd {
	cmd := exec.Command(n.java.path, "@"+n.argsFile())
	cmd.Dir = n.home
	return cmd
}

// answers waits for Neo4j's own word that it started before it asks the port:
// something else may have taken the port and speak Bolt as well.
func (n *neo4jServer) answers(_ int, output string) error {
	if !strings.Contains(output, "Started.") {
		return errors.New("it has not logged that it started")
	}
	return boltAnswers(address(n.port))
}

// boltAnswers does Bolt's handshake: the magic number and four proposals, here
// 5.0 to 5.8 and 4.4; the answer is the version chosen, or zero for none.
func boltAnswers(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	hello := []byte{0x60, 0x60, 0xB0, 0x17, 0, 8, 8, 5, 0, 0, 4, 4, 0, 0, 0, 0, 0, 0, 0, 0}
	if _, err := conn.Write(hello); err != nil {
		return err
	}
	var version [4]byte
	if _, err := io.ReadFull(conn, version[:]); err != nil {
		return fmt.Errorf("bolt handshake: %w", err)
	}
	if version == [4]byte{} {
		return errors.New("bolt handshake: no version in common")
	}
	return nil
}
