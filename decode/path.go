package decode

import (
	"errors"
	"strconv"
	"strings"
)

// path leads into a JSON document: keys with dots between them, places of lists
// in brackets, from the end if negative, as in "data.sensors[0].value". A
// backslash takes the meaning off what follows. A path that begins with "$"
// starts at the document, any other at the frame. There are no wildcards and no
// filters, so following a path takes as long as the path is.
type path struct {
	text  string
	whole bool
	steps []step
}

// step is a key, or a place in a list.
type step struct {
	key   string
	index int
	list  bool
}

// maxSteps bounds the length of a path.
const maxSteps = 32

var errPath = errors.New(`is a path such as data.temperature or data.sensors[0].value: keys with dots between them, and \ before a dot or a bracket that is part of a key`)

func parsePath(text string) (path, error) {
	p := path{text: text}
	rest := text
	if rest == "$" || strings.HasPrefix(rest, "$.") || strings.HasPrefix(rest, "$[") {
		p.whole, rest = true, rest[1:]
		rest = strings.TrimPrefix(rest, ".")
		if rest == "" {
			if text == "$" {
				return p, nil
			}
			return p, errPath
		}
	}
	for first := true; rest != "" || first; first = false {
		var s step
		var err error
		if strings.HasPrefix(rest, "[") {
			s, rest, err = indexStep(rest)
		} else {
			s, rest, err = keyStep(rest)
		}
		if err != nil || len(p.steps) == maxSteps {
			return p, errPath
		}
		p.steps = append(p.steps, s)
		switch {
		case rest == "", rest[0] == '[':
		case rest[0] == '.' && len(rest) > 1 && rest[1] != '[':
			rest = rest[1:]
		default:
			return p, errPath
		}
	}
	return p, nil
}

func indexStep(text string) (s step, rest string, err error) {
	inside, rest, found := strings.Cut(text[1:], "]")
	index, err := strconv.Atoi(inside)
	if !found || err != nil {
		return s, "", errPath
	}
	return step{index: index, list: true}, rest, nil
}

// keyStep reads a key, up to a dot or a bracket.
func keyStep(text string) (s step, rest string, err error) {
	var key []byte
	i := 0
	for ; i < len(text) && text[i] != '.' && text[i] != '['; i++ {
		if text[i] == '\\' {
			if i++; i == len(text) {
				return s, "", errPath
			}
		}
		key = append(key, text[i])
	}
	if len(key) == 0 {
		return s, "", errPath
	}
	return step{key: string(key)}, text[i:], nil
}

// follow goes along the path; false if it leads nowhere.
func (p path) follow(document, frame any) (any, bool) {
	at := frame
	if p.whole {
		at = document
	}
	for _, s := range p.steps {
		if s.list {
			list, ok := at.([]any)
			i := s.index
			if i < 0 {
				i += len(list)
			}
			if !ok || i < 0 || i >= len(list) {
				return nil, false
			}
			at = list[i]
			continue
		}
		object, ok := at.(map[string]any)
		if !ok {
			return nil, false
		}
		if at, ok = object[s.key]; !ok {
			return nil, false
		}
	}
	return at, at != nil
}

// pathOption reads a path; false if there is none, or a wrong one.
func (o *options) pathOption(name string) (path, bool) {
	text := o.text(name)
	if text == "" {
		return path{}, false
	}
	p, err := parsePath(text)
	if err != nil {
		o.refuse(name, "format", "%s", err)
		return path{}, false
	}
	return p, true
}
