package check

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// phpFPM starts a real php-fpm that listens there, with a ping page and one script.
func phpFPM(t *testing.T, listen string, ready func() error) (server *peer.Process, folder, where string) {
	t.Helper()
	dir := peertest.Dir(t)
	listen = strings.ReplaceAll(listen, "{dir}", dir)
	config := filepath.Join(dir, "fpm.conf")
	for path, text := range map[string]string{
		config:                         fmt.Sprintf("[global]\nerror_log = %[1]s/log\ndaemonize = no\n[www]\nlisten = %[2]s\npm = static\npm.max_children = 1\nping.path = /ping\nping.response = pong-app\n", dir, listen),
		filepath.Join(dir, "ok.php"):   `<?php header("X-Mode: test"); echo "orders: ", $_GET["n"] ?? "none";`,
		filepath.Join(dir, "bad.php"):  `<?php http_response_code(503); echo "database gone";`,
		filepath.Join(dir, "long.php"): `<?php echo str_repeat("x", 200000);`,
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if ready == nil {
		ready = func() error { _, err := os.Stat(listen); return err }
	}
	return peertest.Start(t, peer.Server{Path: peertest.Tool(t, "php-fpm"), Args: []string{"-F", "-n", "-y", config}, Ready: ready}), dir, listen
}

func TestFastCGIAsksARealPHP(t *testing.T) {
	address := local(t)
	server, dir, _ := phpFPM(t, address, peer.Accepts(address))
	for name, c := range map[string]struct {
		o      options
		class  healthd.Class
		detail string
	}{
		"ping":           {nil, healthd.OK, "answered as expected"},
		"wrong answer":   {options{"expect": {"pong-shop"}}, healthd.WrongAnswer, `status 200, but "pong-shop" is not in the body`},
		"wrong path":     {options{"script": {"/pong"}}, healthd.WrongAnswer, `status 404, expected 200: "File not found."`},
		"script":         {options{"script": {"/ok.php?n=7"}, "file": {dir + "/ok.php"}, "expect": {"orders: 7"}}, healthd.OK, "answered as expected"},
		"missing script": {options{"script": {"/gone.php"}, "file": {dir + "/gone.php"}}, healthd.WrongAnswer, `status 404, expected 200: "File not found."`},
		"failing script": {options{"script": {"/bad.php"}, "file": {dir + "/bad.php"}}, healthd.WrongAnswer, `status 503, expected 200: "database gone"`},
		"endless script": {options{"script": {"/long.php"}, "file": {dir + "/long.php"}}, healthd.WrongAnswer, "an answer longer than 98304 bytes"},
	} {
		t.Run(name, func(t *testing.T) { judged(t, "fastcgi", address, c.o, c.class, c.detail) })
	}
	frozen(t, server, func() { judged(t, "fastcgi", address, nil, healthd.TimedOut, "no answer in time") })
	judged(t, "fastcgi", address, nil, healthd.OK, "answered as expected")
	server.Stop()
	judged(t, "fastcgi", address, nil, healthd.Refused, "connection refused")
}

func TestFastCGIAsksThroughASocket(t *testing.T) {
	server, _, path := phpFPM(t, "{dir}/fpm.sock", nil)
	judged(t, "fastcgi", path, options{"expect": {"pong-app"}}, healthd.OK, "answered as expected")
	server.Stop()
	judged(t, "fastcgi", path, nil, healthd.Refused, "")
	judged(t, "fastcgi", path+".none", nil, healthd.Refused, "")
}

func TestFastCGIAnswersAreJudged(t *testing.T) {
	record := func(kind byte, content string) string { return string(fastcgiRecord(nil, kind, []byte(content))) }
	const done = "\x00\x00\x00\x00\x00\x00\x00\x00"
	for name, c := range map[string]struct {
		answer string
		class  healthd.Class
		detail string
	}{
		"right":            {record(fcgiStdout, "Content-Type: text/plain\r\n\r\npo") + record(fcgiStdout, "ng") + record(fcgiStderr, "notice") + record(fcgiEnd, done), healthd.OK, "answered as expected"},
		"padded":           {"\x01\x06\x00\x01\x00\x06\x02\x00\r\npongxx" + record(fcgiEnd, done), healthd.OK, "answered as expected"},
		"no head":          {record(fcgiStdout, "pong") + record(fcgiEnd, done), healthd.WrongAnswer, "its head is none"},
		"unknown record":   {record(11, "????") + record(fcgiStdout, "A: b\r\n\r\npong") + record(fcgiEnd, done), healthd.OK, "answered as expected"},
		"overloaded":       {record(fcgiEnd, "\x00\x00\x00\x00\x02\x00\x00\x00"), healthd.WrongAnswer, "the server is overloaded"},
		"no multiplexing":  {record(fcgiEnd, "\x00\x00\x00\x00\x01\x00\x00\x00"), healthd.WrongAnswer, "protocol status 1"},
		"short end":        {record(fcgiEnd, "\x00"), healthd.WrongAnswer, "a last record that is cut off"},
		"odd status":       {record(fcgiStdout, "Status: soon\r\n\r\n") + record(fcgiEnd, done), healthd.WrongAnswer, `its status is "soon"`},
		"another protocol": {"SSH-2.0-OpenSSH_9.2\r\n", healthd.WrongAnswer, `no fastcgi answer: it begins with "SSH-2.0-"`},
		"endless":          {strings.Repeat(record(fcgiStdout, strings.Repeat("x", 1000)), 200), healthd.WrongAnswer, "an answer longer than 98304 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			judged(t, "fastcgi", greeter(t, greets("", map[string]string{string(pingRequest(t)): c.answer})), nil, c.class, c.detail)
		})
	}
	cut := record(fcgiStdout, "A: b\r\n\r\npong")
	judged(t, "fastcgi", greeter(t, func(c net.Conn) {
		if _, err := c.Read(make([]byte, 4096)); err == nil {
			_, _ = c.Write([]byte(cut[:len(cut)-2]))
		}
	}), nil, healthd.WrongAnswer, "closed without one")
}

// pingRequest is what a check without further keys sends.
func pingRequest(t *testing.T) []byte {
	t.Helper()
	heard := make(chan []byte, 1)
	address := greeter(t, func(c net.Conn) {
		raw := make([]byte, 4096)
		n, _ := c.Read(raw)
		heard <- raw[:n]
	})
	judged(t, "fastcgi", address, nil, healthd.WrongAnswer, "closed without one")
	return <-heard
}

func FuzzFastCGI(f *testing.F) {
	f.Add(fastcgiRecord(fastcgiRecord(nil, fcgiStdout, []byte("Status: 200 OK\r\n\r\npong")), fcgiEnd, make([]byte, 8)))
	f.Add([]byte("\x01\x06\x00\x01\x00\x02\x02\x00abxx"))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := readFastCGI(bytes.NewReader(raw))
		if err != nil {
			return
		}
		if len(a.out)+len(a.err) > len(raw) {
			t.Errorf("%d bytes of %d", len(a.out)+len(a.err), len(raw))
		}
		if status, body, err := cgiAnswer(a.out); err == nil && (status < 100 || status > 599 || !strings.HasSuffix(a.out, body)) {
			t.Errorf("%q is read as %d, %q", a.out, status, body)
		}
	})
}
