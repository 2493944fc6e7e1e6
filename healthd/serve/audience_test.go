package serve

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/lbmedic/lbmedic/healthd"
)

// details reports whether an answer tells more than strangers read.
func details(t *testing.T, address, source string, header http.Header, host string) bool {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+address+"/health/web", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header, r.Host = header, host
	resp, err := caller(source).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Www-Authenticate") != "" {
		t.Fatalf("%d %v %s %v", resp.StatusCode, resp.Header, body, err)
	}
	told := strings.Contains(string(body), "seen refused")
	if !told && string(body) != "{\"status\":\"fail\"}\n" {
		t.Errorf("a stranger reads %s", body)
	}
	return told
}

func TestDetailsAreForLoopbackAndTokenHolders(t *testing.T) {
	b := board(t)
	report(b, "web/app", healthd.Refused, 3)
	bearer := func(v ...string) http.Header { return http.Header{"Authorization": v} }
	far := foreign(t)
	near := serving(t, "127.0.0.1:0", NewHTTP(HTTPSettings{Source: b, Tokens: []string{"old-token", "new-token", ""}}))
	distant := serving(t, far+":0", NewHTTP(HTTPSettings{Source: b, Tokens: []string{"old-token", "new-token", ""}}))
	locked := serving(t, far+":0", NewHTTP(HTTPSettings{Source: b, Tokens: []string{""}}))
	for name, c := range map[string]struct {
		address string
		header  http.Header
		host    string
		want    bool
	}{
		"loopback":                           {near, nil, "", true},
		"loopback by name":                   {near, nil, "localhost:7780", true},
		"loopback by the host's own name":    {near, nil, "app1", true},
		"loopback by address":                {near, nil, "[::1]:7780", true},
		"a browser led here by a name":       {near, nil, "rebind.example.com:7780", false},
		"through a proxy":                    {near, http.Header{"X-Forwarded-For": {"10.0.0.1"}}, "", false},
		"through a proxy, an empty header":   {near, http.Header{"X-Forwarded-For": {""}}, "", false},
		"through a proxy, RFC 7239":          {near, http.Header{"Forwarded": {"for=10.0.0.1"}}, "", false},
		"through nginx":                      {near, http.Header{"X-Real-Ip": {"10.0.0.1"}}, "", false},
		"through a cache":                    {near, http.Header{"Via": {"1.1 cache"}}, "", false},
		"through a proxy with a token":       {near, http.Header{"X-Forwarded-For": {"10.0.0.1"}, "Authorization": {"Bearer new-token"}}, "", true},
		"from afar":                          {distant, nil, "", false},
		"from afar with a token":             {distant, bearer("Bearer new-token"), "", true},
		"from afar with the token before":    {distant, bearer("bearer  old-token"), "", true},
		"a wrong token":                      {distant, bearer("Bearer new-tokeN"), "", false},
		"a token and more":                   {distant, bearer("Bearer new-token2"), "", false},
		"no token":                           {distant, bearer("Bearer "), "", false},
		"a token without a scheme":           {distant, bearer("new-token"), "", false},
		"another scheme":                     {distant, bearer("Basic new-token"), "", false},
		"two headers":                        {distant, bearer("Bearer new-token", "Bearer new-token"), "", false},
		"a long one":                         {distant, bearer("Bearer " + strings.Repeat("x", 2000)), "", false},
		"an empty token where none is given": {locked, bearer("Bearer "), "", false},
		"a wrong token from loopback":        {near, bearer("Bearer wrong"), "", true},
	} {
		t.Run(name, func(t *testing.T) {
			source := "127.0.0.1"
			if c.address != near {
				source = far
			}
			if told := details(t, c.address, source, c.header, c.host); told != c.want {
				t.Errorf("told details: %v", told)
			}
		})
	}
}

func TestMetricsAreDetails(t *testing.T) {
	b := board(t)
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "lbmedic_up 1\n") })
	h := NewHTTP(HTTPSettings{Source: b, Tokens: []string{token}, Metrics: metrics})
	if w := tell(t, h, "/metrics", "", true); w.Code != 200 || w.Body.String() != "lbmedic_up 1\n" {
		t.Errorf("a holder reads %d %s", w.Code, w.Body)
	}
	if w := tell(t, h, "/metrics", "", false); w.Code != 404 {
		t.Errorf("a stranger reads %d %s", w.Code, w.Body)
	}
}

func FuzzToken(f *testing.F) {
	for _, seed := range []string{"", "Bearer", "Bearer ", "bearer right", "Bearer right ", "Bearer  right", "Basic cmlnaHQ=", "Bearer right, Bearer wrong", "\xff\x00"} {
		f.Add(seed)
	}
	tokens := NewTokens([]string{"right", "also-right"})
	f.Fuzz(func(t *testing.T, header string) {
		held := tokens.Held([]string{header})
		fields := strings.SplitN(header, " ", 2)
		right := len(fields) == 2 && strings.EqualFold(fields[0], "bearer") &&
			(strings.TrimLeft(fields[1], " ") == "right" || strings.TrimLeft(fields[1], " ") == "also-right") && len(header) <= maxToken
		if held != right {
			t.Errorf("%q is held: %v", header, held)
		}
		if tokens.Held([]string{header, header}) || tokens.Held(nil) || NewTokens(nil).Held([]string{header}) {
			t.Errorf("%q opens what it must not", header)
		}
	})
}
