package ftp

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/holon-registry/holon/registry"
)

// state is what is remembered of a file that is complete, from before it has its
// name until it lies in done/ or failed/.
type state struct {
	Path string `json:"path"`
	// The key that it was sent with; what that may send for holds for the file.
	Account     registry.ID   `json:"account"`
	AccountName string        `json:"accountName"`
	Key         registry.ID   `json:"key"`
	KeyName     string        `json:"keyName"`
	Devices     []registry.ID `json:"devices,omitempty"`
	ReceivedAt  time.Time     `json:"receivedAt"`
	// Line is the last one that was taken, Report how long the report is with it.
	Line     int   `json:"line"`
	Report   int64 `json:"report"`
	Readings int   `json:"readings"`
	Refused  int   `json:"refused"`
	// Result is "done" or "failed" from when all of the file was read: it is not read
	// again, whatever keeps it from being put away.
	Result string `json:"result,omitempty"`
	// To is where the file goes when it was taken.
	To string `json:"to,omitempty"`
}

// principal is who sent the file.
func (s *state) principal() *registry.Principal {
	return &registry.Principal{
		Scope: registry.Scope{Account: s.Account, AccountName: s.AccountName, Actor: s.Key, ActorName: s.KeyName},
		Key:   registry.APIKey{ID: s.Key, AccountID: s.Account, Name: s.KeyName, DeviceIDs: s.Devices},
	}
}

// stateFile is the path of what is kept for a file, with an ending.
func stateFile(name, ending string) string {
	sum := sha256.Sum256([]byte(name))
	return "state/" + hex.EncodeToString(sum[:16]) + ending
}

const (
	endState  = ".json"
	endPart   = ".part"
	endReport = ".report"
)

// save writes a state, all of it or nothing.
func (s *state) save(root *os.Root) error {
	if err := s.prepare(root); err != nil {
		return err
	}
	return s.commit(root)
}

// prepare writes a state to the disk, where it does not count yet. What may fail
// for want of room fails here, so that it can be done before what is not to be
// done twice.
func (s *state) prepare(root *os.Root) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	name := stateFile(s.Path, endState)
	next, err := root.OpenFile(name+".next", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = next.Write(text)
	return errors.Join(err, next.Sync(), next.Close())
}

// commit lets the state count that was prepared.
func (s *state) commit(root *os.Root) error {
	name := stateFile(s.Path, endState)
	return root.Rename(name+".next", name)
}

// removeIfThere removes a file.
func removeIfThere(root *os.Root, name string) error {
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncFolder brings the names of a folder to the disk.
func syncFolder(root *os.Root, name string) error {
	folder, err := root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// makeFolder makes a folder and those above it that are missing, and brings their
// names to the disk: a file that is synced in a folder that is not is lost with it.
func makeFolder(root *os.Root, name string) error {
	if info, err := root.Stat(name); err == nil && info.IsDir() {
		return nil
	}
	above := path.Dir(name)
	if above != "." {
		if err := makeFolder(root, above); err != nil {
			return err
		}
	}
	if err := root.Mkdir(name, 0o700); err != nil {
		return err
	}
	return syncFolder(root, above)
}
