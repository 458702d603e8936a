package devstack

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

const neo4jVersion = "5.26.12"

// pom asks for Neo4j Community as a library; build-classpath then lists every
// jar that it needs at run time.
const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>holon.local</groupId>
  <artifactId>neo4j-server</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.neo4j</groupId>
      <artifactId>neo4j</artifactId>
      <version>` + neo4jVersion + `</version>
    </dependency>
  </dependencies>
</project>
`

func classPathFile(cache string) string {
	return filepath.Join(cache, "neo4j-"+neo4jVersion+".classpath")
}

// cachedClassPath returns the class path that was resolved before, unless a jar
// of it is gone.
func cachedClassPath(cache string) (string, bool) {
	text, err := os.ReadFile(classPathFile(cache))
	if err != nil {
		return "", false
	}
	path := strings.TrimSpace(string(text))
	if path == "" {
		return "", false
	}
	for _, jar := range filepath.SplitList(path) {
		if info, err := os.Stat(jar); err != nil || info.Size() == 0 {
			return "", false
		}
	}
	return path, true
}

// classPath returns Neo4j's class path, from the cache or else from Maven.
func classPath(ctx context.Context, log io.Writer, cache string) (string, error) {
	find := func() (string, bool) { return cachedClassPath(cache) }
	return resolveOnce(ctx, cache, find, func() error {
		folder, err := os.MkdirTemp(cache, "resolve-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(folder)
		if err := os.WriteFile(filepath.Join(folder, "pom.xml"), []byte(pom), 0o644); err != nil {
			return err
		}
		out := filepath.Join(folder, "classpath")
		err = runMaven(ctx, log, "Neo4j "+neo4jVersion+" (116 MB, about 25 s on a fast network)", folder, cache, "build-classpath",
			"-DincludeScope=runtime", "-Dmdep.outputFile="+out)
		if err != nil {
			return err
		}
		// Renamed into place, so that a class path is there whole or not at all.
		if err := os.Rename(out, classPathFile(cache)); err != nil {
			return fmt.Errorf("keep the class path: %w", err)
		}
		return nil
	})
}
