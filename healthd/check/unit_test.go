package check

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// messageBus starts a real dbus-daemon of our own and gives its address.
func messageBus(t *testing.T) string {
	t.Helper()
	daemon := peertest.Tool(t, "dbus-daemon")
	dir, err := os.MkdirTemp("", "lbm") // short: the path of a socket has 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	config := filepath.Join(dir, "bus.conf")
	write(t, config, `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>unix:path=`+dir+`/bus</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`)
	cmd := exec.Command(daemon, "--config-file="+config, "--nofork", "--nopidfile", "--print-address")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line := make([]byte, 256) // it prints its address when it listens
	if _, err := out.Read(line); err != nil {
		t.Fatal(err)
	}
	return "unix:path=" + dir + "/bus"
}

// systemd stands in for the real one on the bus.
type systemd struct {
	mu    sync.Mutex
	units map[string]map[string]any // properties by the name of the unit
	hangs chan struct{}             // not nil: it answers when this is closed
}

func (s *systemd) LoadUnit(name string) (dbus.ObjectPath, *dbus.Error) {
	if s.hangs != nil {
		<-s.hangs
	}
	return pathOf(name), nil
}

func pathOf(unit string) dbus.ObjectPath {
	return dbus.ObjectPath(systemdPath + "/unit/" + strings.ReplaceAll(unit, ".", "_2e"))
}

// properties are those of one unit.
type properties struct {
	of   *systemd
	name string
}

func (p properties) GetAll(iface string) (map[string]dbus.Variant, *dbus.Error) {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	all := map[string]dbus.Variant{}
	for key, value := range p.of.units[p.name] {
		inService := key == "NRestarts" || key == "Result"
		if inService == (iface == systemdName+".Service") {
			all[key] = dbus.MakeVariant(value)
		}
	}
	if len(all) == 0 {
		return nil, dbus.MakeFailedError(fmt.Errorf("unknown interface %s", iface))
	}
	return all, nil
}

// is changes a unit.
func (s *systemd) is(name, load, active, sub, result string, restarts int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.units[name] = map[string]any{"LoadState": load, "ActiveState": active, "SubState": sub}
	if strings.HasSuffix(name, ".service") {
		s.units[name]["NRestarts"], s.units[name]["Result"] = uint32(restarts), result
	}
}

func standIn(t *testing.T, bus string, hangs chan struct{}) *systemd {
	t.Helper()
	conn, err := dbus.Connect(bus)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	s := &systemd{units: map[string]map[string]any{}, hangs: hangs}
	if err := conn.Export(s, systemdPath, systemdName+".Manager"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"app.service", "app.socket", "lost.service"} {
		path := pathOf(name)
		if err := conn.Export(properties{s, name}, path, "org.freedesktop.DBus.Properties"); err != nil {
			t.Fatal(err)
		}
	}
	if reply, err := conn.RequestName(systemdName, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(reply, err)
	}
	return s
}

func TestUnitsAreJudged(t *testing.T) {
	bus := messageBus(t)
	probe := func(unit string, o options) healthd.Outcome {
		t.Helper()
		all := options{"bus": {bus}}
		for key, values := range o {
			all[key] = values
		}
		return prober(t, "unit", []string{unit}, all)()
	}
	sees(t, probe("app.service", nil), healthd.OwnFault, "systemd is not on the D-Bus at unix:path=")
	s := standIn(t, bus, nil)
	s.is("app.service", "loaded", "active", "running", "success", 0)
	sees(t, probe("app.service", nil), healthd.OK, "app.service is active (running)")
	sees(t, probe("app.service", options{"substate": {"exited"}}), healthd.WrongAnswer, "app.service is active (running), expected exited")
	sees(t, probe("app.service", options{"state": {"inactive", "failed"}}), healthd.WrongAnswer, "expected inactive or failed")
	s.is("app.service", "loaded", "failed", "failed", "oom-kill", 0)
	sees(t, probe("app.service", nil), healthd.WrongAnswer, "app.service is failed (failed), result oom-kill, expected active")
	s.is("app.service", "loaded", "activating", "auto-restart", "exit-code", 3)
	sees(t, probe("app.service", nil), healthd.WrongAnswer, "app.service is activating (auto-restart), result exit-code")
	s.is("lost.service", "not-found", "inactive", "dead", "success", 0)
	sees(t, probe("lost.service", nil), healthd.WrongAnswer, "lost.service is not known to systemd: not-found")
	s.is("app.socket", "loaded", "active", "listening", "", 0)
	sees(t, probe("app.socket", options{"substate": {"listening"}}), healthd.OK, "app.socket is active (listening)")
	s.mu.Lock()
	s.units["app.socket"] = map[string]any{"LoadState": 7}
	s.mu.Unlock()
	sees(t, probe("app.socket", nil), healthd.OwnFault, "its answer has no ")
}

func TestASystemdThatHangsIsOurOwnFault(t *testing.T) {
	bus := messageBus(t)
	hangs := make(chan struct{})
	t.Cleanup(func() { close(hangs) })
	standIn(t, bus, hangs)
	sees(t, asked(t, bus), healthd.OwnFault, "did not answer in time")

	// What accepts a connection and never says a word is none better.
	l, err := net.Listen("unix", filepath.Join(filepath.Dir(strings.TrimPrefix(bus, "unix:path=")), "mute"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	sees(t, asked(t, "unix:path="+l.Addr().String()), healthd.OwnFault, "ask systemd for app.service: ")
	sees(t, asked(t, "unix:path=/run/lost/bus"), healthd.OwnFault, "there is no D-Bus at unix:path=/run/lost/bus; a check of a unit is of use where systemd runs")
}

func asked(t *testing.T, bus string) healthd.Outcome {
	t.Helper()
	p, err := New("unit", []string{"app.service"}, options{"bus": {bus}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	return p(ctx)
}

// A unit that crashes and is started again is active whenever it is looked at.
func TestRestartsAreCountedOverTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &unitRule{name: "app.service", states: []string{"active"}, restarts: limits{0, 2}, recent: newWindow(10 * time.Minute)}
		at := func(restarts uint64) healthd.Outcome {
			found, n := r.judge(unitState{load: "loaded", active: "active", sub: "running", restarts: restarts, isService: true}, time.Now())
			return concluded(time.Now(), found...).Measured(n, "count")
		}
		sees(t, at(40), healthd.OK, "app.service is active (running)") // of before we came
		time.Sleep(time.Minute)
		sees(t, at(41), healthd.Degraded, "systemd had to start it again 1 times in 10m, warns above 0, fails above 2")
		time.Sleep(time.Minute)
		sees(t, at(43), healthd.WrongAnswer, "3 times in 10m, fails above 2")
		sees(t, at(0), healthd.WrongAnswer, "3 times in 10m") // somebody started it by hand
		time.Sleep(11 * time.Minute)
		sees(t, at(0), healthd.OK, "active")
	})
}

func TestNamesOfUnitsAreValidated(t *testing.T) {
	for name, want := range map[string]bool{"app.service": true, "app@1.service": true, `dev-disk\x2d1.device`: true, "app": false, ".service": false, "a b.service": false,
		"a/b.service": false, "a\nb.service": false, strings.Repeat("a", 256) + ".service": false} {
		if _, err := New("unit", []string{name}, nil); (err == nil) != want {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := New("unit", []string{"a.service"}, options{"state": {"up"}}); err == nil || !strings.Contains(err.Error(), `"up" is none of active`) {
		t.Errorf("got %v", err)
	}
}

func TestTheBusIsAUnixSocket(t *testing.T) {
	for address, want := range map[string]string{
		"unix:path=/run/dbus/system_bus_socket": "/run/dbus/system_bus_socket", "unix:abstract=lbm": "@lbm",
		"tcp:host=169.254.169.254,port=80": "", "unix:path=/nope;tcp:host=127.0.0.1,port=80": "", "unixexec:path=/bin/sh": "", "autolaunch:": "",
		"unix:path=bus": "", "unix:path=": "", "unix:abstract=": "", "unix:path=/a%00": "", "unix:tmpdir=/tmp": "", "unix:path=/" + strings.Repeat("x", 108): "",
	} {
		got, err := busPath(address)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("busPath(%q) = %q, %v", address, got, err)
		}
		if _, err := New("unit", []string{"a.service"}, options{"bus": {address}}); (err == nil) != (want != "") {
			t.Errorf("%q: %v", address, err)
		}
	}
}
