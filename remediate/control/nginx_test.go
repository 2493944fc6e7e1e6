package control

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/lbmedic/lbmedic/healthd/client"
	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
	"github.com/lbmedic/lbmedic/lbconfig/nginx"
	"github.com/lbmedic/lbmedic/remediate"
)

// An operator drains one upstream server of a real nginx and puts it back: its requests stop, nobody else's do, and the
// file ends as it began, byte for byte.
func TestAnOrderOnNginxIsOneWordAndAReload(t *testing.T) {
	peertest.Each(t, "nginx", func(t *testing.T, prog peer.Program) {
		dir := peertest.Dir(t)
		address := fmt.Sprintf("127.0.0.1:%d", peertest.Port(t))
		var hits [2]atomic.Int64
		var lines strings.Builder
		var names [2]string
		for i := range hits {
			app := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits[i].Add(1) }))
			t.Cleanup(app.Close)
			names[i] = app.Listener.Addr().String()
			fmt.Fprintf(&lines, "        server %s weight=2; # app %d\n", names[i], i)
		}
		config := peer.NginxMain(dir) + "events {}\nhttp {\n" + peer.NginxTemp(dir) + "    upstream web {\n        zone web 64k;\n" + lines.String() +
			"    }\n    server { listen " + address + "; location / { proxy_pass http://web; } }\n}\n"
		n := peertest.Nginx(t, prog, dir, config, address)

		book := openBook(t, filepath.Join(dir, "state"))
		defer book.Close()
		sidecars := NewSidecars(client.New(client.Settings{}))
		defer sidecars.Close()
		ctl := New(Settings{Name: "internal", Policy: func(time.Time) remediate.Policy { return remediate.DefaultPolicy() }}, &Nginx{Edit: true, Instance: &nginx.Instance{
			Validator: nginx.Validator{Program: prog.Path, Prefix: dir, Conf: n.Config}, PIDFile: n.PIDFile}}, book, sidecars, zaptest.NewLogger(t))

		request := func(times int) {
			t.Helper()
			for range times {
				resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Post("http://"+address, "text/plain", strings.NewReader("x"))
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					t.Fatalf("got %s", resp.Status)
				}
			}
		}
		order := func(want remediate.Verb) {
			t.Helper()
			if err := ctl.Do(t.Context(), Order{Backend: "web", Server: names[0], Want: want, By: "alice"}); err != nil {
				t.Fatal(err)
			}
		}

		request(10)
		if hits[0].Load() == 0 {
			t.Fatal("nothing reaches app 0 although it is in")
		}
		order(remediate.Drain)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := ctl.AwaitDrained(ctx, "web", names[0], func(p Progress) { t.Log(p) }); err != nil {
			t.Fatal(err)
		}
		before := hits[0].Load()
		request(10)
		if hits[0].Load() != before {
			t.Error("requests reach a drained server")
		}
		if err := ctl.Do(t.Context(), Order{Backend: "web", Server: names[1], Want: remediate.Drain, By: "alice", Force: true}); err == nil || !strings.Contains(err.Error(), "last-server") {
			t.Errorf("the last server: %v", err)
		}
		order(remediate.Ready)
		request(10)
		if hits[0].Load() == before {
			t.Error("nothing reaches app 0 although it is in again")
		}
		if got, err := os.ReadFile(n.Config); err != nil || string(got) != config {
			t.Errorf("the file ends as %s, %v", got, err)
		}
	})
}

// The word stands in the file, and whoever wrote it was killed before the reload.
func TestAnOrderMakesLiveWhatWasOnlyWritten(t *testing.T) {
	peertest.Each(t, "nginx", func(t *testing.T, prog peer.Program) {
		dir := peertest.Dir(t)
		address := fmt.Sprintf("127.0.0.1:%d", peertest.Port(t))
		var hits atomic.Int64
		app := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
		t.Cleanup(app.Close)
		other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		t.Cleanup(other.Close)
		name := app.Listener.Addr().String()
		config := peer.NginxMain(dir) + "events {}\nhttp {\n" + peer.NginxTemp(dir) + "    upstream web { zone web 64k; server " + name + "; server " + other.Listener.Addr().String() +
			"; }\n    server { listen " + address + "; location / { proxy_pass http://web; } }\n}\n"
		n := peertest.Nginx(t, prog, dir, config, address)
		b := &Nginx{Edit: true, Instance: &nginx.Instance{Validator: nginx.Validator{Program: prog.Path, Prefix: dir, Conf: n.Config}, PIDFile: n.PIDFile}}
		reached := func() bool {
			t.Helper()
			before := hits.Load()
			for range 10 {
				resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + address)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
			}
			return hits.Load() > before
		}
		workers := func() (pids []int) {
			t.Helper()
			all, err := nginx.Workers(n.PID())
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range all {
				if !w.ShuttingDown {
					pids = append(pids, w.PID)
				}
			}
			return pids
		}

		for written := false; !written; { // later than the workers, on clocks with ticks of 10 ms
			if err := n.WriteConfig(strings.Replace(config, name+";", name+" down;", 1)); err != nil {
				t.Fatal(err)
			}
			pending, err := b.Instance.Pending(b.Instance.Load())
			if err != nil {
				t.Fatal(err)
			}
			written = pending[n.Config]
		}
		if !reached() {
			t.Fatal("out without a reload")
		}
		book := openBook(t, filepath.Join(dir, "state"))
		defer book.Close()
		sidecars := NewSidecars(client.New(client.Settings{}))
		defer sidecars.Close()
		ctl := New(Settings{Name: "internal", Policy: func(time.Time) remediate.Policy { return remediate.DefaultPolicy() }}, b, book, sidecars, zaptest.NewLogger(t))
		if err := ctl.Do(t.Context(), Order{Backend: "web", Server: name, Want: remediate.Drain, By: "alice"}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := ctl.AwaitDrained(ctx, "web", name, func(p Progress) { t.Log(p) }); err != nil {
			t.Fatal(err)
		}
		if reached() {
			t.Error("requests reach a drained server")
		}
		before := workers()
		again := remediate.Action{Target: remediate.Target{Backend: "web", Server: name}, Verb: remediate.Drain}
		if result, why := b.Act(t.Context(), remediate.Generation{}, again); result != remediate.Done || why != "it is so already" {
			t.Errorf("a second time: %v %s", result, why)
		}
		if after := workers(); !slices.Equal(before, after) {
			t.Errorf("reloaded without need: %v, then %v", before, after)
		}
	})
}

// Somebody's edit that awaits its reload neither ends an order nor fulfils one.
func TestWhatIsOnlyWrittenDoesNotCount(t *testing.T) {
	out := remediate.ForcedMaint | remediate.ForcedDrain
	known := map[string]remediate.Admin{"web in": 0, "web out": out}
	for name, tt := range map[string]struct {
		live          map[string]remediate.Admin
		key           string
		written, want remediate.Admin
	}{
		"out, the word is gone":  {known, "web out", 0, out},
		"out, another edit":      {known, "web out", out, out},
		"in, the word is there":  {known, "web in", out, 0},
		"a new server":           {known, "web new", out, out},
		"never seen live":        {nil, "web out", out, 0},
		"never seen live and in": {nil, "web in", 0, 0},
	} {
		if got := (&Nginx{live: tt.live}).lived(tt.key, tt.written); got != tt.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// A folder of many files is read when one of them changes, and not each two seconds.
func TestAnIdleNginxIsNotReadAgain(t *testing.T) {
	dir := peertest.Dir(t)
	address := fmt.Sprintf("127.0.0.1:%d", peertest.Port(t))
	if err := os.Mkdir(filepath.Join(dir, "more.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	config := peer.NginxMain(dir) + "events {}\nhttp {\n" + peer.NginxTemp(dir) + "    include more.d/*.conf;\n    upstream web { server 127.0.0.1:1; server 127.0.0.1:2; }\n" +
		"    server { listen " + address + "; location / { proxy_pass http://web; } }\n}\n"
	n := peertest.Nginx(t, peertest.One(t, "nginx"), dir, config, address)
	b := &Nginx{Instance: &nginx.Instance{Validator: nginx.Validator{Prefix: dir, Conf: n.Config}, PIDFile: n.PIDFile}}
	servers := func() (count int) {
		t.Helper()
		seen, err := b.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if seen.Denied != noEdit {
			t.Errorf("orders are taken: %q", seen.Denied)
		}
		for _, u := range seen.Backends {
			count += len(u.Servers)
		}
		return count
	}
	if servers() != 2 {
		t.Fatal("the first look")
	}
	if b.seen.whole {
		t.Error("a file that was written a moment ago is relied upon")
	}
	b.seen.whole = true // as it is a moment later
	before := b.seen
	if servers(); b.seen != before {
		t.Error("it was read again although nothing changed")
	}
	more := filepath.Join(dir, "more.d", "more.conf")
	if err := os.WriteFile(more, []byte("upstream more { server 127.0.0.1:3; }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if servers() != 3 {
		t.Error("a new file was not seen")
	}
	b.seen.whole = true
	if err := os.WriteFile(more, []byte("upstream more { server 127.0.0.1:3; server 127.0.0.1:4; }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if servers() != 4 {
		t.Error("a change was not seen")
	}
	b.seen.whole = true
	n.Stop()
	if _, err := b.Observe(t.Context()); err == nil {
		t.Error("a master that has ended was not missed")
	}
}
