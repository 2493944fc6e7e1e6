package check

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// app accepts on a port of its own and hands each connection, with the request's head read, to answer.
func app(t *testing.T, answer func(c net.Conn, head *http.Request)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			req, err := http.ReadRequest(bufio.NewReader(c))
			if err == nil {
				answer(c, req)
			}
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return "http://" + l.Addr().String() + "/healthz"
}

func says(text string) func(net.Conn, *http.Request) {
	return func(c net.Conn, _ *http.Request) { _, _ = io.WriteString(c, text) }
}

// options are the keys of a check beside its target.
type options map[string][]string

func probe(t *testing.T, kind, target string, o options, timeout time.Duration) healthd.Outcome {
	t.Helper()
	p, err := New(kind, []string{target}, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	return p(ctx)
}

func TestHTTPAnswersAreJudged(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, c := range map[string]struct {
		answer   string
		settings options
		class    healthd.Class
		detail   string
	}{
		"ok":                       {ok + "Content-Length: 2\r\n\r\nok", nil, healthd.OK, "status 200"},
		"until close":              {ok + "\r\nall of it", nil, healthd.OK, "status 200"},
		"http 1.0":                 {"HTTP/1.0 204 No Content\r\n\r\n", nil, healthd.OK, "status 204"},
		"redirect is an answer":    {"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/\r\n\r\n", nil, healthd.OK, "status 302"},
		"redirect not expected":    {"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n", options{"status": {"200-299", "401-401"}}, healthd.WrongAnswer, "status 302, expected 200 to 299 or 401"},
		"fast 500":                 {"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", nil, healthd.WrongAnswer, "status 500, expected 200 to 399"},
		"404 wanted":               {"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", options{"status": {"200-299", "404-404"}}, healthd.OK, "status 404"},
		"early hints before":       {"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + ok + "Content-Length: 0\r\n\r\n", nil, healthd.OK, "status 200"},
		"endless early hints":      {strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 50), nil, healthd.WrongAnswer, "status 103, expected 200 to 399"},
		"matching body":            {ok + "Content-Length: 7\r\n\r\ndb: yes", options{"expect": {"db: yes"}}, healthd.OK, "status 200"},
		"wrong body":               {ok + "Content-Length: 6\r\n\r\ndb: no", options{"expect": {"db: yes"}}, healthd.WrongAnswer, `status 200, but "db: yes" is not in the body`},
		"truncated body":           {ok + "Content-Length: 100\r\n\r\nhalf", nil, healthd.WrongAnswer, "status 200, but the body was cut off after 4 bytes"},
		"truncated chunks":         {ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhalf", nil, healthd.WrongAnswer, "status 200, but the body was cut off after 4 bytes"},
		"body too long":            {ok + "\r\n" + strings.Repeat("x", MaxBody+1), nil, healthd.WrongAnswer, "status 200, but a body longer than 65536 bytes"},
		"body of the limit":        {ok + "\r\n" + strings.Repeat("x", MaxBody), nil, healthd.OK, "status 200"},
		"compressed stays so":      {ok + "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nzzzz", options{"expect": {"zzzz"}}, healthd.OK, "status 200"},
		"garbage":                  {"SSH-2.0-OpenSSH_9.2\r\n", nil, healthd.WrongAnswer, `no http answer: it begins with "SSH-2.0-OpenSSH_9.2"`},
		"garbage with a line feed": {"HTTP/1.1 20\x1b[31m OK\r\n\r\n", nil, healthd.WrongAnswer, `no http answer: malformed HTTP status code "20\x1b[31m"`},
		"closed without a word":    {"", nil, healthd.WrongAnswer, "no http answer: unexpected EOF"},
		"head has no body":         {ok + "Content-Length: 2\r\n\r\n", options{"method": {"HEAD"}}, healthd.OK, "status 200"},
	} {
		t.Run(name, func(t *testing.T) {
			o := probe(t, "http", app(t, says(c.answer)), c.settings, 5*time.Second)
			if o.Class != c.class || o.Detail != c.detail {
				t.Errorf("got %s: %q, want %s: %q", o.Class, o.Detail, c.class, c.detail)
			}
		})
	}
}

func TestHTTPAsksAsItWasTold(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	seen := make(chan *http.Request, 1)
	url := app(t, func(c net.Conn, r *http.Request) {
		seen <- r
		says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")(c, r)
	})
	if o := probe(t, "http", url+"?a=b#frag", options{"host": {"shop.example"}}, 5*time.Second); o.Class != healthd.OK {
		t.Fatal(o)
	}
	r := <-seen
	if r.Method != "GET" || r.RequestURI != "/healthz?a=b" || r.Host != "shop.example" || !r.Close || r.Header.Get("Accept-Encoding") != "" {
		t.Errorf("asked %s %s of %s, close %v, headers %v", r.Method, r.RequestURI, r.Host, r.Close, r.Header)
	}
}

// Whatever never ends, ends at the deadline: an endless body, one byte at a time, a head that never comes.
func TestHTTPEndsAtTheDeadline(t *testing.T) {
	drip := func(first, again string) func(net.Conn, *http.Request) {
		return func(c net.Conn, _ *http.Request) {
			_, err := io.WriteString(c, first)
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for err == nil {
				<-tick.C
				_, err = io.WriteString(c, again)
			}
		}
	}
	for name, answer := range map[string]func(net.Conn, *http.Request){
		"silence":       func(c net.Conn, _ *http.Request) { _, _ = io.Copy(io.Discard, c) },
		"dripping head": drip("HTTP/1.1 200 OK\r\n", "X: y\r\n"),
		"dripping body": drip("HTTP/1.1 200 OK\r\n\r\n", "x"),
	} {
		t.Run(name, func(t *testing.T) {
			url := app(t, answer)
			start := time.Now()
			o := probe(t, "http", url, nil, 60*time.Millisecond)
			if o.Class != healthd.TimedOut || o.Detail != "no answer in time" {
				t.Errorf("got %s: %q", o.Class, o.Detail)
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

func TestHTTPHeadThatNeverEndsIsCutOff(t *testing.T) {
	url := app(t, func(c net.Conn, _ *http.Request) {
		_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		for err == nil {
			_, err = io.WriteString(c, "X-Pad: "+strings.Repeat("x", 1000)+"\r\n")
		}
	})
	if o := probe(t, "http", url, nil, 10*time.Second); o.Class != healthd.WrongAnswer || !strings.HasPrefix(o.Detail, "no http answer") {
		t.Errorf("got %s: %q", o.Class, o.Detail)
	}
}

// The probe's connection must leave no TIME_WAIT: the app sees a reset, not an orderly end.
func TestEveryKindClosesWithAReset(t *testing.T) {
	for _, kind := range []string{"http", "tcp"} {
		t.Run(kind, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			ended := make(chan error, 1)
			go func() {
				c, err := l.Accept()
				if err != nil {
					ended <- err
					return
				}
				defer c.Close()
				if kind == "http" {
					if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
						ended <- err
						return
					}
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				}
				_, err = c.Read(make([]byte, 1))
				ended <- err
			}()
			target := l.Addr().String()
			if kind == "http" {
				target = "http://" + target
			}
			if o := probe(t, kind, target, nil, 5*time.Second); o.Class != healthd.OK {
				t.Fatalf("got %s: %q", o.Class, o.Detail)
			}
			if err := <-ended; err == nil || !strings.Contains(err.Error(), "connection reset") {
				t.Errorf("the app saw %v", err)
			}
		})
	}
}

func TestCancelledProbeAccusesNobody(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	url := app(t, func(c net.Conn, _ *http.Request) { cancel(); _, _ = io.Copy(io.Discard, c) })
	if o := unguardedHTTP(t, url).probe(ctx); o.Class != healthd.OwnFault {
		t.Errorf("got %s: %q", o.Class, o.Detail)
	}
	if o := (&tcpProbe{address: "127.0.0.1:9"}).probe(ctx); o.Class != healthd.OwnFault {
		t.Errorf("got %s: %q", o.Class, o.Detail)
	}
}

// unguardedHTTP is an http check whose target nobody has looked at.
func unguardedHTTP(t testing.TB, target string) *httpProbe {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	return &httpProbe{asked: &http.Request{Method: http.MethodGet, URL: u}, raw: []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), address: hostPort(u),
		expects: httpExpectation{status: []StatusRange{{200, 399}}}}
}

func FuzzHTTPAnswer(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "\x00\xff",
		"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"ok\": \"ok\"}HTTP/1.1 200 OK\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	want := httpExpectation{status: []StatusRange{{200, 399}}, text: "ok"}
	f.Fuzz(func(t *testing.T, raw []byte) {
		limited := &io.LimitedReader{R: bytes.NewReader(raw), N: maxHead}
		a := httpAnswer{limit: limited, r: bufio.NewReader(limited)}
		status, err := a.judge(&http.Request{Method: http.MethodGet}, want)
		if err == nil && (status < 200 || status > 399 || !bytes.Contains(raw, []byte("o"))) {
			t.Errorf("%q passed with status %d", raw, status)
		}
		if err == nil || a.complete {
			return
		}
		if o := failed(context.Background(), time.Now(), "no http answer", err); o.Class.Status() != healthd.Fail {
			t.Errorf("%q: %v is %s: %s", raw, err, o.Class, o.Detail)
		}
	})
}

func TestHTTPSendsTheUserOfItsURL(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "probe" || password != "s:cret" || r.URL.User != nil {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer server.Close()
	target := strings.Replace(server.URL, "http://", "http://probe:s%3Acret@", 1)
	if o := probe(t, "http", target, nil, 5*time.Second); o.Class != healthd.OK || strings.Contains(o.Detail, "cret") {
		t.Errorf("got %+v", o)
	}
}
