package admin

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// A controller may be another version, broken or taken over: whatever it says is bounded, shown as text, and a confirmation only where it is one.
func TestOnlyAConfirmationIsTakenForOne(t *testing.T) {
	ca := newAuthority(t, "ca")
	cert, key := ca.issue("both", "sidecar.example", nil)
	answers := map[string]struct {
		answer http.HandlerFunc
		want   WitnessState
		detail string
	}{
		"drained": {says(`{"state":"drained","servers":[{"target":"a/b/c","state":"drained"}]}`), WitnessDrained, ""},
		"absent":  {says(`{"state":"absent","servers":[]}`), WitnessAbsent, "it has no server at 127.0.0.9:8080"},
		"one row is not drained": {says(`{"state":"drained","servers":[{"target":"a/b/c","state":"draining"}]}`),
			WitnessDraining, ""},
		"one row is not known": {says(`{"state":"drained","servers":[{"target":"a/b/c","state":"better"}]}`), WitnessUnknown, ""},
		"another word":         {says(`{"state":"gone"}`), WitnessUnknown, `not known here: gone`},
		"no word":              {says(`{}`), WitnessUnknown, "not known here"},
		"no object":            {says(`[]`), WitnessUnknown, "cannot be read"},
		"half an object":       {says(`{"state":"drained"`), WitnessUnknown, "cannot be read"},
		"a web page":           {says(`<html>drained</html>`), WitnessUnknown, "cannot be read"},
		"codes for a terminal": {says(`{"state":"unknown","detail":"\u001b[2J\nall is well"}`), WitnessUnknown, `\x1b[2J\nall is well`},
		"another status": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, `{"state":"drained"}`, http.StatusTeapot) },
			WitnessUnknown, "no lbmedic: status 418"},
		"another place": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://127.0.0.1:1/", http.StatusFound)
		},
			WitnessUnknown, "no lbmedic: status 302"},
		"no end": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"state":"drained","detail":"`)
			for range 64 {
				if _, err := io.WriteString(w, strings.Repeat("x", 64<<10)); err != nil {
					return
				}
			}
		}, WitnessUnknown, "cannot be read"},
		"many rows and one is not drained": {says(`{"state":"drained","servers":[` + strings.Repeat(`{"target":"a/b/c","state":"drained"},`, 2000) +
			`{"target":"a/b/c","state":"draining"}]}`), WitnessDraining, ""},
		"many rows": {says(`{"state":"drained","servers":[` + strings.Repeat(`{"target":"a/b/c","state":"drained"},`, 2000) +
			`{"target":"a/b/c","state":"drained"}]}`), WitnessDrained, ""},
	}
	for name, c := range answers {
		server := httptest.NewUnstartedServer(c.answer)
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}
		server.StartTLS()
		w, err := NewWitnesses(WitnessSettings{Controllers: []string{server.URL}, CA: ca.file, Cert: cert, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		ack := w.ask(t.Context(), func(bool) []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort(appAddress)} })[0]
		if ack.State != c.want || !strings.Contains(ack.Detail, c.detail) || len(ack.Servers) > maxTold || len(ack.Detail) > 300 {
			t.Errorf("%s: %+v, want %s and %q", name, ack, c.want, c.detail)
		}
		server.Close()
	}
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, text)
	}
}
