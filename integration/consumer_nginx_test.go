package integration

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// nginxConfig has three ways in which nginx takes the word of /health: one instance served through, a cache before it that is
// told to keep everything, and whichever of two instances is fit, with a page of its own where none is.
func nginxConfig(dir, address string, a, b *patient) string {
	return peer.NginxMain(dir) + "events {}\nhttp {\n" + peer.NginxTemp(dir) + fmt.Sprintf(`
    proxy_cache_path %s/cache keys_zone=kept:1m;
    upstream farm {
        server %s max_fails=0;
        server %s max_fails=0;
    }
    server {
        listen %s;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        location /health { proxy_pass http://%[2]s; }
        location /cached {
            proxy_pass http://%[2]s/health/web;
            proxy_cache kept;
            proxy_cache_valid any 10m;
        }
        location = /any {
            proxy_pass http://farm/health/web;
            proxy_next_upstream error timeout http_503;
            proxy_connect_timeout 1s;
            proxy_intercept_errors on;
            error_page 502 503 =503 @nobody;
        }
        location @nobody { return 503 "nobody is fit\n"; }
    }
}
`, dir, a.http, b.http, address)
}

func TestNginxTakesTheWordOfHealth(t *testing.T) {
	t.Parallel()
	peertest.Each(t, "nginx", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		a, b := newPatient(t, ""), newPatient(t, "")
		dir, address := peertest.Dir(t), fmt.Sprintf("127.0.0.1:%d", peertest.Port(t))
		peertest.Nginx(t, prog, dir, nginxConfig(dir, address, a, b), address)
		front := "http://" + address

		for _, s := range []state{passing, warning, failing, drained, passing} {
			a.be(s)
			through, direct := get(front+"/health/web"), a.get("/health/web")
			if through.code != direct.code || through.header.Get("Content-Type") != direct.header.Get("Content-Type") ||
				through.header.Get("Retry-After") != direct.header.Get("Retry-After") || through.header.Get("Lbmedic-State") != direct.header.Get("Lbmedic-State") {
				t.Errorf("%s: through nginx %d %v, directly %d %v", s, through.code, through.header, direct.code, direct.header)
			}
			if cached := get(front + "/cached"); cached.code != direct.code {
				t.Errorf("%s: a cache that keeps everything says %d, the sidecar %d", s, cached.code, direct.code)
			}
			if any := get(front + "/any"); any.code != http.StatusOK {
				t.Errorf("%s, and the other instance is fit: nginx says %d %q", s, any.code, any.body)
			}
		}
		warn := get(front + "/health/web?warn=429&drain=404")
		if a.be(drained); warn.code != http.StatusOK || get(front+"/health/web?warn=429&drain=404").code != http.StatusNotFound {
			t.Errorf("the query does not come through nginx")
		}

		b.be(failing)
		nobody(t, front, "one is drained and the other fails")
		a.end(syscall.SIGKILL)
		nobody(t, front, "one is gone and the other fails")
		b.be(passing)
		if got := get(front + "/any"); got.code != http.StatusOK {
			t.Errorf("one is gone and the other is fit: nginx says %d %q", got.code, got.body)
		}
	})
}

// nobody checks that nginx shows its own page.
func nobody(t *testing.T, front, when string) {
	t.Helper()
	if got := get(front + "/any"); got.code != http.StatusServiceUnavailable || got.body != "nobody is fit" {
		t.Errorf("%s: nginx says %d %q", when, got.code, got.body)
	}
}

// Who comes through nginx is a stranger where nginx says for whom it asks, and learns neither checks nor addresses.
func TestWhoComesThroughNginxIsToldNoDetails(t *testing.T) {
	t.Parallel()
	peertest.Each(t, "nginx", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		p := newPatient(t, "  tokens: [let-me-see-all-of-it-0001]\n")
		dir, address := peertest.Dir(t), fmt.Sprintf("127.0.0.1:%d", peertest.Port(t))
		peertest.Nginx(t, prog, dir, nginxConfig(dir, address, p, p), address)
		p.be(failing)
		for _, path := range []string{"/health", "/health/web", "/health/by-port/8080"} {
			through := get("http://" + address + path)
			if through.code != http.StatusServiceUnavailable || strings.Contains(through.body, "app") || strings.Contains(through.body, p.app) {
				t.Errorf("GET %s through nginx: %d %s", path, through.code, through.body)
			}
			if !strings.Contains(p.get(path).body, "app: status 503") {
				t.Errorf("GET %s on loopback: %s", path, p.get(path).body)
			}
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/health/web", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer let-me-see-all-of-it-0001")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body := text(t, resp.Body); !strings.Contains(body, "app: status 503") {
			t.Errorf("a token holder is told %s", body)
		}
	})
}
