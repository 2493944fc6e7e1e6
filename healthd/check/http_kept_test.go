package check

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
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

// What one probe costs, against net/http asking alike: the figures of the issue are ratios of these.
func BenchmarkHTTPProbe(b *testing.B) {
	answer := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"status":"UP"}`) }
	target, _, _ := counting(b, answer, nil)
	for name, o := range map[string]options{"fresh": nil, "reuse": {"reuse": {"true"}}, "reuse and json": {"reuse": {"true"}, "json": {"status = UP"}}} {
		b.Run(name, func(b *testing.B) {
			ask := checked(b, target, o)
			b.ReportAllocs()
			for b.Loop() {
				if o := ask(); o.Class != healthd.OK {
					b.Fatal(o)
				}
			}
		})
	}
	for name, alive := range map[string]bool{"net http fresh": false, "net http reuse": true} {
		b.Run(name, func(b *testing.B) {
			c := &http.Client{Transport: &http.Transport{DisableKeepAlives: !alive, DisableCompression: true}}
			b.ReportAllocs()
			for b.Loop() {
				resp, err := c.Get(target)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil {
					b.Fatal(err)
				}
				if err := resp.Body.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
