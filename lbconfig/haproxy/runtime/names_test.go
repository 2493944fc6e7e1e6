package runtime

import (
	"errors"
	"testing"
)

func TestHostileNamesHaveNoEffect(t *testing.T) {
	names := hostileNames()
	each(t, func(t *testing.T, f *farm) {
		f.apply(t, SetState("web", "app2", Drain))
		before := f.states(t)
		info, err := f.client.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sent := 0
		for i, name := range names {
			for _, v := range Verbs() {
				c := fitting(Command{Verb: v, Backend: "web", Server: name, State: Maint, Health: Down, Weight: Absolute(0), Pointer: 1})
				if v == ShowServersState || i%2 == 1 {
					c = fitting(Command{Verb: v, Backend: name, Server: "app1", State: Maint, Health: Down, Weight: Absolute(0), Pointer: 1})
				}
				if c.Backend == "" {
					continue // takes no name
				}
				if v.Writes() {
					report, err := f.client.Do(t.Context(), Generation{}, c)
					if report.Sent && report.All(Refused) {
						sent++
						continue
					}
					if !errors.Is(err, ErrName) || report.Sent {
						t.Fatalf("%q: %+v %v", name, report, err)
					}
				} else if _, err := f.client.ServersState(t.Context(), name, func(*ServerState) error { return nil }); !errors.Is(err, ErrName) && !errors.Is(err, ErrUnknown) {
					t.Fatalf("%q: %v", name, err)
				}
			}
		}
		after, err := f.client.Info(t.Context())
		if err != nil || !after.Generation().Same(info.Generation()) {
			t.Errorf("%v became %v (%v)", info.Generation(), after.Generation(), err)
		}
		if got := f.states(t); got != before {
			t.Errorf("%s\nbecame\n%s", before, got)
		}
		t.Logf("%d names through all verbs, %d commands were clean enough to be sent and were refused by HAProxy", len(names), sent)
	})
}

// hostileNames are more than 10,000 names, the same in every run.
func hostileNames() []string {
	names := make([]string, 0, 12000)
	for b := range 256 { // each byte alone, in front, inside and behind
		c := string([]byte{byte(b)})
		if !nameByte(byte(b)) {
			names = append(names, c, c+"app1", "app"+c+"1", "app1"+c, "app1"+c+"state", c+c)
		}
	}
	for _, a := range hostileParts {
		for _, b := range hostileParts {
			for _, c := range hostileParts {
				if len(names) == 11990 {
					break
				}
				if name := a + b + c; CheckName(name) != nil {
					names = append(names, name)
				}
			}
		}
	}
	for _, clean := range []string{"nope", "web.app1", "web:app1", "-", "--", "_", "0", "STATE", "ready", "maint"} {
		names = append(names, clean)
	}
	return names
}

func TestThereAreTenThousandHostileNames(t *testing.T) {
	if n := len(hostileNames()); n < 10_000 {
		t.Errorf("only %d", n)
	}
}
