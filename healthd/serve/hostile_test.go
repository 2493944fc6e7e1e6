package serve

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// Whatever is sent, each connection gets an answer of ours or none, is ended in time, and the next caller is served.
func TestHostileRequests(t *testing.T) {
	b := board(t)
	report(b, "web/app", healthd.OK, 1)
	address := serving(t, "127.0.0.1:0", NewHTTP(HTTPSettings{Source: b}))
	headers := strings.Repeat("X-Many: 1\r\n", 10_000)
	for name, c := range map[string]struct {
		sent  string
		codes []int // of the answers, in order; nil for whatever is no success
	}{
		"as it should be":              {"GET /health/web HTTP/1.1\r\nHost: x\r\n\r\n", []int{200}},
		"HTTP/1.0":                     {"GET /health/web HTTP/1.0\r\n\r\n", []int{200}},
		"HTTP/1.0 that keeps alive":    {"GET /health/web HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /livez HTTP/1.0\r\n\r\n", []int{200, 200}},
		"HTTP/0.9":                     {"GET /health/web\r\n\r\n", []int{400}},
		"HTTP/2 without asking":        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", nil},
		"HTTP/9":                       {"GET /health HTTP/9.9\r\nHost: x\r\n\r\n", []int{505}},
		"10,000 header lines":          {"GET /health/web HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n", []int{431}},
		"a header line without end":    {"GET /health/web HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("y", 1<<20), []int{431}},
		"a path of 7 KB":               {"GET /health/" + strings.Repeat("a", 7000) + " HTTP/1.1\r\nHost: x\r\n\r\n", []int{404}},
		"a path of a megabyte":         {"GET /" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n", nil},
		"an absolute target":           {"GET http://elsewhere/health/web HTTP/1.1\r\nHost: x\r\n\r\n", []int{200}},
		"an absolute target elsewhere": {"GET http://169.254.169.254/latest HTTP/1.1\r\nHost: x\r\n\r\n", []int{404}},
		"CONNECT":                      {"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n", []int{405}},
		"OPTIONS of everything":        {"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", []int{405}},
		"TRACE":                        {"TRACE /health HTTP/1.1\r\nHost: x\r\n\r\n", []int{405}},
		"a body":                       {"GET /health/web HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /livez HTTP/1.1\r\nHost: x\r\n\r\n", []int{200, 200}},
		"two lengths":                  {"GET /health/web HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", []int{400}},
		"a length and chunks":          {"GET /health/web HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", []int{200}},
		"pipelined":                    {strings.Repeat("GET /health/web HTTP/1.1\r\nHost: x\r\n\r\n", 50), repeated(200, 50)},
		"an encoded slash":             {"GET /health/web%2fapp HTTP/1.1\r\nHost: x\r\n\r\n", []int{404}},
		"a broken escape":              {"GET /health/%zz HTTP/1.1\r\nHost: x\r\n\r\n", []int{400}},
		"a NUL":                        {"GET /health/web%00 HTTP/1.1\r\nHost: x\r\n\r\n", []int{404}},
		"out of the tree":              {"GET /health/../../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", []int{404}},
		"out of the tree, encoded":     {"GET /health/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", []int{404}},
		"a name of two lines":          {"GET /health/web%0d%0aX-Evil:%201 HTTP/1.1\r\nHost: x\r\n\r\n", []int{404}},
		"a query without end":          {"GET /health/web?" + strings.Repeat("a=1&", 1500) + " HTTP/1.1\r\nHost: x\r\n\r\n", []int{200}},
		"semicolons":                   {"GET /health/web?warn=429;drain=404 HTTP/1.1\r\nHost: x\r\n\r\n", []int{400}},
		"an upgrade":                   {"GET /health/web HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", []int{200}},
		"no host":                      {"GET /health/web HTTP/1.1\r\n\r\n", []int{400}},
		"TLS":                          {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 32) + "\r\n\r\n", nil},
		"the agent-check's name":       {"web\n\n", []int{400}},
	} {
		t.Run(name, func(t *testing.T) {
			got := converse(t, address, c.sent, max(1, len(c.codes)))
			if c.codes == nil && (len(got) == 0 || got[0] >= 400) {
				return
			}
			if fmt.Sprint(got) != fmt.Sprint(c.codes) {
				t.Errorf("answers %v, want %v", got, c.codes)
			}
		})
	}
	if resp, body := get(t, "GET", "http://"+address+"/health/web"); resp.StatusCode != 200 {
		t.Errorf("the next caller gets %d %s", resp.StatusCode, body)
	}
}

func repeated(code, times int) (codes []int) {
	for range times {
		codes = append(codes, code)
	}
	return codes
}

// converse sends bytes and gives the status codes of at most so many answers; none after the connection ends.
func converse(t *testing.T, address, sent string, most int) (codes []int) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = io.WriteString(c, sent) // it may be cut short, which is an answer too
	}()
	defer func() { _ = c.Close(); <-written }()
	r := bufio.NewReader(c)
	for len(codes) < most {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return codes
		}
		body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		if err != nil {
			return codes
		}
		for _, leaked := range []string{"root:", "X-Evil: 1\r\n"} {
			if strings.Contains(string(body), leaked) || resp.Header.Get("X-Evil") != "" {
				t.Errorf("the answer holds %q: %s", leaked, body)
			}
		}
		codes = append(codes, resp.StatusCode)
	}
	return codes
}
