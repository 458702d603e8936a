package ftp

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// cleanEvery is how often what is old is removed, leftFor how long clients have
	// to rename what they have sent.
	cleanEvery = time.Hour
	leftFor    = 24 * time.Hour
)

// keepClean removes what is old until the context ends.
func (s *Server) keepClean(ctx context.Context) {
	ticker := time.NewTicker(cleanEvery)
	defer ticker.Stop()
	for {
		s.mu.Lock()
		homes := slices.Collect(maps.Values(s.homes))
		s.mu.Unlock()
		for _, h := range homes {
			if err := s.clean(h); err != nil {
				s.c.Logger.Warn().Err(err).Str("directory", h.name).Msg("old files cannot be removed")
			}
			if err := s.closeIdle(h); err != nil {
				s.c.Logger.Warn().Err(err).Str("directory", h.name).Msg("a directory cannot be closed")
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// clean removes what was taken in long ago, and what nobody has renamed.
func (s *Server) clean(h *home) error {
	now := s.c.Clock()
	for _, folder := range []string{doneFolder, failedFolder} {
		err := h.walk(folder, func(name string, info fs.FileInfo) error {
			if now.Sub(info.ModTime()) <= s.c.Keep {
				return nil
			}
			return removeIfThere(h.root, "files/"+name)
		})
		if err != nil {
			return err
		}
	}
	for _, folder := range []string{readingsFolder, templatesFolder, devicesFolder} {
		err := h.walk(folder, func(name string, info fs.FileInfo) error {
			if !unfinished(name) || now.Sub(info.ModTime()) <= leftFor {
				return nil
			}
			err := h.drop(name)
			if errors.Is(err, fs.ErrPermission) {
				return nil // it is just being sent anew, or renamed
			}
			if err == nil {
				s.c.Logger.Warn().Str("directory", h.name).Str("file", name).Int64("bytes", info.Size()).Msg("a file that was sent was removed: nobody gave it its name within a day")
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, folder := range folders {
		if err := h.removeEmpty(folder, now); err != nil {
			return err
		}
	}
	return nil
}

// drop removes a file that was never given its name.
func (h *home) drop(name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	size, there := h.sizes[name]
	if !there || h.uploading[name] {
		return fs.ErrPermission
	}
	if err := h.root.Remove("files/" + name); err != nil {
		return told(err)
	}
	delete(h.sizes, name)
	return h.quota.take(-size - fileCost)
}

// removeEmpty removes folders that nothing has been in for a while, the inner ones
// first.
func (h *home) removeEmpty(folder string, now time.Time) error {
	var old []string
	err := fs.WalkDir(h.root.FS(), "files/"+folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() || name == "files/"+folder {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if now.Sub(info.ModTime()) > leftFor {
			old = append(old, name)
		}
		return nil
	})
	for _, name := range slices.Backward(old) {
		if entries, failed := fs.ReadDir(h.root.FS(), name); failed != nil || len(entries) > 0 {
			continue
		}
		h.mu.Lock()             // not while a file is given its name there
		_ = h.root.Remove(name) // what has come meanwhile stays
		h.mu.Unlock()
	}
	return err
}

// How uploads end.
const (
	uploadComplete = "complete"
	uploadAborted  = "aborted"
	uploadRefused  = "refused"
)

// metrics count what clients sent and what became of it.
type metrics struct {
	uploads *prometheus.CounterVec // by result
	files   *prometheus.CounterVec // by result
}

func newMetrics(r prometheus.Registerer, s *Server) (*metrics, error) {
	m := &metrics{
		uploads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "holon_ftp_uploads_total", Help: "Uploads by how they ended."}, []string{"result"}),
		files: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "holon_ftp_files_total", Help: "Files that were taken in, by whether anything of them was refused."}, []string{"result"}),
	}
	if r == nil {
		return m, nil
	}
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "holon_ftp_waiting_bytes", Help: "Bytes of files that wait to be taken in."}, func() float64 {
		s.mu.Lock()
		defer s.mu.Unlock()
		sum := int64(0)
		for _, q := range s.quotas {
			sum += q.waiting()
		}
		return float64(sum)
	})
	for _, c := range []prometheus.Collector{m.uploads, m.files, waiting} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
