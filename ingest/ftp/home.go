package ftp

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/holon-registry/holon/registry"
)

// home is the directory of an account, or of a key that is bound to devices: such
// a key sees nothing of what others have sent.
type home struct {
	name  string
	root  *os.Root
	quota *quota
	// wake is told when there is a file to take.
	wake chan struct{}
	// users counts the sessions and uploads that need it, begun says that its files
	// are being taken in; the server's lock is theirs. gone is closed with it.
	users int
	begun bool
	gone  chan struct{}

	mu sync.Mutex
	// uploading has the paths that are being sent, sizes those of complete files in
	// the inbox, and waiting those that are to be taken, in the order in which they
	// were completed.
	uploading map[string]bool
	sizes     map[string]int64
	waiting   []*state
	// lost are complete files of which it is not known who sent them.
	lost []string
}

// quota bounds what waits of one account.
type quota struct {
	most int64
	// turn is held by the home that takes a file in: the keys that are bound to
	// devices have one each, and together no more turns than any other account.
	turn chan struct{}
	mu   sync.Mutex
	used int64
}

// errFull says that an account has too much waiting.
var errFull = errors.New("too much of this account is waiting to be taken in: send it again later")

// take takes bytes of the quota.
func (q *quota) take(n int64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n > 0 && q.used+n > q.most {
		return errFull
	}
	q.used += n
	return nil
}

func (q *quota) waiting() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.used
}

// fileCost is what a file counts for besides its bytes, so that empty ones are not
// without number.
const fileCost = 4 << 10

// homeName is the name of the directory of a principal.
func homeName(p *registry.Principal) string {
	if p.Bound() {
		return string(p.Account) + "." + string(p.Key.ID)
	}
	return string(p.Account)
}

// accountIn is the account in the name of a home.
func accountIn(name string) string {
	account, _, _ := strings.Cut(name, ".")
	return account
}

// openHome opens a home, makes what it lacks, and finds what is left to be done.
func openHome(directory, name string, q *quota) (*home, error) {
	at := filepath.Join(directory, name)
	if err := makeHome(directory, name); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(at)
	if err != nil {
		return nil, err
	}
	h := &home{name: name, root: root, quota: q, wake: make(chan struct{}, 1), gone: make(chan struct{}), uploading: map[string]bool{}, sizes: map[string]int64{}}
	if err := h.recover(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", at, err), root.Close())
	}
	return h, nil
}

// makeHome makes what a home lacks, and brings it to the disk.
func makeHome(directory, name string) error {
	root, err := os.OpenRoot(directory)
	if err != nil {
		return err
	}
	err = makeFolder(root, name+"/state")
	for _, folder := range folders {
		if err == nil {
			err = makeFolder(root, name+"/files/"+folder)
		}
	}
	return errors.Join(err, root.Close())
}

// recover finds the files that wait. Uploads that were under way when the process
// ended were not acknowledged: nothing stays of them.
func (h *home) recover() error {
	for _, folder := range []string{readingsFolder, templatesFolder, devicesFolder} {
		err := h.walk(folder, func(name string, info fs.FileInfo) error {
			h.sizes[name] = info.Size()
			h.quota.mu.Lock()
			defer h.quota.mu.Unlock()
			h.quota.used += info.Size() + fileCost // whatever the bound is by now
			return nil
		})
		if err != nil {
			return err
		}
	}
	entries, err := fs.ReadDir(h.root.FS(), "state")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := "state/" + entry.Name()
		switch path.Ext(name) {
		case endState:
			if err := h.recoverState(name); err != nil {
				return err
			}
		case endPart, ".next":
			if err := removeIfThere(h.root, name); err != nil {
				return err
			}
		}
	}
	known := map[string]bool{}
	for _, s := range h.waiting {
		known[s.Path] = true
	}
	for name := range h.sizes {
		if !known[name] && !unfinished(name) {
			h.lost = append(h.lost, name)
		}
	}
	slices.SortStableFunc(h.waiting, func(a, b *state) int { return a.ReceivedAt.Compare(b.ReceivedAt) })
	h.nudge()
	return nil
}

func (h *home) recoverState(name string) error {
	text, err := h.root.ReadFile(name)
	if err != nil {
		return err
	}
	s := &state{}
	if err := json.Unmarshal(text, s); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	_, there := h.sizes[s.Path]
	if !there && s.To == "" {
		return removeIfThere(h.root, name) // it never got its name
	}
	if !there {
		// The file was moved already. Its name is not free before its state is gone:
		// another file would be put away in its place.
		h.sizes[s.Path] = 0
		h.quota.mu.Lock()
		h.quota.used += fileCost
		h.quota.mu.Unlock()
	}
	h.waiting = append(h.waiting, s)
	return nil
}

// walk calls with every file below a folder that clients see.
func (h *home) walk(folder string, each func(name string, info fs.FileInfo) error) error {
	return fs.WalkDir(h.root.FS(), "files/"+folder, func(name string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it is gone meanwhile
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return each(strings.TrimPrefix(name, "files/"), info)
	})
}

// begin reserves a path for an upload.
func (h *home) begin(name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, there := h.sizes[name]; h.uploading[name] || there && !unfinished(name) {
		return errThere(name)
	}
	if err := h.quota.take(fileCost); err != nil {
		return err
	}
	h.uploading[name] = true
	return nil
}

// end frees a path whose upload has ended, and what it took of the quota.
func (h *home) end(name string, size int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.uploading, name)
	_ = h.quota.take(-size - fileCost) // giving back never fails
}

// complete gives a complete upload its name. From then on it is taken in, whatever
// is killed, unless its name says that it is to be renamed.
func (h *home) complete(part, name string, size int64, by *registry.Principal, now time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.completeLocked(part, name, size, by, now)
}

// errThere is what is told of a name that a file has which waits.
func errThere(name string) error {
	return fmt.Errorf("%s is there already, and not taken in yet", path.Base(name))
}

func (h *home) completeLocked(part, name string, size int64, by *registry.Principal, now time.Time) error {
	before, there := h.sizes[name]
	if there && !unfinished(name) {
		return errThere(name)
	}
	var s *state
	if !unfinished(name) {
		s = &state{
			Path: name, Account: by.Account, AccountName: by.AccountName, Key: by.Key.ID, KeyName: by.Key.Name, Devices: by.Key.DeviceIDs, ReceivedAt: now.UTC(),
		}
		// On the disk before the file has its name: a file without is nobody's.
		err := s.save(h.root)
		if err == nil {
			err = syncFolder(h.root, "state")
		}
		if err != nil {
			return err
		}
	}
	if err := h.nameIt(part, name); err != nil {
		if s != nil {
			err = errors.Join(err, removeIfThere(h.root, stateFile(name, endState)))
		}
		return err
	}
	if there { // one that was to be renamed
		_ = h.quota.take(-before - fileCost) // giving back never fails
	}
	delete(h.uploading, name)
	h.sizes[name] = size
	if s != nil {
		h.waiting = append(h.waiting, s)
		h.nudge()
	}
	return nil
}

// nameIt moves a file of which all is on the disk to its name, and brings that to
// the disk as well. If it fails the file is where it was.
func (h *home) nameIt(part, name string) error {
	to := "files/" + name
	if err := makeFolder(h.root, path.Dir(to)); err != nil {
		return err
	}
	if err := h.root.Rename(part, to); err != nil {
		return err
	}
	if err := syncFolder(h.root, path.Dir(to)); err != nil {
		return errors.Join(err, h.root.Rename(to, part))
	}
	return nil
}

// finish gives a file that was sent under another name its own.
func (h *home) finish(from, to string, by *registry.Principal, now time.Time) error {
	// All of it under the lock: two files that get one name at once would be one.
	h.mu.Lock()
	defer h.mu.Unlock()
	size, there := h.sizes[from]
	if !there || h.uploading[from] || h.uploading[to] || !unfinished(from) {
		return fs.ErrPermission
	}
	if _, taken := h.sizes[to]; taken {
		return errThere(to)
	}
	if err := h.completeLocked("files/"+from, to, size, by, now); err != nil {
		return err
	}
	delete(h.sizes, from)
	return nil
}

// makeFolder makes a folder that clients see.
func (h *home) makeFolder(name string) error {
	h.mu.Lock() // whoever finds it there finds it on the disk
	defer h.mu.Unlock()
	return makeFolder(h.root, "files/"+name)
}

// next is the file that waits longest; nil if there is none.
func (h *home) next() *state {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiting) == 0 {
		return nil
	}
	return h.waiting[0]
}

// forget lets go of a file that was taken, which is the first one.
func (h *home) forget(s *state) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting = slices.DeleteFunc(h.waiting, func(other *state) bool { return other == s })
	if size, there := h.sizes[s.Path]; there {
		delete(h.sizes, s.Path)
		_ = h.quota.take(-size - fileCost)
	}
}

func (h *home) nudge() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}
