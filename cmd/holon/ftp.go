package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/holon-registry/holon/ingest/ftp"
)

// ftpSettings say where and how files are taken in over FTP.
type ftpSettings struct {
	FTPListen       string `name:"ftp-listen" help:"Where to listen for FTP; empty for nowhere." env:"HOLON_FTP_LISTEN" placeholder:"ADDR"`
	FTPDirectory    string `name:"ftp-directory" help:"Where files are kept until they are taken in; this process's alone." default:"ftp" env:"HOLON_FTP_DIRECTORY" type:"path"`
	FTPCert         string `name:"ftp-tls-cert" help:"The certificate for encrypted FTP (AUTH TLS), a PEM file." env:"HOLON_FTP_TLS_CERT" placeholder:"FILE" type:"path"`
	FTPKey          string `name:"ftp-tls-key" help:"The key of the certificate, a PEM file." env:"HOLON_FTP_TLS_KEY" placeholder:"FILE" type:"path"`
	FTPRequireTLS   bool   `name:"ftp-require-tls" help:"With a certificate: let only those in who encrypt." default:"true" negatable:"" env:"HOLON_FTP_REQUIRE_TLS"`
	FTPPassivePorts string `name:"ftp-passive-ports" help:"The ports that files are sent to; any if empty." env:"HOLON_FTP_PASSIVE_PORTS" placeholder:"FROM-TO"`
	FTPPublicHost   string `name:"ftp-public-host" help:"The IPv4 address that clients reach this server by, if it is not that of the connection." env:"HOLON_FTP_PUBLIC_HOST" placeholder:"IP"`
	FTPMaxFile      int64  `name:"ftp-max-file-mib" help:"How large a file may be." default:"256" env:"HOLON_FTP_MAX_FILE_MIB" placeholder:"MIB"`
	FTPMaxWaiting   int64  `name:"ftp-max-waiting-mib" help:"How much of an account may wait to be taken in before more is refused." default:"1024" env:"HOLON_FTP_MAX_WAITING_MIB" placeholder:"MIB"`
	FTPKeepDays     int    `name:"ftp-keep-days" help:"For how many days files are kept that were taken in." default:"7" env:"HOLON_FTP_KEEP_DAYS"`
}

// listenFTP opens the FTP server; there is none if nothing says where.
func (s *stores) listenFTP(c ftpSettings) (*ftp.Server, error) {
	if c.FTPListen == "" {
		return nil, nil //nolint:nilnil // it is off
	}
	config := ftp.Config{
		Address: c.FTPListen, RequireTLS: c.FTPRequireTLS && c.FTPCert != "", PublicHost: c.FTPPublicHost, Directory: c.FTPDirectory,
		MaxFile: c.FTPMaxFile << 20, MaxWaiting: c.FTPMaxWaiting << 20, Keep: time.Duration(c.FTPKeepDays) * 24 * time.Hour,
		Metrics: s.metrics, Logger: s.log,
	}
	if c.FTPMaxFile <= 0 || c.FTPMaxWaiting < c.FTPMaxFile || c.FTPKeepDays < 0 {
		return nil, errors.New("--ftp-max-file-mib is at least 1, --ftp-max-waiting-mib no less than that, --ftp-keep-days not below 0")
	}
	if (c.FTPCert == "") != (c.FTPKey == "") {
		return nil, errors.New("give both --ftp-tls-cert and --ftp-tls-key")
	}
	if c.FTPPublicHost != "" && net.ParseIP(c.FTPPublicHost).To4() == nil {
		return nil, fmt.Errorf("--ftp-public-host is an IPv4 address, not %q", c.FTPPublicHost)
	}
	var err error
	if config.PassiveFrom, config.PassiveTo, err = portRange(c.FTPPassivePorts); err != nil {
		return nil, err
	}
	if c.FTPCert != "" {
		pair, err := tls.LoadX509KeyPair(c.FTPCert, c.FTPKey)
		if err != nil {
			return nil, fmt.Errorf("the certificate for FTP: %w", err)
		}
		config.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	} else if onlyLoopback(c.FTPListen) != nil {
		s.log.Warn().Msg("FTP without a certificate: keys and files pass in the clear")
	}
	server, err := ftp.New(s.receiver, s.keys, config)
	if err != nil {
		return nil, err
	}
	s.log.Info().Str("url", "ftp://"+server.Address()).Bool("tls", config.TLS != nil).Msg("listening for FTP")
	return server, nil
}

// portRange reads "FROM-TO".
func portRange(text string) (from, to int, err error) {
	if text == "" {
		return 0, 0, nil
	}
	first, last, _ := strings.Cut(text, "-")
	from, err = strconv.Atoi(first)
	if err == nil {
		to, err = strconv.Atoi(last)
	}
	if err != nil || from < 1 || to > 65535 || to < from {
		return 0, 0, fmt.Errorf("--ftp-passive-ports is FROM-TO, such as 50000-50100, not %q", text)
	}
	return from, to, nil
}

// serveFTP serves a server, unless it is nil.
func serveFTP(ctx context.Context, server *ftp.Server) error {
	if server == nil {
		return nil
	}
	return server.Run(ctx)
}
