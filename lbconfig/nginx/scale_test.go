package nginx

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Ten thousand servers are an ordinary day for a generated file.
func TestTenThousandServersAreReadAtOnce(t *testing.T) {
	var b strings.Builder
	b.WriteString("http {\n")
	for u := range 100 {
		fmt.Fprintf(&b, "upstream u%d {\n", u)
		for s := range 100 {
			fmt.Fprintf(&b, "    server 10.%d.%d.1:8080 weight=10 max_fails=3 fail_timeout=5s; # rack %d\n", u, s, s)
		}
		b.WriteString("}\n")
	}
	b.WriteString("}\n")
	began := time.Now()
	got := edited(t, closureOf(memory{"/n": b.String()}), "u99", "10.99.99.1:8080", true)
	if took := time.Since(began); len(got) != b.Len()+len(" down") || took > 5*time.Second {
		t.Errorf("%d bytes after %s", len(got), took)
	}
	t.Logf("%d bytes read and edited in %s", b.Len(), time.Since(began))
}

func TestAnyFileIsReadInLinearTime(t *testing.T) {
	for _, unit := range []string{"a;", "a {}", "\\", "\"", "' ", "#\n", "${", "}", "a\n"} {
		began := time.Now()
		parse(strings.Repeat(unit, (4<<20)/len(unit)))
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%q took %s", unit, took)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	text := "http { upstream u {\n" + strings.Repeat("    server 10.0.0.1:8080 weight=10 max_fails=3; # rack\n", 10_000) + "} }\n"
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		parse(text)
	}
}

// Processes end at any moment while /proc is read.
func TestVanishingProcessesAreNoError(t *testing.T) {
	stop := make(chan struct{})
	churn := make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				churn <- nil
				return
			default:
				if err := exec.Command("/bin/true").Run(); err != nil {
					churn <- err
					return
				}
			}
		}
	}()
	for range 50 {
		if _, err := Instances(); err != nil {
			t.Error(err)
		}
		if _, err := Workers(1); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	if err := <-churn; err != nil {
		t.Fatal(err)
	}
}
