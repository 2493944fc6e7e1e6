package check

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// tlsOptions are the keys of every kind that may speak TLS; tlsConfig reads them.
var tlsOptions = []Option{
	{Key: "ca", Doc: "PEM file of the authorities that are trusted, instead of those of this host", Type: Path},
	{Key: "cert", Doc: "PEM file of the client certificate and its chain, read again when it changes", Type: Path},
	{Key: "key", Doc: "PEM file of the client certificate's key", Type: Path},
	{Key: "tls_name", Doc: "name that the server's certificate must be for, instead of the target's", Type: Host},
	{Key: "tls_min", Doc: "lowest version of TLS that is spoken; 1.2 unless set", Type: Word, Words: []string{"1.2", "1.3"}},
	{Key: "skip_verify", Doc: "take any certificate of the server", Type: Bool},
}

// tlsKeys reports whether the config says anything about TLS, for kinds whose target may be without.
func tlsKeys(s Settings) bool {
	return s.Has("ca") || s.Has("cert") || s.Has("key") || s.Has("tls_name") || s.Has("skip_verify") || s.Has("tls_min")
}

// tlsClient makes the tls.Config of one connection after another. Like a probe it is used by one goroutine at a time.
type tlsClient struct {
	ca, cert, key string // paths; empty where none is named
	name          string // tls_name
	base          tls.Config
	seen          [3]os.FileInfo // of ca, cert and key when they were last read; nil: missing
	disk          patient[tlsFiles]
	hangs         error       // the files could not be looked at
	trouble       error       // why a changed file is not in use; the last good ones are
	asked         atomic.Bool // the last server wanted a client certificate
}

// tlsConfig reads tlsOptions and the files they name. Without ca the authorities of this host are trusted, as they were when the
// program started.
func tlsConfig(s Settings) (*tlsClient, error) {
	c := &tlsClient{ca: s.Text("ca"), cert: s.Text("cert"), key: s.Text("key"), name: s.Text("tls_name")}
	c.base.MinVersion = map[string]uint16{"": tls.VersionTLS12, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}[s.Text("tls_min")]
	c.base.InsecureSkipVerify = s.Bool("skip_verify")
	switch {
	case c.cert != "" && c.key == "":
		return nil, KeyError{"key", errors.New("is missing: the certificate of cert is of no use without its key")}
	case c.key != "" && c.cert == "":
		return nil, KeyError{"cert", errors.New("is missing: the key of key is of no use without its certificate")}
	case c.ca != "" && c.base.InsecureSkipVerify:
		return nil, KeyError{"skip_verify", errors.New("takes any certificate, so the authorities of ca would do nothing; remove one of them")}
	}
	now := c.load([3]os.FileInfo{}, true)
	if now.err != nil {
		return nil, now.err
	}
	c.take(now)
	return c, nil
}

func (c *tlsClient) look() (seen [3]os.FileInfo) {
	for i, path := range []string{c.ca, c.cert, c.key} {
		if path == "" {
			continue
		}
		if info, err := os.Stat(path); err == nil {
			seen[i] = info
		}
	}
	return seen
}

// tlsFiles is what the files hold, or why they cannot be used.
type tlsFiles struct {
	seen    [3]os.FileInfo
	changed bool
	roots   *x509.CertPool
	own     []tls.Certificate
	err     error
}

// load reads the files if they are others than before, or if it must. It changes nothing of c.
func (c *tlsClient) load(before [3]os.FileInfo, must bool) (f tlsFiles) {
	if f.seen = c.look(); !must && sameFiles(f.seen, before) {
		return f
	}
	f.changed = true
	if c.ca != "" {
		text, err := os.ReadFile(c.ca)
		if err != nil {
			f.err = KeyError{"ca", err}
			return f
		}
		f.roots = x509.NewCertPool()
		if !f.roots.AppendCertsFromPEM(text) {
			f.err = KeyError{"ca", fmt.Errorf("%s holds no certificate in PEM", c.ca)}
			return f
		}
	}
	if c.cert != "" {
		pair, err := tls.LoadX509KeyPair(c.cert, c.key)
		if err != nil {
			f.err = KeyError{"cert", fmt.Errorf("%s with %s: %w", c.cert, c.key, err)}
			return f
		}
		f.own = []tls.Certificate{pair}
	}
	return f
}

func (c *tlsClient) take(f tlsFiles) {
	if !f.changed {
		return
	}
	if c.seen, c.trouble = f.seen, f.err; f.err == nil {
		c.base.RootCAs, c.base.Certificates = f.roots, f.own
	}
}

// filesWait is how long a handshake waits for the files at most: where their file system hangs, the last good ones are at hand.
const filesWait = 250 * time.Millisecond

// refresh reads the files again where they have changed.
func (c *tlsClient) refresh() {
	if c.ca == "" && c.cert == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), filesWait)
	defer cancel()
	before := c.seen
	if now, err := c.disk.call(ctx, func() tlsFiles { return c.load(before, false) }); err == nil {
		c.hangs = nil
		c.take(now)
	} else {
		c.hangs = errors.New("the file system of ca, cert or key does not answer")
	}
}

// config gives the settings of one connection to a server of that name, a host without port; tls_name comes before it. Files that have
// changed are read again. Where they cannot be (a certificate is replaced before its key is) the last good ones stay in use.
func (c *tlsClient) config(server string) *tls.Config {
	c.refresh()
	made := c.base.Clone()
	c.asked.Store(false)
	made.GetClientCertificate = func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		c.asked.Store(true)
		for i := range made.Certificates {
			if info.SupportsCertificate(&made.Certificates[i]) == nil {
				return &made.Certificates[i], nil
			}
		}
		return &tls.Certificate{}, nil // which is none: the server decides
	}
	made.ServerName = server
	if c.name != "" {
		made.ServerName = c.name
	}
	return made
}

func sameFiles(a, b [3]os.FileInfo) bool {
	for i := range a {
		if (a[i] == nil) != (b[i] == nil) {
			return false
		}
		if a[i] != nil && (!os.SameFile(a[i], b[i]) || a[i].Size() != b[i].Size() || !a[i].ModTime().Equal(b[i].ModTime())) {
			return false
		}
	}
	return true
}

// handshake speaks TLS over conn, as a client of a server of that name, offering the protocols of ALPN. A certificate that will not do
// is a wrongAnswer.
func (c *tlsClient) handshake(ctx context.Context, conn net.Conn, server string, protocols ...string) (*tls.Conn, error) {
	config := c.config(server)
	config.NextProtos = protocols
	secure := tls.Client(conn, config)
	err := secure.HandshakeContext(ctx)
	if err == nil {
		return secure, nil
	}
	trouble := c.trouble
	if c.hangs != nil {
		trouble = c.hangs
	}
	if text, ok := tlsTrouble(err); ok && trouble != nil {
		return nil, wrongAnswer(text + "; the file read before is in use, for " + trouble.Error())
	}
	return nil, fmt.Errorf("tls: %w", err)
}

// verdictWait is how long a server's word about the client certificate is waited for beyond the time that the handshake took, which has the
// way there and back in it.
const verdictWait = 20 * time.Millisecond

// verdict waits for what a server says of the client certificate that it wanted. With TLS 1.3 that comes after the handshake, and only if it is
// refused: who asks nothing more of the connection would not hear it. Whatever else comes, or nothing, is as good as yes.
func (c *tlsClient) verdict(ctx context.Context, conn *tls.Conn, took time.Duration) error {
	if !c.asked.Load() || conn.ConnectionState().Version < tls.VersionTLS13 {
		return nil
	}
	until := time.Now().Add(took + verdictWait)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(until) {
		until = deadline
	}
	if err := conn.SetReadDeadline(until); err != nil {
		return err
	}
	_, err := conn.Read(make([]byte, 1))
	if err == nil || isTimeout(err) || errors.Is(err, io.EOF) {
		return nil
	}
	return fmt.Errorf("tls: %w", err)
}
