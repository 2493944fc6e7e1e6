package check

import (
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// counting serves handler and counts the connections it is asked over.
func counting(t testing.TB, handler http.HandlerFunc, config *tls.Config) (target string, connections *atomic.Int64, server *httptest.Server) {
	t.Helper()
	connections = new(atomic.Int64)
	server = httptest.NewUnstartedServer(handler)
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	if config != nil {
		server.TLS = config
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server.URL, connections, server
}

func TestReuseKeepsOneConnection(t *testing.T) {
	a := newAuthority(t, "CA")
	ca := a.file()
	for name, c := range map[string]struct {
		config      *tls.Config
		o           options
		answer      http.HandlerFunc
		connections int64 // over 10 probes
		class       healthd.Class
	}{
		"plain":       {nil, options{"reuse": {"true"}}, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }, 1, healthd.OK},
		"tls":         {&tls.Config{Certificates: []tls.Certificate{a.leaf(nil)}}, options{"reuse": {"true"}, "ca": {ca}}, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }, 1, healthd.OK},
		"chunked":     {nil, options{"reuse": {"true"}, "expect": {"ok"}}, func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); _, _ = io.WriteString(w, "ok") }, 1, healthd.OK},
		"head":        {nil, options{"reuse": {"true"}, "method": {"HEAD"}}, func(http.ResponseWriter, *http.Request) {}, 1, healthd.OK},
		"post":        {nil, options{"reuse": {"true"}, "method": {"POST"}, "body": {"x"}}, func(http.ResponseWriter, *http.Request) {}, 1, healthd.OK},
		"not asked":   {nil, nil, func(http.ResponseWriter, *http.Request) {}, 10, healthd.OK},
		"server ends": {nil, options{"reuse": {"true"}}, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }, 10, healthd.OK},
		"failing":     {nil, options{"reuse": {"true"}}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, 10, healthd.WrongAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			target, connections, _ := counting(t, c.answer, c.config)
			ask := checked(t, target, c.o)
			for range 10 {
				if o := ask(); o.Class != c.class {
					t.Fatalf("got %s: %q", o.Class, o.Detail)
				}
			}
			if n := connections.Load(); n != c.connections {
				t.Errorf("%d connections, want %d", n, c.connections)
			}
		})
	}
}

// A kept connection that the server has closed, or answers nobody's question over, is no failure: the next one counts.
func TestReuseSurvivesTheServersEnd(t *testing.T) {
	first := make(chan net.Conn, 16)
	url := app(t, func(c net.Conn, r *http.Request) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		first <- c
	}) // and closes at once, though it promised to stay
	ask := checked(t, url, options{"reuse": {"true"}})
	for range 5 {
		if o := ask(); o.Class != healthd.OK {
			t.Fatalf("got %s: %q", o.Class, o.Detail)
		}
	}
	if n := len(first); n != 5 {
		t.Errorf("%d connections", n)
	}
	chatty := app(t, func(c net.Conn, r *http.Request) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n")
		_, _ = io.Copy(io.Discard, c)
	})
	ask = checked(t, chatty, options{"reuse": {"true"}})
	for range 3 {
		if o := ask(); o.Class != healthd.OK {
			t.Fatalf("an answer to nobody is taken for ours: %s: %q", o.Class, o.Detail)
		}
	}
}

// The server takes the request over the kept connection and drops it: asked again over a fresh one, which is down too.
func TestReuseDoesNotHideAServerThatIsDown(t *testing.T) {
	target, _, server := counting(t, func(http.ResponseWriter, *http.Request) {}, nil)
	ask := checked(t, target, options{"reuse": {"true"}})
	if o := ask(); o.Class != healthd.OK {
		t.Fatal(o)
	}
	server.Close()
	if o := ask(); o.Class != healthd.Refused {
		t.Errorf("got %s: %q", o.Class, o.Detail)
	}
}

func TestReuseEnds(t *testing.T) {
	var k keptConn
	here, there := net.Pipe()
	defer there.Close()
	k.put(&httpConn{under: here, conn: here, made: time.Now().Add(-keptFor - time.Second)})
	if k.take() != nil {
		t.Error("a connection is kept beyond its time")
	}
	if _, err := here.Write([]byte("x")); err == nil {
		t.Error("it is not closed")
	}
	if k.take() != nil {
		t.Error("it is given twice")
	}
}

// What one probe costs the side that checks, in CPU, against net/http asking alike; the real nginx answers, in processes of its own.
func BenchmarkHTTPProbe(b *testing.B) {
	dir, address := peertest.Dir(b), net.JoinHostPort("127.0.0.1", strconv.Itoa(peertest.Port(b)))
	config := peer.NginxMain(dir) + "events {}\nhttp {\n" + peer.NginxTemp(dir) + "keepalive_requests 1000000;\nserver { listen " + address + "; location / { return 200 '{\"status\": \"UP\"}'; } }\n}\n"
	peertest.Nginx(b, peertest.One(b, "nginx"), dir, config, address)
	target := "http://" + address + "/"
	asks := map[string]func() bool{}
	for name, o := range map[string]options{"fresh": nil, "reuse": {"reuse": {"true"}}, "reuse and json": {"reuse": {"true"}, "json": {"status = UP"}}} {
		ask := checked(b, target, o)
		asks[name] = func() bool { return ask().Class == healthd.OK }
	}
	for name, alive := range map[string]bool{"net http fresh": false, "net http reuse": true} {
		c := &http.Client{Transport: &http.Transport{DisableKeepAlives: !alive, DisableCompression: true}}
		asks[name] = func() bool {
			resp, err := c.Get(target)
			if err != nil {
				return false
			}
			_, err = io.Copy(io.Discard, resp.Body)
			return errors.Join(err, resp.Body.Close()) == nil
		}
	}
	for _, name := range slices.Sorted(maps.Keys(asks)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			before := cpu(b)
			for b.Loop() {
				if !asks[name]() {
					b.Fatal("no answer")
				}
			}
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-us/op")
		})
	}
}

// cpu is what this process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// dated writes down its deadline.
type dated struct {
	net.Conn
	deadline time.Time
}

func (d *dated) SetDeadline(t time.Time) error {
	d.deadline = t
	return d.Conn.SetDeadline(t)
}

// A deadline of the probe before would run out while the connection waits, and wake the program for nothing.
func TestKeptConnectionWaitsWithoutADeadline(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	c := &dated{Conn: here, deadline: time.Now().Add(time.Second)}
	var k keptConn
	k.put(&httpConn{under: c, conn: c, made: time.Now()})
	if k.c == nil || !c.deadline.IsZero() {
		t.Fatalf("kept %v until %s", k.c, c.deadline)
	}
	k.c.idle.Stop()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	var none keptConn
	none.put(&httpConn{under: c, conn: c, made: time.Now()})
	if none.c != nil {
		t.Error("a closed connection is kept")
	}
}
