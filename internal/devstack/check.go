package devstack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

const memoryRemedy = "free some memory, or give Neo4j a smaller heap or page cache"

// Finding is the result of looking at one thing that local stores need.
type Finding struct {
	// Name is what was looked at: "java", "neo4j", "redis", "memory" or "directory".
	Name string
	// Found describes what is there, for example "Java 17.0.15, /usr/bin/java".
	Found string
	// Problem says what is wrong, and is empty when all is well; Remedy then
	// says what to do about it.
	Problem, Remedy string
}

// Check looks at everything that Start needs on this machine and changes
// nothing but making missing folders. It starts no store.
func Check(ctx context.Context, o Options) ([]Finding, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	cache := cacheDir(o.Dir)
	return []Finding{
		checkJava(ctx),
		checkNeo4j(cache),
		checkRedis(ctx, cache),
		checkMemory(o),
		checkDirectory(o.Dir),
	}, nil
}

func checkJava(ctx context.Context) Finding {
	java, err := findJava(ctx)
	if err != nil {
		return Finding{Name: "java", Problem: err.Error(), Remedy: javaRemedy}
	}
	return Finding{Name: "java", Found: fmt.Sprintf("Java %s, %s", java.version, java.path)}
}

func checkNeo4j(cache string) Finding {
	f := Finding{Name: "neo4j"}
	path, ok := cachedClassPath(cache)
	if ok {
		f.Found = fmt.Sprintf("Neo4j %s, %d jars resolved before (%s)", neo4jVersion, len(filepath.SplitList(path)), classPathFile(cache))
		return f
	}
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		f.Problem, f.Remedy = fmt.Sprintf("Neo4j %s was not fetched yet and Maven is missing: %v", neo4jVersion, err), mavenRemedy
		return f
	}
	f.Found = fmt.Sprintf("Neo4j %s will be fetched by Maven, %s", neo4jVersion, mvn)
	return f
}

func checkRedis(ctx context.Context, cache string) Finding {
	f := Finding{Name: "redis"}
	path, err := exec.LookPath("redis-server")
	if err != nil {
		entry, ok := embeddedRedis[runtime.GOOS+"/"+runtime.GOARCH]
		path = filepath.Join(cache, entry)
		_, notUnpacked := os.Stat(path)
		mvn, noMaven := exec.LookPath("mvn")
		switch {
		case !ok || notUnpacked != nil && noMaven != nil:
			f.Problem, f.Remedy = "no redis-server on the PATH, and none can be fetched", redisRemedy
			return f
		case notUnpacked != nil:
			f.Found = "no redis-server on the PATH; one will be fetched by Maven, " + mvn
			return f
		}
	}
	redis, err := examineRedis(ctx, path)
	if err != nil {
		f.Problem, f.Remedy = err.Error(), redisRemedy
		return f
	}
	f.Found = fmt.Sprintf("Redis %s, %s", redis.version, redis.path)
	return f
}

func checkMemory(o Options) Finding {
	f := Finding{Name: "memory", Problem: memoryProblem(o)}
	if f.Problem != "" {
		f.Remedy = memoryRemedy
		return f
	}
	free, err := freeMemoryMB()
	if err != nil {
		f.Found = err.Error()
		return f
	}
	f.Found = fmt.Sprintf("%d MiB free, %d MiB needed", free, o.memoryMB())
	return f
}

// memoryProblem says that too little memory is free, where that can be known.
func memoryProblem(o Options) string {
	free, err := freeMemoryMB()
	if err != nil || free >= o.memoryMB() {
		return ""
	}
	return fmt.Sprintf("%d MiB of memory are free and the local stores need %d", free, o.memoryMB())
}

func checkDirectory(dir string) Finding {
	if err := writable(dir); err != nil {
		return Finding{Name: "directory", Problem: err.Error(), Remedy: "choose a data directory that this user can write"}
	}
	return Finding{Name: "directory", Found: dir}
}
