package integration

import (
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A change of the file is taken by itself, whoever wrote it and however; SIGHUP takes it too. A wrong file changes nothing, and is said in the
// log, in status, and to systemd, until a right one comes.
func TestTheConfigurationIsTakenWhenItChanges(t *testing.T) {
	t.Parallel()
	alone := newSidecarAlone(t)
	m := alone.medic
	good, err := os.ReadFile(m.config)
	if err != nil {
		t.Fatal(err)
	}
	secret := m.config + ".address"
	with := func(old, new string) string {
		if !strings.Contains(string(good), old) {
			t.Fatalf("no %q in:\n%s", old, good)
		}
		return strings.Replace(string(good), old, new, 1)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(m.config+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(m.config+".new", m.config); err != nil {
			t.Fatal(err)
		}
	}
	u := unitOf(t, m, true).start()
	answers := func(address string) func() bool {
		return func() bool {
			res, err := http.Get("http://" + address + "/livez")
			if err == nil {
				res.Body.Close()
			}
			return err == nil
		}
	}
	first, second, third := alone.at+"1:7780", alone.at+"1:7790", alone.at+"1:7791"
	until(t, "it answers", answers(first))

	write(with("http: "+first, "http: "+second))
	until(t, "it answers at the new address", answers(second))
	until(t, "the old one is closed", func() bool {
		c, err := net.Dial("tcp", first)
		if err == nil {
			c.Close()
		}
		return err != nil
	})

	write(with("http: "+first, "htp: "+first))
	until(t, "the log says that it is wrong", func() bool { return len(u.log.lines("the configuration was not taken; the old one goes on")) == 1 })
	status := m.cli("status", "--socket", strings.TrimSuffix(m.config, ".yaml")+".sock").must(t).stdout
	if !strings.Contains(status, "CONFIGURATION not taken") || !strings.Contains(status, "htp") {
		t.Errorf("status says:\n%s", status)
	}
	until(t, "systemd is told", func() bool { return u.said("STATUS=the configuration was not taken: ") })
	if !answers(second)() {
		t.Error("a wrong file changed something")
	}

	// What the file refers to counts as a part of it.
	if err := os.WriteFile(secret, []byte(second+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	write(with("http: "+first, `http: "${file:`+secret+`}"`))
	until(t, "the wrong file is forgotten", func() bool { return len(u.log.lines("the configuration was read again")) == 2 })
	if err := os.WriteFile(secret, []byte(third+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "a change of what it refers to is taken", answers(third))

	before := len(u.log.lines("the configuration was read again"))
	if err := u.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	until(t, "SIGHUP has it read again", func() bool { return len(u.log.lines("the configuration was read again")) == before+1 })
	stays(t, "it is read once", 500*time.Millisecond, func() bool { return len(u.log.lines("the configuration was read again")) == before+1 })
	if !u.said("RELOADING=1\nMONOTONIC_USEC=") {
		t.Errorf("systemd heard %q", u.states)
	}
}
