package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/remediate"
	"github.com/lbmedic/lbmedic/remediate/admin"
	"github.com/lbmedic/lbmedic/remediate/control"
	"github.com/lbmedic/lbmedic/remediate/journal"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// aStatus has one of everything that a status can show.
func aStatus() seen {
	return seen{Status: admin.Status{
		Frozen: &remediate.Freeze{By: "bob", Reason: "storm", At: noon},
		Balancers: []control.Status{
			{Balancer: "edge", Mode: remediate.Enforce, Version: "2.6.12", Generation: remediate.Generation{PID: 1234}, Read: noon, Servers: []control.ServerStatus{
				{Backend: "web", Server: "s0", State: "down", SetBy: "automation", Why: "sidecar-fails: app", Since: noon.Add(-90 * time.Second), Sessions: 2, Queued: 1,
					Sidecar: "http://x", Evidence: remediate.Evidence{Status: healthd.Fail, Stale: true, Detail: "app: status 503"}},
				{Backend: "web", Server: "s1", State: "up", Sidecar: "http://y", Evidence: remediate.Evidence{Status: healthd.Pass}, Would: "hold force-down: frozen"},
			}},
			{Balancer: "inner", Mode: remediate.Observe, Generation: remediate.Generation{PID: 7}, Error: "connection refused", Read: noon.Add(-time.Hour), Frozen: "by bob", Servers: []control.ServerStatus{
				{Backend: "api", Server: "127.0.0.1:1", State: "up"},
			}},
		},
		Services: []healthd.Service{{Name: "web", Status: healthd.Warn, Since: noon.Add(-48 * time.Hour), Admin: healthd.Admin{State: healthd.Drain, By: "alice", Reason: "deploy\x1b[2J"}}},
	}}
}

func TestStatusSaysFirstWhatEverybodyMustSee(t *testing.T) {
	var out bytes.Buffer
	if err := aStatus().write(&out, false, noon); err != nil {
		t.Fatal(err)
	}
	want := `FROZEN by bob at ` + admin.Clock(noon) + `: storm; automation does nothing until ` + "`lbmedic thaw`" + `
UNREADABLE inner, last read 1h00m ago: connection refused
edge: enforce, HAProxy 2.6.12, worker 1234
inner: observe, nginx, orders only, master 7, frozen, unreadable; what is below is as of ` + admin.Clock(noon.Add(-time.Hour)) + `

BALANCER  BACKEND  SERVER       STATE   SET BY      WHY                 SINCE  SESS        HEALTH                         WOULD
edge      web      s0           down    automation  sidecar-fails: app  1m30s  2+1 queued  fail (stale): app: status 503
edge      web      s1           up                                             0           pass                           hold force-down: frozen
inner     api      127.0.0.1:1  was up                                         0           -

SERVICE  HEALTH  SINCE  ORDER  BY     WHY
web      warn    2d00h  drain  alice  deploy·[2J
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	out.Reset()
	if err := aStatus().write(&out, true, noon); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, "127.0.0.1:1") && strings.Contains(line, "\x1b[32m") {
			t.Errorf("what cannot be read is shown as well: %q", line)
		}
	}
	if err := aStatus().unreadable(); err == nil {
		t.Error("an unreadable balancer ends with 0")
	}
}

func TestWatchWithoutATerminalTellsOnlyChanges(t *testing.T) {
	var out bytes.Buffer
	c := &changes{app: &app{stdout: &out}}
	tell := func(s seen, err error) string {
		out.Reset()
		if err := c.tell(s, err, noon); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	first := tell(aStatus(), nil)
	for _, want := range []string{admin.Clock(noon) + "  FROZEN", admin.Clock(noon) + "  edge/web/s0  down, by automation: sidecar-fails: app, health fail (stale)\n"} {
		if !strings.Contains(first, want) {
			t.Errorf("no %q in\n%s", want, first)
		}
	}
	later := aStatus()
	later.Balancers[1].Read = noon.Add(time.Hour)
	if got := tell(later, nil); got != "" {
		t.Errorf("nothing changed, and it says\n%s", got)
	}
	if got := tell(seen{}, errors.New("the daemon is gone")); got != admin.Clock(noon)+"  the daemon is gone\n" {
		t.Errorf("got\n%s", got)
	}
	well := seen{Status: admin.Status{Balancers: aStatus().Balancers[:1]}}
	well.Balancers[0].Servers = well.Balancers[0].Servers[1:]
	if got := tell(well, nil); got != admin.Clock(noon)+"  all is well again\n"+admin.Clock(noon)+"  edge/web/s0  gone\n"+admin.Clock(noon)+"  inner/api/127.0.0.1:1  gone\n" {
		t.Errorf("got\n%s", got)
	}
}

func TestEveryKindOfEventHasWords(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	for kind, c := range map[string]struct{ body, want string }{
		remediate.KindOrder:   {`{"target":"edge/web/s0","order":{"seq":0,"want":"drain","reason":"deploy","by":"alice","at":"2026-03-01T12:00:00Z"}}`, "order    drain edge/web/s0 by alice: deploy"},
		remediate.KindIntent:  {`{"action":{"verb":"force-down","target":"edge/web/s0","reason":"sidecar-fails","detail":"app: refused"},"generation":{"pid":1}}`, "intent   force-down edge/web/s0: sidecar-fails (app: refused)"},
		remediate.KindOutcome: {`{"intent":4,"target":"edge/web/s0","verb":"force-down","result":"done"}`, "outcome  force-down edge/web/s0: done"},
		remediate.KindFact:    {`{"fact":{"target":"edge/web/s0","change":"take-ended","reason":"server-gone"}}`, "fact     take-ended edge/web/s0: server-gone"},
		remediate.KindFreeze:  {`{"by":"bob","reason":"storm","at":"2026-03-01T12:00:00Z"}`, "frozen   by bob: storm"},
		remediate.KindThaw:    {`{"by":"bob","at":"2026-03-01T12:00:00Z"}`, "thawed   by bob"},
		remediate.KindSaw:     {`{"balancer":"edge","what":"unreadable","detail":"gone"}`, "saw      unreadable edge: gone"},
		"later":               {`{"x":"\u001b"}`, `later {"x":"\u001b"}`},
	} {
		got := eventText(journal.Record{Seq: 12, At: at, Kind: kind, Body: []byte(c.body)})
		if want := admin.Clock(at) + "      12  " + c.want; got != want {
			t.Errorf("%s:\n%s\n%s", kind, got, want)
		}
	}
	held := `{"balancer":"edge","target":"edge/web/s0","what":"held","detail":"force-down edge/web/s0: observe-mode (app: refused)"}`
	if got := eventText(journal.Record{Kind: remediate.KindSaw, Body: []byte(held)}); !strings.HasSuffix(got, "saw      held edge/web/s0: force-down: observe-mode (app: refused)") {
		t.Errorf("a step that was held back: %s", got)
	}
	if got := eventText(journal.Record{Kind: remediate.KindOrder, Body: []byte(`"torn`)}); !strings.HasSuffix(got, `order "torn`) {
		t.Errorf("a body of another shape: %s", got)
	}
}

func TestCheckPassesWhatAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	path := filepath.Join(t.TempDir(), "lbmedic.yaml")
	text := "health:\n  http: off\n  agent: off\n  services:\n    web: {checks: {app: {tcp: \"" + l.Addr().String() + "\"}}}\n    bad: {checks: {app: {tcp: \"127.0.0.1:1\"}}}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for service, want := range map[string]int{"web": 0, "bad": 2} {
		var out, errs bytes.Buffer
		if got := run(t.Context(), []string{"--config", path, "check", service}, strings.NewReader(""), &out, &errs); got != want {
			t.Errorf("%s: status %d, want %d\n%s%s", service, got, want, out.String(), errs.String())
		}
	}
}

func TestADamagedJournalIsToldAndNotTakenForAnEmptyOne(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	path := filepath.Join(dir, "lbmedic.yaml")
	text := "health: {http: off, agent: off, services: {web: {checks: {app: {tcp: \"127.0.0.1:1\"}}}}}\n" +
		"admin: {socket: \"" + filepath.Join(dir, "a.sock") + "\", http: off}\nstate: \"" + state + "\"\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	lbmedic := func(args ...string) (int, string) {
		var out bytes.Buffer
		code := run(t.Context(), append([]string{"--config", path}, args...), strings.NewReader(""), &out, &out)
		return code, out.String()
	}
	for _, reason := range []string{"storm", "still"} {
		if code, out := lbmedic("freeze", "--reason", reason); code != exitDone {
			t.Fatal(out)
		}
	}
	// The checkpoint tells what stands; the line behind it is spoiled.
	f, err := os.OpenFile(filepath.Join(state, "journal"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("#"), info.Size()-10); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Seek(0, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("another line\n"); err != nil { // not the torn end of a write
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, out := lbmedic("status"); !strings.Contains(out, "JOURNAL: a part of the journal is unreadable") || !strings.Contains(out, "FROZEN") {
		t.Errorf("got %s", out)
	}
	if code, out := lbmedic("events"); code != exitDone || strings.Count(out, "a part of the journal is unreadable") != 1 || !strings.Contains(out, "frozen   by") {
		t.Errorf("status %d: %s", code, out)
	}
	if code, out := lbmedic("thaw"); code != exitDone || !strings.Contains(out, "a part of the journal was refused") {
		t.Errorf("status %d: %s", code, out)
	}
}
