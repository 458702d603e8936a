package ftp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	ftpserver "github.com/fclairamb/ftpserverlib"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/ingest"
	"github.com/holon-registry/holon/registry"
)

// Config says where files are taken in, and how many. Zero values take the
// defaults.
type Config struct {
	// Address is where to listen: ":2121".
	Address string
	// TLS lets clients encrypt by AUTH TLS; nil lets nobody. RequireTLS refuses
	// those that do not.
	TLS        *tls.Config
	RequireTLS bool
	// PassiveFrom and PassiveTo are the ports that clients send files to; any if
	// they are 0.
	PassiveFrom, PassiveTo int
	// PublicHost is the IPv4 address that clients reach this server by, if it is
	// not that of the connection.
	PublicHost string
	// Directory is where files are kept. It is this process's alone.
	Directory string
	// MaxFile bounds a file, MaxWaiting what waits of one account, in bytes: 256 MiB
	// and 1 GiB by default.
	MaxFile, MaxWaiting int64
	// Keep is for how long files are kept that were taken in; 0 is not at all.
	Keep time.Duration
	// MaxClients is 1,000 by default.
	MaxClients int
	// Clock is the system's by default.
	Clock func() time.Time
	// Metrics may be nil.
	Metrics prometheus.Registerer
	Logger  zerolog.Logger
}

const sourceFTP = "ftp"

// Server is an FTP server that takes files of readings. The password is an API
// key, the user name is free. An account sees its own files only:
//
//	readings/              a reading a line, or an array, as POST /v1/readings takes it
//	templates/TEMPLATE/    what the decoder of a template reads
//	devices/DEVICE/        what the decoder of a device's template reads, all of that device
//	done/, failed/         what was taken in, and beside it what was refused of it
//
// A name that ends in .gz is unpacked. Files that begin with a dot or end in .tmp
// or .part are taken when they have been renamed. A file is acknowledged when all
// of it is on the disk (226); taking it in follows, one
// file of an account at a time, in the order in which those of a home were completed.
type Server struct {
	c        Config
	receiver *ingest.Receiver
	auth     ingest.Authenticator
	library  *ftpserver.FtpServer
	listener *controls
	address  string
	metrics  *metrics
	stopping chan struct{}
	uploads  sync.WaitGroup

	mu sync.Mutex
	// sessions are the connections, homes the directories that are open, by name.
	sessions map[uint32]*session
	homes    map[string]*home
	quotas   map[string]*quota
	// opened tells of homes that were opened; nobody is told before Run.
	opened chan *home
}

// New makes a server, finds what is left to be done in its directory, and binds
// its address; Run serves it.
func New(receiver *ingest.Receiver, auth ingest.Authenticator, c Config) (*Server, error) {
	if c.MaxFile == 0 {
		c.MaxFile = 256 << 20
	}
	if c.MaxWaiting == 0 {
		c.MaxWaiting = 1 << 30
	}
	if c.MaxClients == 0 {
		c.MaxClients = 1000
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	s := &Server{c: c, receiver: receiver, auth: auth, stopping: make(chan struct{}), sessions: map[uint32]*session{}, homes: map[string]*home{}, quotas: map[string]*quota{}, opened: make(chan *home, 16)}
	var err error
	if s.metrics, err = newMetrics(c.Metrics, s); err != nil {
		return nil, fmt.Errorf("FTP server: %w", err)
	}
	if err := s.openHomes(); err != nil {
		return nil, errors.Join(fmt.Errorf("FTP server: %w", err), s.closeHomes())
	}
	listener, err := net.Listen("tcp", c.Address)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("FTP server on %s: %w", c.Address, err), s.closeHomes())
	}
	s.address = listener.Addr().String()
	s.listener = &controls{Listener: listener}
	s.library = ftpserver.NewFtpServer(driver{s, s.listener})
	if err := s.library.Listen(); err != nil {
		return nil, errors.Join(fmt.Errorf("FTP server on %s: %w", c.Address, err), listener.Close(), s.closeHomes())
	}
	return s, nil
}

// Address is where the server listens, with the port that it was given.
func (s *Server) Address() string { return s.address }

// Run serves until the context ends. Uploads that are under way then are refused;
// files that are being taken in go on when the server runs again.
func (s *Server) Run(ctx context.Context) error {
	taking, stop := context.WithCancel(ctx)
	defer stop()
	var takers sync.WaitGroup
	takers.Go(func() { s.takeAll(taking) })
	takers.Go(func() { s.keepClean(taking) })
	served := make(chan error, 1)
	go func() { served <- s.library.Serve() }()
	var err error
	select {
	case <-ctx.Done():
		err = errors.Join(s.listener.Close(), <-served)
	case err = <-served:
		if err == nil {
			err = errors.New("stopped listening")
		}
		err = fmt.Errorf("FTP server: %w", err)
		stop()
	}
	s.mu.Lock()
	close(s.stopping)
	sessions := slices.Collect(maps.Values(s.sessions))
	s.mu.Unlock()
	for _, one := range sessions {
		_ = one.client.Close() // it may be gone
	}
	s.uploads.Wait()
	takers.Wait()
	return errors.Join(err, s.closeHomes())
}

// openHomes opens what is there.
func (s *Server) openHomes() error {
	if err := os.MkdirAll(s.c.Directory, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.c.Directory)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if _, err := uuid.Parse(accountIn(entry.Name())); err != nil || !entry.IsDir() {
			continue // nobody's
		}
		h, err := s.home(entry.Name())
		if err != nil {
			return err
		}
		s.leave(h)
	}
	return nil
}

// home opens a home, once. Whoever calls it leaves it in the end.
func (s *Server) home(name string) (*home, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h, ok := s.homes[name]; ok {
		h.users++
		return h, nil
	}
	account := accountIn(name)
	if s.quotas[account] == nil {
		s.quotas[account] = &quota{most: s.c.MaxWaiting, turn: make(chan struct{}, 1)}
	}
	directory, err := filepath.Abs(s.c.Directory)
	if err != nil {
		return nil, err
	}
	h, err := openHome(directory, name, s.quotas[account])
	if err != nil {
		return nil, err
	}
	for _, lost := range h.lost {
		s.c.Logger.Error().Str("directory", name).Str("file", lost).Msg("a file waits of which it is not known who sent it: it is not taken in, and has to be sent again under another name")
	}
	s.homes[name] = h
	h.users++
	return h, nil
}

func (s *Server) closeHomes() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, h := range s.homes {
		errs = append(errs, h.root.Close())
	}
	return errors.Join(errs...)
}

// logIn finds out whose key it is.
func (s *Server) logIn(ctx context.Context, secret string) (*registry.Principal, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	principal, err := s.auth.Authenticate(ctx, secret)
	if err == nil {
		return principal, nil
	}
	if registry.CodeOf(err) == registry.CodeUnauthenticated {
		return nil, errors.New("the password is no key")
	}
	s.c.Logger.Warn().Err(errors.Unwrap(err)).Msg("an FTP client's key could not be looked up")
	return nil, errors.New("the key cannot be looked up: try again later")
}
