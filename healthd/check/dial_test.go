package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/lbmedic/lbmedic/healthd"
)

func TestForbiddenAddresses(t *testing.T) {
	for text, want := range map[string]bool{
		"169.254.169.254": true, "169.254.0.1": true, "::ffff:169.254.169.254": true, "64:ff9b::a9fe:a9fe": true,
		"fe80::1": true, "fe80::1%eth0": true, "febf::1": true, "fd00:ec2::254": true, "100.100.100.200": true, "192.0.0.192": true,
		"::169.254.169.254": true, "2002:a9fe:a9fe::1": true, "64:ff9b:1::a9fe:a9fe": true, "64:ff9b:1:a9fe:a9:fe00::": true,
		"64:ff9b:1:a9:fe:a9fe::": true, "64:ff9b:1:0:a9:fea9:fe00:0": true, "::10.0.0.1": false, "2002:a00:1::1": false, "64:ff9b:1::a00:1": false,
		"::": false, "224.0.0.1": true, "ff02::1": true,
		"127.0.0.1": false, "::1": false, "10.0.0.1": false, "169.253.0.1": false, "fd00:ec2::253": false, "fec0::1": false, "64:ff9b::a00:1": false,
	} {
		if got := Forbidden(netip.MustParseAddr(text)); got != want {
			t.Errorf("Forbidden(%s) = %v", text, got)
		}
	}
}

// However the address is spelled, the probe never leaves: it is refused when it is dialled, as an own fault.
func TestMetadataIsNeverReached(t *testing.T) {
	for _, host := range []string{"169.254.169.254", "[::ffff:a9fe:a9fe]", "[fe80::1%25lo]", "[fd00:ec2::254]", "100.100.100.200"} {
		for kind, target := range map[string]string{"http": "http://" + host + "/latest", "tcp": strings.ReplaceAll(host, "%25", "%") + ":80"} {
			o := healthd.Outcome{}
			if kind == "http" {
				o = unguardedHTTP(t, target).probe(t.Context())
			} else {
				o = (&tcpProbe{address: target}).probe(t.Context())
			}
			if o.Class != healthd.OwnFault || !strings.Contains(o.Detail, "which no check may reach") {
				t.Errorf("%s %s: %s: %q", kind, target, o.Class, o.Detail)
			}
			if _, err := New(kind, []string{target}, nil); err == nil {
				t.Errorf("%s %s is a valid target", kind, target)
			}
		}
	}
}

func TestRefusedConnectionIsSaidSo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for kind, target := range map[string]string{"tcp": address, "http": "http://" + address} {
		if o := probe(t, kind, target, nil, 5*time.Second); o.Class != healthd.Refused || o.Detail != "connection refused" {
			t.Errorf("%s: %s: %q", kind, o.Class, o.Detail)
		}
	}
}

func TestErrorsOfTheOwnHostAccuseNobody(t *testing.T) {
	for errno, want := range map[syscall.Errno]healthd.Class{
		syscall.EADDRNOTAVAIL: healthd.OwnFault, syscall.EMFILE: healthd.OwnFault, syscall.ENFILE: healthd.OwnFault,
		syscall.ENOBUFS: healthd.OwnFault, syscall.EPERM: healthd.OwnFault, syscall.ENETUNREACH: healthd.OwnFault,
		syscall.ECONNREFUSED: healthd.Refused, syscall.ECONNRESET: healthd.Refused, syscall.EHOSTUNREACH: healthd.Refused,
		syscall.ETIMEDOUT: healthd.TimedOut,
	} {
		err := &net.OpError{Op: "dial", Net: "tcp", Err: fmt.Errorf("connect: %w", errno)}
		if got, detail := classify(t.Context(), err); got != want {
			t.Errorf("%s: %s (%s), want %s", errno, got, detail, want)
		}
	}
}

// That a name is gone is an answer, and means the target; that nobody tells is our own lack.
func TestANameThatIsGoneIsRefused(t *testing.T) {
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		code, known := map[string]int{"gone": dns.RcodeNameError, "broken": dns.RcodeServerFailure, "refused": dns.RcodeRefused}[strings.Split(q.Question[0].Name, ".")[0]]
		if known {
			_ = w.WriteMsg(new(dns.Msg).SetRcode(q, code)) // who asked notices
		}
	})}
	go func() { _ = server.ActivateAndServe() }() // it ends with the test
	t.Cleanup(func() { _ = packets.Close() })
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", packets.LocalAddr().String())
	}}
	for name, want := range map[string]string{
		"gone.example.": "refused: no such name gone.example.", "broken.example.": "own fault: resolve broken.example.: server misbehaving",
		"refused.example.": "own fault: resolve refused.example.: ", "mute.example.": "own fault: resolve mute.example.: ",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, err := (&net.Dialer{Resolver: resolver}).DialContext(ctx, "tcp", name+":80")
		if class, detail := classify(t.Context(), err); !strings.HasPrefix(class.String()+": "+detail, want) {
			t.Errorf("%s: %s: %q (%v)", name, class, detail, err)
		}
	}
}

func TestTargetsAreValidated(t *testing.T) {
	for name, c := range map[string]struct {
		kind, target string
		settings     options
		want         string // part of the error; empty for none
	}{
		"http":            {"http", "http://127.0.0.1:8080/healthz", nil, ""},
		"https":           {"http", "https://app.internal", nil, ""},
		"ipv6":            {"http", "http://[::1]:80/", nil, ""},
		"file":            {"http", "file:///etc/passwd", nil, "is not a url"},
		"gopher":          {"http", "gopher://127.0.0.1:70/", nil, "is not a url"},
		"newline":         {"http", "http://127.0.0.1/\nX: y", nil, "is not a url"},
		"no host":         {"http", "http:///healthz", nil, "the host is missing"},
		"port":            {"http", "http://127.0.0.1:70000/", nil, "port"},
		"method":          {"http", "http://127.0.0.1/", options{"method": {"PATCH"}}, "none of GET, HEAD, OPTIONS, POST"},
		"range":           {"http", "http://127.0.0.1/", options{"status": {"300-200"}}, "no status code or range"},
		"header split":    {"http", "http://127.0.0.1/", options{"host": {"a\r\nX: y"}}, "no host name"},
		"match with head": {"http", "http://127.0.0.1/", options{"method": {"HEAD"}, "expect": {"x"}}, "no body"},
		"tcp":             {"tcp", "127.0.0.1:5432", nil, ""},
		"tcp no port":     {"tcp", "127.0.0.1", nil, "is not host:port"},
		"tcp no host":     {"tcp", ":5432", nil, "the host is missing"},
		"tcp port 0":      {"tcp", "127.0.0.1:0", nil, "1 to 65535"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(c.kind, []string{c.target}, c.settings)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := Find("ftp"); err == nil || !strings.Contains(err.Error(), "none of [") {
		t.Errorf("unknown kind: %v", err)
	}
}

// A server whose backlog is full for a moment is waited for, as TCP does; one that never accepts is told when the time is over.
func TestAFullBacklogIsWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), path)
	t.Cleanup(func() { _ = file.Close() })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	first, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = first.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err = dialUnix(ctx, path)
	if class, detail := classify(ctx, err); class != healthd.TimedOut || time.Since(start) < 100*time.Millisecond {
		t.Errorf("%s: %q after %s", class, detail, time.Since(start))
	}
	time.AfterFunc(30*time.Millisecond, func() {
		if conn, _, err := syscall.Accept(fd); err == nil {
			_ = syscall.Close(conn)
		}
	})
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := dialUnix(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}
