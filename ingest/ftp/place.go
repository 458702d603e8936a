package ftp

import (
	"errors"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The folders that clients see.
const (
	readingsFolder  = "readings"
	templatesFolder = "templates"
	devicesFolder   = "devices"
	doneFolder      = "done"
	failedFolder    = "failed"
)

var folders = []string{readingsFolder, templatesFolder, devicesFolder, doneFolder, failedFolder}

// place is where a file was put, which says what it is.
type place struct {
	// path begins with the folder, without a slash: "templates/probe/log.csv".
	path string
	// template or device says whose decoder reads it; neither for readings.
	template, device string
}

var (
	errPlace = errors.New("files go to readings/, templates/TEMPLATE/ or devices/DEVICE/")
	errName  = errors.New("a path is UTF-8 without control characters, has at most 1000 bytes, and 180 a name")
)

// clean makes a path of the protocol one below the root: never above it.
func clean(name string) string {
	return strings.TrimPrefix(path.Clean("/"+name), "/")
}

// inboxOf returns the folder of the inbox that a path lies in or is, or "".
func inboxOf(name string) string {
	first, _, _ := strings.Cut(name, "/")
	switch first {
	case readingsFolder, templatesFolder, devicesFolder:
		return first
	}
	return ""
}

// archived says whether a path lies in done/ or failed/.
func archived(name string) bool {
	first, rest, _ := strings.Cut(name, "/")
	return (first == doneFolder || first == failedFolder) && rest != ""
}

// checkPath refuses paths that are no good.
func checkPath(name string) error {
	if len(name) > 1000 || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) || strings.Contains(name, `\`) {
		return errName
	}
	for part := range strings.SplitSeq(name, "/") {
		if len(part) > 180 {
			return errName
		}
	}
	return nil
}

// placeOf says what a file of a path is.
func placeOf(name string) (place, error) {
	if err := checkPath(name); err != nil {
		return place{}, err
	}
	folder, rest, _ := strings.Cut(name, "/")
	within, file := path.Split(rest)
	within = strings.TrimSuffix(within, "/")
	p := place{path: name}
	switch {
	case file == "":
		return p, errPlace
	case folder == readingsFolder:
	case folder == templatesFolder && within != "":
		p.template, _, _ = strings.Cut(within, "/")
	case folder == devicesFolder && within != "":
		p.device = within
	default:
		return p, errPlace
	}
	return p, nil
}

// unfinished says whether a name is one that clients give to what they rename
// when it is complete.
func unfinished(name string) bool {
	base := path.Base(name)
	return strings.HasPrefix(base, ".") || strings.HasSuffix(base, ".tmp") || strings.HasSuffix(base, ".part") || strings.HasSuffix(base, ".filepart")
}
