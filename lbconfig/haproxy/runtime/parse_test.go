package runtime

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
)

func sprint(v any) string { return fmt.Sprintf("%+v", v) }

func TestStatusesAreTakenApart(t *testing.T) {
	statuses := map[string]Status{
		"UP":                       {Word: StatusUp},
		"UP 1/3":                   {Word: StatusUp, Step: 1, Of: 3},
		"DOWN":                     {Word: StatusDown},
		"DOWN 1/2":                 {Word: StatusDown, Step: 1, Of: 2},
		"DOWN (agent)":             {Word: StatusDown, Agent: true},
		"NOLB":                     {Word: StatusNoLB},
		"NOLB 2/3":                 {Word: StatusNoLB, Step: 2, Of: 3},
		"DRAIN":                    {Word: StatusDrain},
		"DRAIN 1/2":                {Word: StatusDrain, Step: 1, Of: 2},
		"DRAIN (agent)":            {Word: StatusDrain, Agent: true},
		"MAINT":                    {Word: StatusMaint},
		"MAINT (via web/app1)":     {Word: StatusMaint, Via: "web/app1"},
		"MAINT (resolution)":       {Word: StatusMaint, Resolution: true},
		"no check":                 {Word: StatusNoCheck},
		"OPEN":                     {Word: StatusOpen},
		"STOP":                     {Word: StatusStopped},
		"WAITING":                  {Word: StatusWaiting},
		"":                         {},
		"UPSIDE":                   {},
		"UP x/3":                   {},
		"UP (via web/app1":         {},
		"MAINT (something new)":    {},
		"UP 1/3 and something new": {},
	}
	for raw, want := range statuses {
		want.Raw = raw
		if got := ParseStatus(raw); got != want {
			t.Errorf("%q: %+v, want %+v", raw, got, want)
		}
	}
}

func TestAgesOfAllForms(t *testing.T) {
	ages := map[string]time.Duration{"": 0, "0s": 0, "7s": 7 * time.Second, "1m2s": 62 * time.Second, "2h30m": 150 * time.Minute, "3d4h": 76 * time.Hour, "0d00h01m07s": 67 * time.Second}
	for text, want := range ages {
		if got, ok := parseAge(text); !ok || got != want {
			t.Errorf("%q: %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"7", "s", "7x", "-1s", "1.5s", "99999999999s"} {
		if got, ok := parseAge(text); ok {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestNumbers(t *testing.T) {
	numbers := map[string]int64{"": 0, "0": 0, "-1": -1, "42": 42, "999999999999999999": 999999999999999999, "9223372036854775807": 9223372036854775807}
	for text, want := range numbers {
		if got, ok := parseInt([]byte(text)); !ok || got != want {
			t.Errorf("%q: %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{"-", "1x", "x", " 1", "1.0", "+1", "99999999999999999999"} {
		if got, ok := parseInt([]byte(text)); ok {
			t.Errorf("%q: %d", text, got)
		}
	}
}

func stat(reply string) (rows []StatRow, err error) {
	err = ParseStat(strings.NewReader(reply), func(r *StatRow) error { rows = append(rows, *r); return nil })
	return rows, err
}

func TestStatColumnsAreFoundByName(t *testing.T) {
	rows, err := stat("# pxname,svname,new1,scur,type,status,last_chk,new2,check_status,weight,\n" +
		"web,app1,x,7,2,UP 1/3,\"say \"\"no\"\", twice\nand more\",\"q,q\",* L7OK,10,\n" +
		"web,app2,,,2,DOWN,,,,,\n\n")
	want := []StatRow{
		{Proxy: "web", Server: "app1", Sessions: 7, Type: Server, Status: Status{Word: StatusUp, Step: 1, Of: 3, Raw: "UP 1/3"}, LastCheck: "say \"no\", twice\nand more", CheckStatus: "L7OK", CheckRunning: true, Weight: 10},
		{Proxy: "web", Server: "app2", Type: Server, Status: Status{Word: StatusDown, Raw: "DOWN"}},
	}
	if err != nil || !reflect.DeepEqual(rows, want) {
		t.Errorf("%+v, %v", rows, err)
	}
}

func TestStatRepliesThatAreNotUnderstood(t *testing.T) {
	replies := map[string]struct {
		reply string
		cause error
		says  string
	}{
		"no permission":      {"[3]: Permission denied\n\n", ErrLevel, "level admin"},
		"no prefix":          {"Permission denied\n\n", ErrLevel, "level admin"},
		"another program":    {"HTTP/1.1 400 Bad Request\r\n\r\n", ErrNotHAProxy, "header of `show stat`"},
		"a word as a number": {"# pxname,svname,scur,\nweb,app1,many,\n\n", ErrNotHAProxy, `gives "many" as scur of "web/app1"`},
		"an unknown type":    {"# pxname,svname,type,\nweb,app1,9,\n\n", ErrNotHAProxy, `gives "9" as type of "web/app1"`},
		"a short row":        {"# pxname,svname,scur,\nweb,\n\n", ErrNotHAProxy, "has 1 fields where 3 were expected"},
		"an open quote":      {"# pxname,svname,scur,\nweb,\"app1,\n\n", ErrTruncated, ""},
		"a quote inside":     {"# pxname,svname,scur,\n\"web\"x,a,1,\n\n", ErrNotHAProxy, "does not end"},
		"no end":             {"# pxname,svname,scur,\nweb,app1,1,\n", ErrTruncated, "without its empty line"},
		"nothing":            {"", ErrTruncated, "no answer"},
	}
	for name, r := range replies {
		if _, err := stat(r.reply); !errors.Is(err, r.cause) || !strings.Contains(err.Error(), r.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestServerStatesOfAllVersions(t *testing.T) {
	for version, reply := range recorded(t, "state.txt") {
		states := map[string]ServerState{}
		err := ParseServersState(strings.NewReader(reply), func(s *ServerState) error { states[s.Backend+"/"+s.Server] = *s; return nil })
		if err != nil || len(states) != 8 {
			t.Errorf("%s: %d states, %v", version, len(states), err)
		}
		if s := states["web/app2"]; s.Admin != ForcedDrain || !s.Admin.Drain() || s.Admin.Maint() || s.Addr != "127.0.0.1" || s.Port == 0 || s.FQDN != "" || s.InitialWeight != 10 {
			t.Errorf("%s: %+v", version, s)
		}
		if s := states["web/spare"]; s.Admin != ForcedMaint || s.Op != OpStopped || !s.Check.Has(CheckPaused) {
			t.Errorf("%s: %+v", version, s)
		}
		if s := states["follow/off"]; s.Admin != ForcedMaint|ConfigMaint || s.Admin.String() != "forced-maint+config-maint" {
			t.Errorf("%s: %+v", version, s)
		}
		if s := states["follow/agent"]; !s.Agent.Has(CheckIsAgent) || version != "2.2" && s.AgentPort != 1 {
			t.Errorf("%s: %+v", version, s)
		}
	}
}

func TestProcessesOfAllVersions(t *testing.T) {
	for version, reply := range recorded(t, "proc.txt") {
		all, err := ParseProcesses(strings.NewReader(reply))
		failed := 0
		if version == "2.2" {
			failed = -1
		}
		if err != nil || all.Master.PID == 0 || all.Master.Type != "master" || all.Master.Reloads != 1 || all.Master.Failed != failed || !strings.HasPrefix(all.Master.Version, version+".") ||
			len(all.Workers) != 1 || len(all.Old) != 1 || all.Old[0].Reloads != 1 || all.Old[0].Type != "worker" || !strings.HasPrefix(all.Old[0].Version, version+".") {
			t.Errorf("%s: %+v, %v", version, all, err)
		}
	}
}

func TestProcessesWithFailuresAndPrograms(t *testing.T) {
	all, err := ParseProcesses(strings.NewReader(`#<PID>          <type>          <reloads>       <uptime>        <version>
1162            master          5 [failed: 2]   0d00h02m07s     2.6.12
# workers
1271            worker          1               1d00h00m00s     2.6.12
# old workers
1233            worker          3               2d01h00m43s     2.4.8
# programs
1244            foo             0               0d00h00m00s     -
# old programs
1255            bar             1               0d00h00m00s     -

`))
	want := Processes{
		Master:   Process{PID: 1162, Type: "master", Reloads: 5, Failed: 2, Uptime: 127 * time.Second, Version: "2.6.12"},
		Workers:  []Process{{PID: 1271, Type: "worker", Reloads: 1, Failed: -1, Uptime: 24 * time.Hour, Version: "2.6.12"}},
		Old:      []Process{{PID: 1233, Type: "worker", Reloads: 3, Failed: -1, Uptime: 49*time.Hour + 43*time.Second, Version: "2.4.8"}},
		Programs: []Process{{PID: 1244, Type: "foo", Failed: -1, Version: "-"}, {PID: 1255, Type: "bar", Reloads: 1, Failed: -1, Version: "-"}},
	}
	if err != nil || !reflect.DeepEqual(all, want) {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestReadingTenThousandRowsAgainMakesNoGarbage(t *testing.T) {
	reply := string(statReply(10_000))
	s := newScratch()
	read := func() {
		s.lines.reset(strings.NewReader(reply), DefaultMaxReply)
		if err := readStat(&s.lines, &s.names, func(*StatRow) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	read()
	if n := testing.AllocsPerRun(3, read); n > 200 {
		t.Errorf("%.0f allocations", n)
	}
}

// endless gives lines of data for ever.
type endless struct{ line string }

func (e endless) Read(p []byte) (int, error) { return copy(p, e.line), nil }

func TestAReplyWithoutAnEndIsGivenUp(t *testing.T) {
	endings := map[string]struct {
		reply io.Reader
		cause error
	}{
		"rows":    {io.MultiReader(strings.NewReader("# pxname,svname,\n"), endless{"web,app1,\n"}), ErrTooLarge},
		"no line": {endless{"x"}, ErrNotHAProxy},
		"a quote": {io.MultiReader(strings.NewReader("# pxname,svname,\n\""), endless{"x\n"}), ErrNotHAProxy},
	}
	for name, e := range endings {
		if err := readStat(newLines(e.reply, 8<<20), &interner{}, func(*StatRow) error { return nil }); !errors.Is(err, e.cause) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheInternerForgetsRatherThanGrows(t *testing.T) {
	var n interner
	for i := range 300_000 {
		text := fmt.Sprintf("a text that never comes twice: %d", i)
		if got := n.intern([]byte(text)); got != text {
			t.Fatalf("%q became %q", text, got)
		}
	}
	if n.bytes > maxInterned+100 {
		t.Errorf("%d bytes", n.bytes)
	}
}
