//go:build !lite

package check

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// targets of the kinds with drivers of others, by the address of a server.
var driven = map[string]func(address string) string{
	"kafka":    func(address string) string { return address },
	"mongodb":  func(address string) string { return "mongodb://probe:" + planted + "@" + address },
	"mysql":    func(address string) string { return "probe:" + planted + "@tcp(" + address + ")/" },
	"postgres": func(address string) string { return postgresURL(address, "probe", planted) },
	"rabbitmq": func(address string) string { return "amqp://probe:" + planted + "@" + address + "/" },
}

// Whatever a driver starts has ended a moment after the probe: pools, watchers, farewells.
func TestDriversLeaveNothingBehind(t *testing.T) {
	for kind, target := range driven {
		t.Run(kind, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			servers := map[string]string{"hangs": stranger(t, hangs), "leaves": stranger(t, leaves), "endless": stranger(t, endless), "down": local(t)}
			serving := goleak.IgnoreCurrent()
			for name, address := range servers {
				p, err := New(kind, []string{target(address)}, nil)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				if o := p(ctx); o.Class.Status().String() != "fail" {
					t.Errorf("%s: %s: %q", name, o.Class, o.Detail)
				}
				cancel()
			}
			ignored := []goleak.Option{before, serving, goleak.IgnoreAnyFunction("github.com/lbmedic/lbmedic/healthd/check.hangs"),
				goleak.IgnoreAnyFunction("github.com/lbmedic/lbmedic/healthd/check.leaves"), goleak.IgnoreAnyFunction("github.com/lbmedic/lbmedic/healthd/check.endless")}
			if err := goleak.Find(ignored...); err != nil {
				t.Errorf("left behind: %s", firstLines(err.Error()))
			}
		})
	}
}

func firstLines(text string) string {
	lines := strings.SplitN(text, "\n", 30)
	return strings.Join(lines[:min(len(lines), 29)], "\n")
}
