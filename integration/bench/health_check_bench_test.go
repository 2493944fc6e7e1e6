package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/check"
	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// TestBenchCheck weighs the CPU that one http check costs us against net/http over a fresh connection, both asking a real nginx.
func TestBenchCheck(t *testing.T) {
	asked(t)
	const rounds, each = 9, 500
	dir := peertest.Dir(t)
	address := fmt.Sprintf("127.0.0.1:%d", peertest.Port(t))
	peertest.Nginx(t, peertest.One(t, "nginx"), dir,
		peer.NginxMain(dir)+"events {}\nhttp {\n"+peer.NginxTemp(dir)+"    access_log off;\n    server { listen "+address+"; return 200 ok; }\n}\n", address)
	url := "http://" + address + "/healthz"

	ask, err := check.New("http", []string{url}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ours := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if o := ask(ctx); o.Class != healthd.OK {
			return fmt.Errorf("%s: %s", o.Class, o.Detail)
		}
		return nil
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{}).DialContext}}
	plain := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return err
	}
	var a, b []float64
	for range rounds {
		a = append(a, cpuEach(t, each, ours))
		b = append(b, cpuEach(t, each, plain))
	}
	t.Logf("one http check: %.0f us of CPU; net/http over a fresh connection: %.0f us; ratio %.2f (%d rounds of %d)",
		median(a), median(b), median(a)/median(b), rounds, each)
	if median(a) > median(b) {
		t.Error("our own way is dearer than net/http, which would do")
	}
}

// cpuEach is the CPU time of this process for one call, in microseconds.
func cpuEach(t *testing.T, n int, call func() error) float64 {
	t.Helper()
	before := cpu(t)
	for range n {
		if err := call(); err != nil {
			t.Fatal(err)
		}
	}
	return float64((cpu(t) - before).Microseconds()) / float64(n)
}

func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
