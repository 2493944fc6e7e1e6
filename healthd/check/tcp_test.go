package check

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// says of a greeter: it greets, and then answers what it hears by that.
func greets(greeting string, answers map[string]string) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := io.WriteString(c, greeting); err != nil {
			return
		}
		heard := make([]byte, 512)
		for {
			n, err := c.Read(heard)
			if err != nil {
				return
			}
			if _, err := io.WriteString(c, answers[string(heard[:n])]); err != nil {
				return
			}
		}
	}
}

func TestTCPAnswersAreJudged(t *testing.T) {
	for name, c := range map[string]struct {
		server  func(net.Conn)
		o       options
		class   healthd.Class
		detail  string
		patient time.Duration
	}{
		"connected":         {greets("", nil), nil, healthd.OK, "connected", 0},
		"greeting":          {greets("220 mail ready\r\n", nil), options{"expect": {"220 "}}, healthd.OK, "answered as expected", 0},
		"other greeting":    {greets("SSH-2.0-OpenSSH_9.2\r\n", nil), options{"expect": {"220 "}}, healthd.WrongAnswer, `the answer is "SSH-2.0-OpenSSH_9.2\\r\\n", expected "220 "`, 200 * time.Millisecond},
		"send and expect":   {greets("", map[string]string{"PING\r\n": "+PONG\r\n"}), options{"send": {`PING\r\n`}, "expect": {`+PONG\r\n`}}, healthd.OK, "answered as expected", 0},
		"pattern":           {greets("", map[string]string{"ruok": "imok 17"}), options{"send": {"ruok"}, "match": {`^imok \d+$`}}, healthd.OK, "answered as expected", 0},
		"no such pattern":   {greets("nope", nil), options{"match": {`^imok \d+$`}}, healthd.WrongAnswer, `the answer is "nope", expected what matches ^imok \d+$`, 200 * time.Millisecond},
		"silence":           {greets("", nil), options{"expect": {"220"}}, healthd.TimedOut, "no answer in time", 200 * time.Millisecond},
		"closed":            {func(net.Conn) {}, options{"expect": {"220"}}, healthd.WrongAnswer, "the connection was closed without a word", 0},
		"closed after some": {func(c net.Conn) { _, _ = io.WriteString(c, "42") }, options{"expect": {"220"}}, healthd.WrongAnswer, `the answer is "42", expected "220"`, 0},
		"endless":           {func(c net.Conn) { _, _ = io.Copy(c, flood{}) }, options{"expect": {"220"}}, healthd.WrongAnswer, `the first 4096 bytes have no "220"; they begin with "` + strings.Repeat("x", 57) + `..."`, 0},
		"bytes":             {greets("", map[string]string{"\x00\xff": "\x01"}), options{"send": {`\x00\xff`}, "expect": {`\x01`}}, healthd.OK, "answered as expected", 0},
	} {
		t.Run(name, func(t *testing.T) {
			if c.patient == 0 {
				c.patient = 5 * time.Second
			}
			o := probe(t, "tcp", greeter(t, c.server), c.o, c.patient)
			if o.Class != c.class || o.Detail != c.detail {
				t.Errorf("got %s: %q, want %s: %q", o.Class, o.Detail, c.class, c.detail)
			}
		})
	}
}

type flood struct{}

func (flood) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestTCPSpeaksTLS(t *testing.T) {
	a := newAuthority(t, "CA")
	address := secureApp(t, &tls.Config{Certificates: []tls.Certificate{a.leaf(nil)}})
	o := options{"tls": {"true"}, "ca": {a.file()}, "expect": {"hello"}}
	if got := probe(t, "tcp", address, o, 5*time.Second); got.Class != healthd.OK {
		t.Errorf("got %s: %q", got.Class, got.Detail)
	}
	plain := greeter(t, greets("220 mail\r\n", nil))
	if got := probe(t, "tcp", plain, o, 5*time.Second); got.Class != healthd.WrongAnswer || got.Detail != "the server speaks plain smtp or ftp, not tls" {
		t.Errorf("got %s: %q", got.Class, got.Detail)
	}
}

// A real redis: up, wrong answer, frozen, down.
func TestTCPAsksARealRedis(t *testing.T) {
	address := local(t)
	server := peertest.Start(t, peer.Server{Path: peertest.Tool(t, "redis-server"), Ready: peer.Accepts(address),
		Args: []string{"--bind", "127.0.0.1", "--port", portIn(address), "--save", "", "--dir", peertest.Dir(t)}})
	o := options{"send": {`PING\r\n`}, "expect": {`+PONG\r\n`}}
	judged(t, "tcp", address, o, healthd.OK, "answered as expected")
	judged(t, "tcp", address, options{"send": {`NOPE\r\n`}, "expect": {"+PONG"}}, healthd.WrongAnswer, "unknown command")
	frozen(t, server, func() { judged(t, "tcp", address, o, healthd.TimedOut, "no answer in time") })
	judged(t, "tcp", address, o, healthd.OK, "answered as expected")
	server.Stop()
	judged(t, "tcp", address, o, healthd.Refused, "connection refused")
}

func TestEscapes(t *testing.T) {
	for text, want := range map[string]string{`a\r\n`: "a\r\n", `\x00\xfF`: "\x00\xff", `\\n`: `\n`, "plain\r": "plain\r", `\t`: "\t"} {
		if got, err := unescape(text); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{`a\`: "single backslash", `\q`: `before 'q'`, `\x1`: `before 'x'`, `\xzz`: "hexadecimal"} {
		if _, err := unescape(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	for name, o := range map[string]options{"expression": {"match": {"("}}, "long": {"match": {strings.Repeat("a", 600)}}, "two": {"match": {"a"}, "expect": {"b"}}, "escape": {"send": {`\q`}}} {
		if _, err := New("tcp", []string{"127.0.0.1:1"}, o); err == nil {
			t.Errorf("%s: %v is fine", name, o)
		}
	}
}

// Whatever comes, the wait ends within its bounds and agrees with a look at the whole.
func FuzzTCPWanted(f *testing.F) {
	f.Add(`\r\n`, []byte("a\r\nb"))
	f.Add(`\xff`, bytes.Repeat([]byte("a"), 5000))
	f.Fuzz(func(t *testing.T, expect string, answer []byte) {
		text, err := unescape(expect)
		if err != nil || text == "" {
			return
		}
		_, err = tcpWanted{text: []byte(text)}.wait(bytes.NewReader(answer))
		if want := bytes.Contains(answer[:min(len(answer), maxTCPAnswer)], []byte(text)); (err == nil) != want {
			t.Errorf("%q in %q: %v", text, answer, err)
		}
	})
}
