package admin

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
)

// certs are a certificate, its key and the authorities that the other side's must come from. They are read again when a file changes, so
// that a renewal needs no restart; while the new ones cannot be read the old ones hold.
type certs struct {
	cert, key, ca string
	problem       func(error) // hears why new files are not used, once until it changes

	mu    sync.Mutex
	stamp [3]stamp // of the files in use
	pair  tls.Certificate
	pool  *x509.CertPool
	told  string
}

// stamp tells one content of a file from the next without reading it.
type stamp struct {
	inode, size       uint64
	modified, changed syscall.Timespec
}

// maxPEM bounds one file, in bytes.
const maxPEM = 1 << 20

// newCerts reads the files.
func newCerts(cert, key, ca string, problem func(error)) (*certs, error) {
	c := &certs{cert: cert, key: key, ca: ca, problem: problem}
	if c.problem == nil {
		c.problem = func(error) {}
	}
	stamps, err := c.stamps()
	if err == nil {
		err = c.load(stamps)
	}
	return c, err
}

// current gives what is in the files now, or what was in them when they could last be read.
func (c *certs) current() (tls.Certificate, *x509.CertPool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stamps, err := c.stamps()
	if err == nil && stamps != c.stamp {
		err = c.load(stamps)
	}
	text := ""
	if err != nil {
		text = err.Error()
	}
	if err != nil && text != c.told {
		c.problem(fmt.Errorf("the certificates from before stay in use: %w", err))
	}
	c.told = text
	return c.pair, c.pool
}

func (c *certs) stamps() (s [3]stamp, err error) {
	for i, path := range []string{c.cert, c.key, c.ca} {
		info, err := os.Stat(path)
		if err != nil {
			return s, err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return s, fmt.Errorf("stat %s: no inode", path)
		}
		s[i] = stamp{inode: st.Ino, size: uint64(st.Size), modified: st.Mtim, changed: st.Ctim}
	}
	return s, nil
}

func (c *certs) load(stamps [3]stamp) error {
	cert, certErr := readPEM(c.cert)
	key, keyErr := readPEM(c.key)
	ca, caErr := readPEM(c.ca)
	if err := errors.Join(certErr, keyErr, caErr); err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("read %s with %s: %w", c.cert, c.key, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return fmt.Errorf("read %s: there is no certificate in it", c.ca)
	}
	c.pair, c.pool, c.stamp = pair, pool, stamps
	return nil
}

func readPEM(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPEM+1))
	if err == nil && len(text) > maxPEM {
		err = fmt.Errorf("read %s: it is larger than %d bytes", path, maxPEM)
	}
	return text, err
}

// server asks each caller for a certificate of the authorities. There is no resumption, which would outlive a change of them.
func (c *certs) server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			pair, pool := c.current()
			return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, ClientCAs: pool,
				ClientAuth: tls.RequireAndVerifyClientCert, SessionTicketsDisabled: true, NextProtos: []string{"http/1.1"}}, nil
		},
	}
}

// client shows the certificate to a server that has one of the authorities for its name.
func (c *certs) client(name string) *tls.Config {
	pair, pool := c.current()
	return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, RootCAs: pool, ServerName: name, NextProtos: []string{"http/1.1"}}
}
