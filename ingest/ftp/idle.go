package ftp

import (
	"errors"
	"io/fs"
)

// leave says that a session or an upload needs a home no longer.
func (s *Server) leave(h *home) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.users--
}

// closeIdle closes a home that has nothing in it and that nobody needs: with many
// keys there would be no end to them. It is opened again when its key comes.
func (s *Server) closeIdle(h *home) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.users > 0 || !h.begun || len(h.waiting)+len(h.uploading)+len(h.sizes) > 0 {
		return nil
	}
	kept := errors.New("kept")
	for _, folder := range []string{doneFolder, failedFolder} {
		err := h.walk(folder, func(string, fs.FileInfo) error { return kept })
		if errors.Is(err, kept) {
			return nil // to be removed when it is old
		}
		if err != nil {
			return err
		}
	}
	delete(s.homes, h.name)
	close(h.gone)
	return h.root.Close()
}
