package devstack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

const (
	minJava     = 17
	javaRemedy  = "install a JDK 17 or 21 and put java on the PATH or set JAVA_HOME"
	mavenRemedy = "install Maven 3.6 or later and put mvn on the PATH; it is needed only for the first start"
)

// jvm is a Java virtual machine found on this machine.
type jvm struct {
	path    string // of the java program
	version string // for example "17.0.15"
}

var javaVersion = regexp.MustCompile(`version "((?:1\.)?(\d+)[^"]*)"`)

// findJava returns the JVM of JAVA_HOME or else of the PATH, if Neo4j can run on it.
func findJava(ctx context.Context) (jvm, error) {
	path, err := javaPath()
	if err != nil {
		return jvm{}, fmt.Errorf("no Java found: %w", err)
	}
	out, err := exec.CommandContext(ctx, path, "-version").CombinedOutput()
	if err != nil {
		return jvm{}, fmt.Errorf("%s -version failed: %w, %s", path, err, strings.TrimSpace(string(out)))
	}
	found := javaVersion.FindStringSubmatch(string(out))
	if found == nil {
		return jvm{}, fmt.Errorf("%s does not say its version", path)
	}
	if major, err := strconv.Atoi(found[2]); err != nil || major < minJava {
		return jvm{}, fmt.Errorf("%s is Java %s, and Neo4j needs %d or later", path, found[1], minJava)
	}
	return jvm{path, found[1]}, nil
}

func javaPath() (string, error) {
	if home := os.Getenv("JAVA_HOME"); home != "" {
		path, err := exec.LookPath(filepath.Join(home, "bin", "java"))
		if err != nil {
			return "", fmt.Errorf("JAVA_HOME=%s: %w", home, err)
		}
		return path, nil
	}
	return exec.LookPath("java")
}

// javaArgs writes arguments in the form of a file that java reads as @file. A
// class path of 200 jars stays out of the process list that way, and a password too.
func javaArgs(args ...string) []byte {
	var text strings.Builder
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	for _, arg := range args {
		fmt.Fprintf(&text, "\"%s\"\n", escape.Replace(arg))
	}
	return []byte(text.String())
}
