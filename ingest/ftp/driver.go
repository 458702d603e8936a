package ftp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	ftpserver "github.com/fclairamb/ftpserverlib"
)

const (
	// greetFor is how long a client has to log in, idleFor how long it may say
	// nothing after that.
	greetFor = 30 * time.Second
	idleFor  = 5 * time.Minute
)

// driver is what the FTP library asks.
type driver struct {
	server   *Server
	listener *controls
}

// controls are the connections for commands, by the addresses of their clients.
type controls struct {
	net.Listener
	open sync.Map // string -> *control
}

// Accept implements net.Listener.
func (l *controls) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &control{Conn: conn, all: l}
	l.open.Store(conn.RemoteAddr().String(), c)
	return c, nil
}

// control is a connection for commands. The library gives up those on which no
// command comes for a while, also while a long file is being sent: so it does not
// hear of that while something is.
type control struct {
	net.Conn
	all *controls
	// active is when something was last sent over another connection, in nanoseconds.
	active atomic.Int64
}

// moved notes that a transfer goes on.
func (c *control) moved() { c.active.Store(time.Now().UnixNano()) }

// Read implements net.Conn.
func (c *control) Read(into []byte) (int, error) {
	for {
		n, err := c.Conn.Read(into)
		until := time.Unix(0, c.active.Load()).Add(idleFor)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Until(until) <= 0 {
			return n, err
		}
		if err := c.SetReadDeadline(until); err != nil {
			return 0, err
		}
	}
}

// Write implements net.Conn.
func (c *control) Write(b []byte) (int, error) {
	// The library's deadline may be over when a long file has been sent.
	if err := c.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// Close implements net.Conn.
func (c *control) Close() error {
	c.all.open.CompareAndDelete(c.RemoteAddr().String(), c)
	return c.Conn.Close()
}

// session is one connection.
type session struct {
	client  ftpserver.ClientContext
	control *control
	// gone is closed when the connection has ended.
	gone  chan struct{}
	known chan struct{}
	// homes are those that it has logged in to.
	homes []*home
}

// GetSettings implements ftpserver.MainDriver. Active transfers would let clients
// make this server connect to wherever they like.
func (d driver) GetSettings() (*ftpserver.Settings, error) {
	c := d.server.c
	settings := &ftpserver.Settings{
		Listener: d.listener, PublicHost: c.PublicHost, IdleTimeout: int(idleFor.Seconds()), ConnectionTimeout: 30, Banner: "Holon",
		DisableActiveMode: true, DisableSite: true, DisableMFMT: true, DisableSTAT: true, DefaultTransferType: ftpserver.TransferTypeBinary,
	}
	if c.RequireTLS {
		settings.TLSRequired = ftpserver.MandatoryEncryption
	}
	if c.PassiveFrom > 0 {
		settings.PassiveTransferPortRange = &ftpserver.PortRange{Start: c.PassiveFrom, End: c.PassiveTo}
	}
	return settings, nil
}

// ClientConnected implements ftpserver.MainDriver.
func (d driver) ClientConnected(client ftpserver.ClientContext) (string, error) {
	s := d.server
	found, ok := d.listener.open.Load(client.RemoteAddr().String())
	if !ok {
		return "It is gone", errors.New("gone")
	}
	one := &session{client: client, control: found.(*control), gone: make(chan struct{}), known: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.stopping:
		return "Holon is stopping", errors.New("stopping")
	default:
	}
	if len(s.sessions) >= s.c.MaxClients {
		return "There are too many clients: try again later", errors.New("too many clients")
	}
	s.sessions[client.ID()] = one
	time.AfterFunc(greetFor, func() {
		select {
		case <-one.known:
		case <-one.gone:
		default:
			_ = client.Close() // it has not said who it is
		}
	})
	return "Holon", nil
}

// ClientDisconnected implements ftpserver.MainDriver.
func (d driver) ClientDisconnected(client ftpserver.ClientContext) {
	d.server.mu.Lock()
	defer d.server.mu.Unlock()
	if one := d.server.sessions[client.ID()]; one != nil {
		close(one.gone)
		delete(d.server.sessions, client.ID())
		for _, h := range one.homes {
			h.users--
		}
	}
}

// AuthUser implements ftpserver.MainDriver.
func (d driver) AuthUser(client ftpserver.ClientContext, _, secret string) (ftpserver.ClientDriver, error) {
	s := d.server
	principal, err := s.logIn(context.Background(), secret)
	if err != nil {
		return nil, err
	}
	h, err := s.home(homeName(principal))
	if err != nil {
		s.c.Logger.Error().Err(err).Msg("the files of an FTP client cannot be opened")
		return nil, errors.New("its files cannot be opened")
	}
	select {
	case s.opened <- h:
	case <-s.stopping:
		return nil, errors.New("stopping")
	}
	s.mu.Lock()
	one := s.sessions[client.ID()]
	if one == nil {
		h.users--
	} else {
		one.homes = append(one.homes, h)
	}
	s.mu.Unlock()
	if one == nil {
		return nil, errors.New("it is gone")
	}
	select {
	case <-one.known: // it logs in again
	default:
		close(one.known)
	}
	return &files{server: s, home: h, session: one, secret: secret}, nil
}

// GetTLSConfig implements ftpserver.MainDriver.
func (d driver) GetTLSConfig() (*tls.Config, error) {
	if d.server.c.TLS == nil {
		return nil, errors.New("this server has no certificate")
	}
	return d.server.c.TLS, nil
}
