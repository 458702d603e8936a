package devstack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// redisServer is a Redis whose data are in the folder redis of the data directory.
type redisServer struct {
	o       Options
	home    string
	port    int
	binary  redisBinary
	process *Process
}

func newRedis(o Options) *redisServer {
	r := &redisServer{o: o, home: filepath.Join(o.Dir, "redis"), port: o.RedisPort}
	r.process = &Process{
		name:    "Redis",
		logPath: filepath.Join(r.home, "redis.log"),
		command: r.command,
		answers: r.answers,
		grace:   10 * time.Second,
	}
	return r
}

func (r *redisServer) url() string { return "redis://" + address(r.port) }

func (r *redisServer) start(ctx context.Context) error {
	if err := r.prepare(ctx); err != nil {
		return fmt.Errorf("start Redis: %w", err)
	}
	begin := time.Now()
	for try := 1; ; try++ {
		if err := r.configure(); err != nil {
			return fmt.Errorf("start Redis: %w", err)
		}
		err := r.process.start(ctx)
		var ended *endedError
		switch {
		case err == nil:
			fmt.Fprintf(r.o.Log, "Redis %s answers on %s after %.1f s\n", r.binary.version, r.url(), time.Since(begin).Seconds())
			return nil
		case !errors.As(err, &ended) || !portTaken(ended):
			return err
		case r.o.RedisPort != 0:
			return errors.Join(portInUse("Redis", r.port), err)
		case try < portTries:
			fmt.Fprintf(r.o.Log, "port %d was taken meanwhile, trying another for Redis\n", r.port)
		default:
			return err
		}
	}
}

func (r *redisServer) prepare(ctx context.Context) error {
	if err := os.MkdirAll(r.home, 0o700); err != nil {
		return err
	}
	var err error
	if r.binary, err = findRedis(ctx, r.o.Log, cacheDir(r.o.Dir)); err != nil {
		return fmt.Errorf("%w: %s", err, redisRemedy)
	}
	// Redis 7 keeps its append-only files in a folder that Redis 6 does not look
	// into: it would start empty, as if nothing had ever been stored.
	if _, err := os.Stat(filepath.Join(r.home, "appendonlydir")); err == nil && r.binary.major < 7 {
		return fmt.Errorf("the data in %s were written by Redis 7 or later, and %s is Redis %s: put the newer redis-server on the PATH, or reset the data",
			r.home, r.binary.path, r.binary.version)
	}
	return nil
}

// configure takes a free port unless one was given and writes redis.conf.
func (r *redisServer) configure() error {
	if r.o.RedisPort == 0 {
		port, err := freePort()
		if err != nil {
			return err
		}
		r.port = port
	}
	// The folder is the process's working directory, so no path needs quoting.
	settings := fmt.Sprintf(`# Written at every start; changes made here are lost.
bind 127.0.0.1
port %d
dir ./
daemonize no
logfile ""
# Redis is also the queue of accepted readings: nothing of it may be evicted, and
# all that it has answered is on the disk.
appendonly yes
appendfsync always
save ""
maxmemory-policy noeviction
`, r.port)
	return os.WriteFile(filepath.Join(r.home, "redis.conf"), []byte(settings), 0o600)
}

func (r *redisServer) command() *exec.Cmd {
	cmd := exec.Command(r.binary.path, "redis.conf")
	cmd.Dir = r.home
	return cmd
}

// answers pings, which fails while the data are being loaded, and then asks for
// the process id: the port may have been taken by another Redis.
func (r *redisServer) answers(pid int, _ string) error {
	conn, err := net.DialTimeout("tcp", address(r.port), time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, "PING\r\nINFO server\r\n"); err != nil {
		return err
	}
	in := bufio.NewReader(conn)
	pong, err := in.ReadString('\n')
	if err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	if pong != "+PONG\r\n" {
		return fmt.Errorf("ping: %s", strings.TrimSpace(pong))
	}
	head, err := in.ReadString('\n')
	if err != nil {
		return fmt.Errorf("info: %w", err)
	}
	size, err := strconv.Atoi(strings.Trim(head, "$\r\n"))
	if err != nil {
		return fmt.Errorf("info: %s", strings.TrimSpace(head))
	}
	info := make([]byte, size)
	if _, err := io.ReadFull(in, info); err != nil {
		return fmt.Errorf("info: %w", err)
	}
	if !strings.Contains(string(info), fmt.Sprintf("\nprocess_id:%d\r\n", pid)) {
		return errors.New("another Redis answers on that port")
	}
	return nil
}
