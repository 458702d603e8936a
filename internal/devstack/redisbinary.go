package devstack

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

const (
	redisArtifact        = "com.github.codemonstur:embedded-redis:"
	redisArtifactVersion = "1.4.3"
	redisRemedy          = "install redis-server 6.2 or later and put it on the PATH"
)

// embeddedRedis names the real Redis programs inside the artifact.
var embeddedRedis = map[string]string{
	"linux/amd64":  "redis-server-6.2.6-v5-linux-amd64",
	"linux/arm64":  "redis-server-6.2.7-linux-arm64",
	"darwin/amd64": "redis-server-6.2.6-v5-darwin-amd64",
	"darwin/arm64": "redis-server-6.2.6-v5-darwin-arm64",
}

// redisBinary is a redis-server that runs on this machine.
type redisBinary struct {
	path, version string
	major         int
}

var redisVersion = regexp.MustCompile(`\bv=((\d+)\.(\d+)\S*)`)

// findRedis returns the redis-server of the PATH, or else the one unpacked
// before, or else unpacks the one that Maven fetches.
func findRedis(ctx context.Context, log io.Writer, cache string) (redisBinary, error) {
	if path, err := exec.LookPath("redis-server"); err == nil {
		return examineRedis(ctx, path)
	}
	entry, ok := embeddedRedis[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		return redisBinary{}, fmt.Errorf("no redis-server on the PATH and none to unpack for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	unpacked := filepath.Join(cache, entry)
	find := func() (string, bool) {
		_, err := os.Stat(unpacked)
		return unpacked, err == nil
	}
	path, err := resolveOnce(ctx, cache, find, func() error { return fetchRedis(ctx, log, cache, entry) })
	if err != nil {
		return redisBinary{}, fmt.Errorf("no redis-server on the PATH: %w", err)
	}
	return examineRedis(ctx, path)
}

// examineRedis runs the program for its version, which also finds out whether
// the libraries that it needs are there.
func examineRedis(ctx context.Context, path string) (redisBinary, error) {
	out, err := exec.CommandContext(ctx, path, "--version").CombinedOutput()
	if err != nil {
		return redisBinary{}, fmt.Errorf("%s does not run here: %w, %s", path, err, strings.TrimSpace(string(out)))
	}
	found := redisVersion.FindStringSubmatch(string(out))
	if found == nil {
		return redisBinary{}, fmt.Errorf("%s does not say its version", path)
	}
	major, _ := strconv.Atoi(found[2])
	minor, _ := strconv.Atoi(found[3])
	if major < 6 || major == 6 && minor < 2 {
		return redisBinary{}, fmt.Errorf("%s is Redis %s, and Holon needs 6.2 or later", path, found[1])
	}
	return redisBinary{path, found[1], major}, nil
}

// fetchRedis lets Maven fetch the artifact and unpacks one program of it.
func fetchRedis(ctx context.Context, log io.Writer, cache, entry string) error {
	folder, err := os.MkdirTemp(cache, "resolve-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	err = runMaven(ctx, log, "Redis (12 MB)", folder, cache, "copy",
		"-Dartifact="+redisArtifact+redisArtifactVersion, "-DoutputDirectory="+folder)
	if err != nil {
		return err
	}
	jar, err := zip.OpenReader(filepath.Join(folder, "embedded-redis-"+redisArtifactVersion+".jar"))
	if err != nil {
		return fmt.Errorf("unpack Redis: %w", err)
	}
	defer jar.Close()
	program, err := jar.Open(entry)
	if err != nil {
		return fmt.Errorf("unpack Redis: %w", err)
	}
	defer program.Close()
	unpacked := filepath.Join(folder, entry)
	f, err := os.OpenFile(unpacked, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, program); err != nil {
		f.Close()
		return fmt.Errorf("unpack Redis: %w", err)
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(unpacked, filepath.Join(cache, entry))
}
