package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// The files of a building.
const (
	entitiesFile  = "entities.ndjson"
	relationsFile = "relations.ndjson"
)

// entity is one line of the entities: something with its Brick classes.
type entity struct {
	ID    string   `json:"id"`
	Types []string `json:"types"`
	// Kind is location, equipment or point; untyped where there is no class.
	Kind string `json:"kind"`
	line int
}

func (e *entity) number(n int) { e.line = n }

func (e *entity) complete() error {
	if e.ID == "" {
		return errors.New("it has no id")
	}
	return nil
}

// relation is one line of the relations, in the direction of the source.
type relation struct {
	From string `json:"from"`
	Type string `json:"type"`
	To   string `json:"to"`
	line int
}

func (r *relation) number(n int) { r.line = n }

func (r *relation) complete() error {
	if r.From == "" || r.Type == "" || r.To == "" {
		return errors.New("it has no from, no type or no to")
	}
	return nil
}

// record is a line that knows its number and whether all of it is there.
type record[T any] interface {
	*T
	number(int)
	complete() error
}

// readLines reads lines of JSON. What is no such line is a fault and left out.
func readLines[T any, P record[T]](file string, r io.Reader) ([]T, []fault, error) {
	var all []T
	var faults []fault
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var one T
		err := json.Unmarshal(lines.Bytes(), &one)
		if err == nil {
			err = P(&one).complete()
		}
		if err != nil {
			faults = append(faults, fault{file, n, unreadable, err.Error(), "left out"})
			continue
		}
		P(&one).number(n)
		all = append(all, one)
	}
	if err := lines.Err(); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	return all, faults, nil
}

// readBuilding reads both files of a folder, and plans what Holon shall have.
func readBuilding(folder string) (*plan, error) {
	entities, faults, err := readFile[entity](folder, entitiesFile)
	if err != nil {
		return nil, err
	}
	relations, more, err := readFile[relation](folder, relationsFile)
	if err != nil {
		return nil, err
	}
	return makePlan(entities, relations, append(faults, more...)), nil
}

func readFile[T any, P record[T]](folder, name string) ([]T, []fault, error) {
	file, err := os.Open(filepath.Join(folder, name))
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	return readLines[T, P](name, file)
}
