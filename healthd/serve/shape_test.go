package serve

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/lbmedic/lbmedic/healthd"
)

var update = flag.Bool("update", false, "write testdata anew")

// frozen is a source whose state does not change.
type frozen struct{ snapshot *healthd.Snapshot }

func (s frozen) Latest() *healthd.Snapshot { return s.snapshot }

func (s frozen) Wait(ctx context.Context, after uint64) (*healthd.Snapshot, error) {
	if s.snapshot.Generation > after {
		return s.snapshot, nil
	}
	<-ctx.Done()
	return s.snapshot, ctx.Err()
}

// states are those of testdata/states, by name.
func states(t testing.TB) map[string]*healthd.Snapshot {
	t.Helper()
	files, err := filepath.Glob("testdata/states/*.json")
	if err != nil || len(files) < 9 {
		t.Fatal(files, err)
	}
	all := map[string]*healthd.Snapshot{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s := &healthd.Snapshot{}
		if err := json.Unmarshal(text, s); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".json")] = s
	}
	return all
}

const token = "a-token-of-some-length"

// tell asks a server of one state for a path, as an insider by token or as a stranger.
func tell(t testing.TB, h *HTTP, path, accept string, inside bool) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	if inside {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// requests are those whose answers testdata/shapes keeps, by file.
var requests = map[string]struct{ accept, whole, service string }{
	"health":       {"", "/health", "/health/web"},
	"actuator":     {"", "/actuator/health", "/actuator/health/web"},
	"microprofile": {"application/json", "/health/ready", "/health/web"},
	"plain":        {"text/plain", "/health", "/health/web"},
	"kubernetes":   {"", "/readyz?verbose", "/readyz/web?verbose"},
}

// Each file in testdata/shapes holds one shape of every state: about the service for an insider, in brief and for a stranger, and about
// the whole instance for an insider and a stranger.
func TestEveryShapeOfEveryState(t *testing.T) {
	all := states(t)
	for shape, ask := range requests {
		t.Run(shape, func(t *testing.T) {
			var got txtar.Archive
			for _, state := range slices.Sorted(maps.Keys(all)) {
				h := NewHTTP(HTTPSettings{Source: frozen{all[state]}, Tokens: []string{token}})
				briefly := with(ask.service, "brief")
				for _, c := range []struct {
					name, path string
					inside     bool
				}{
					{"insider", ask.service, true}, {"brief", briefly, true}, {"stranger", ask.service, false},
					{"whole", ask.whole, true}, {"whole-stranger", ask.whole, false},
				} {
					w := tell(t, h, c.path, ask.accept, c.inside)
					text := fmt.Sprintf("%d %s\n", w.Code, w.Header().Get("Content-Type"))
					for _, name := range []string{"Lbmedic-State", "Retry-After"} {
						if v := w.Header().Get(name); v != "" {
							text += name + ": " + v + "\n"
						}
					}
					got.Files = append(got.Files, txtar.File{Name: state + "/" + c.name, Data: []byte(text + "\n" + w.Body.String())})
				}
			}
			name := filepath.Join("testdata", "shapes", shape+".txtar")
			if *update {
				if err := os.WriteFile(name, txtar.Format(&got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			same(t, &got, want)
		})
	}
}

func with(path, parameter string) string {
	if strings.Contains(path, "?") {
		return path + "&" + parameter
	}
	return path + "?" + parameter
}

func same(t *testing.T, got, want *txtar.Archive) {
	t.Helper()
	if len(got.Files) != len(want.Files) {
		t.Fatalf("%d answers, want %d; look at the difference after go test -update", len(got.Files), len(want.Files))
	}
	for i, f := range got.Files {
		if w := want.Files[i]; f.Name != w.Name || string(f.Data) != string(w.Data) {
			t.Errorf("%s is\n%swant %s\n%s", f.Name, f.Data, w.Name, w.Data)
		}
	}
}

// The same numbers are in every shape that has numbers, the same verdict decides every code, and strangers see none of them.
func TestTheSameNumbersEverywhere(t *testing.T) {
	for state, s := range states(t) {
		h := NewHTTP(HTTPSettings{Source: frozen{s}, Tokens: []string{token}})
		web := &s.Services[0]
		var numbers []string
		if Weight(web) < 100 { // health+json is silent about all of it
			numbers = append(numbers, fmt.Sprint(Weight(web)))
		}
		for i := range web.Checks {
			c := read(&web.Checks[i])
			for _, f := range []*float64{c.Value, c.P50, c.P95, c.P99} {
				if f != nil {
					numbers = append(numbers, number(*f))
				}
			}
		}
		code := tell(t, h, "/health", "", true).Code
		for shape, ask := range requests {
			for _, path := range []string{ask.whole, ask.service} {
				w := tell(t, h, path, ask.accept, true)
				if w.Code != code {
					t.Errorf("%s: %s of %s has the code %d, and /health %d", state, shape, path, w.Code, code)
				}
				if stranger := tell(t, h, path, ask.accept, false); stranger.Code != code {
					t.Errorf("%s: %s of %s has the code %d for a stranger", state, shape, path, stranger.Code)
				}
				if state == "damped" && shape != "kubernetes" && !strings.Contains(w.Body.String(), "damped") {
					t.Errorf("%s of %s does not say so: %s", shape, path, w.Body)
				}
				for _, n := range numbers {
					if shape != "kubernetes" && !strings.Contains(w.Body.String(), n) {
						t.Errorf("%s: %s of %s lacks %s: %s", state, shape, path, n, w.Body)
					}
				}
			}
		}
		for path, want := range map[string]int{"/-/healthy": 200, "/livez": 200, "/health/live": 200, "/actuator/health/liveness": 200,
			"/-/ready": code, "/health/ready": code, "/actuator/health/readiness": code, "/readyz": code,
			"/health/started": map[bool]int{true: 503, false: 200}[state == "starting"]} {
			if w := tell(t, h, path, "", false); w.Code != want {
				t.Errorf("%s: %s has the code %d, want %d", state, path, w.Code, want)
			}
		}
	}
}

// Whatever a state holds, a stranger's body has the status and the names of failing shared dependencies, and nothing else of it.
func TestStrangersReadStatusAndSharedNamesOnly(t *testing.T) {
	for state, s := range states(t) {
		h := NewHTTP(HTTPSettings{Source: frozen{s}, Tokens: []string{token}})
		for shape, ask := range requests {
			for _, path := range []string{ask.whole, ask.service, with(ask.service, "exclude=web/app")} {
				body := tell(t, h, path, ask.accept, false).Body.String()
				for _, secret := range []string{"app", "web", "disk", "deploy", "status 200", "refused", "responseTime", "/var", "descriptors", "not held", "primary", "weight", "operator"} {
					if strings.Contains(body, secret) {
						t.Errorf("%s: %s tells a stranger %q: %s", state, shape, secret, body)
					}
				}
				if strings.Contains(body, "orders") != (state == "suspect") {
					t.Errorf("%s: %s tells a stranger: %s", state, shape, body)
				}
			}
		}
		if body := tell(t, h, "/health/nobody", "", false).Body.String(); strings.Contains(body, "web") {
			t.Errorf("a stranger learns what services there are: %s", body)
		}
		if w := tell(t, h, "/health/nobody", "", true); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "web") {
			t.Errorf("an insider is not helped: %s", w.Body)
		}
	}
}
