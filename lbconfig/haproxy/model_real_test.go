package haproxy

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
	"github.com/lbmedic/lbmedic/lbconfig"
)

// table asks the runtime socket and returns its rows by column name.
func table(t *testing.T, socket, command, separator string) []map[string]string {
	t.Helper()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, command+"\n"); err != nil {
		t.Fatal(err)
	}
	reply, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	var columns []string
	var rows []map[string]string
	for l := range strings.Lines(string(reply)) {
		l = strings.TrimRight(l, "\n")
		if head, ok := strings.CutPrefix(l, "# "); ok {
			columns = strings.Split(head, separator)
			continue
		}
		cells := strings.Split(l, separator)
		if len(cells) < 5 {
			continue
		}
		row := map[string]string{}
		for i, cell := range cells {
			if i < len(columns) {
				row[columns[i]] = cell
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// Each file of testdata/corpus is run by each version, and what it reports about itself must be what the model says.
func TestModelIsWhatTheRealProgramRuns(t *testing.T) {
	paths, err := filepath.Glob("testdata/corpus/*.cfg")
	if err != nil || len(paths) < 8 {
		t.Fatalf("%d files in the corpus, %v", len(paths), err)
	}
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, need, ok := strings.Cut(string(data), "# needs "); ok {
				if need, _, _ = strings.Cut(need, "\n"); !prog.AtLeast(need) {
					continue
				}
			}
			t.Run(filepath.Base(path), func(t *testing.T) { compareWithRunning(t, prog, string(data)) })
		}
	})
}

func compareWithRunning(t *testing.T, prog peer.Program, config string) {
	dir := peertest.Dir(t)
	for strings.Contains(config, "%PORT%") {
		config = strings.Replace(config, "%PORT%", strconv.Itoa(peertest.Port(t)), 1)
	}
	config = peer.HAProxyGlobal(dir) + config
	h := peertest.HAProxy(t, prog, dir, config)
	files, problems := Load("", h.Config)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	version, ok := ParseRelease(prog.Version() + ".0")
	if !ok {
		t.Fatalf("version of %s", prog.Name)
	}
	model, problems := files.Model(Host{Env: os.LookupEnv, Version: version})
	if len(problems) > 0 || len(model.Unsure) > 0 {
		t.Fatal(problems, model.Unsure)
	}
	if s := model.Global.StatsSockets; len(s) != 1 || s[0].Path != h.Socket || s[0].Level != "admin" || s[0].Mode != "600" || !s[0].ExposeFD {
		t.Errorf("stats sockets %+v", s)
	}
	compareState(t, &model, table(t, h.Socket, "show servers state", " "))
	compareStat(t, &model, table(t, h.Socket, "show stat", ","))
}

func compareState(t *testing.T, model *Model, rows []map[string]string) {
	seen := 0
	for _, p := range model.Backends() {
		seen += len(p.Servers)
	}
	rows = slices.DeleteFunc(rows, func(row map[string]string) bool { return row["be_name"] == "MASTER" }) // 2.2 shows its own
	if seen != len(rows) {
		t.Errorf("the model has %d servers, the program %d", seen, len(rows))
	}
	for _, row := range rows {
		name := row["be_name"] + "/" + row["srv_name"]
		p := model.Backend(row["be_name"])
		if p == nil || p.Server(row["srv_name"]) == nil {
			t.Errorf("%s is not in the model", name)
			continue
		}
		s := p.Server(row["srv_name"])
		same := func(column, want string) {
			t.Helper()
			if got, ok := row[column]; ok && got != want {
				t.Errorf("%s: %s is %s in the program, %s in the model", name, column, got, want)
			}
		}
		if ip := net.ParseIP(s.Address); ip != nil {
			same("srv_addr", s.Address)
		}
		if strings.HasSuffix(s.Address, ".invalid") {
			same("srv_fqdn", s.Address)
		}
		same("srv_port", strconv.FormatUint(uint64(uint32(s.Port)), 10)) // a negative one is shown unsigned
		same("srv_iweight", strconv.Itoa(s.Weight))
		same("srv_check_port", strconv.Itoa(s.CheckPort))
		same("srv_agent_port", strconv.Itoa(s.AgentPort))
		same("srv_check_addr", dash(s.CheckAddr))
		same("srv_agent_addr", dash(s.AgentAddr))
		admin, err := strconv.Atoi(row["srv_admin_state"])
		if err != nil || (admin&4 != 0) != s.Disabled {
			t.Errorf("%s: admin state %s, disabled in the model: %v", name, row["srv_admin_state"], s.Disabled)
		}
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func compareStat(t *testing.T, model *Model, rows []map[string]string) {
	for _, row := range rows {
		p := model.Backend(row["pxname"])
		if p == nil || row["svname"] == "FRONTEND" {
			continue
		}
		name := row["pxname"] + "/" + row["svname"]
		same := func(column, want string) {
			t.Helper()
			if got := row[column]; got != want {
				t.Errorf("%s: %s is %q in the program, %q in the model", name, column, got, want)
			}
		}
		if row["svname"] == "BACKEND" {
			same("mode", p.Mode)
			same("algo", algorithmName(p.Balance))
			same("cookie", p.Cookie.Name)
			continue
		}
		s := p.Server(row["svname"])
		if s == nil {
			t.Errorf("%s is not in the model", name)
			continue
		}
		same("bck", bit(s.Backup))
		same("act", bit(!s.Backup))
		same("cookie", s.Cookie)
		if s.MaxConn > 0 {
			same("slim", strconv.Itoa(s.MaxConn))
		}
		down := s.Disabled || strings.HasPrefix(row["status"], "MAINT") // by DNS
		if s.Check && !down {
			same("check_rise", strconv.Itoa(s.Rise))
			same("check_fall", strconv.Itoa(s.Fall))
		}
		if tracked, ok := strings.CutSuffix(s.Track, "/"); s.Track != "" && !ok {
			if !strings.Contains(tracked, "/") {
				tracked = p.Name + "/" + tracked
			}
			same("tracked", tracked)
		}
		if got := row["check_status"] != ""; got != (s.Check && !down) {
			t.Errorf("%s: check status %q, checked in the model: %v", name, row["check_status"], s.Check)
		}
		if got := row["agent_status"] != ""; got != (s.AgentCheck && !down) {
			t.Errorf("%s: agent status %q, agent in the model: %v", name, row["agent_status"], s.AgentCheck)
		}
	}
}

// algorithmName is the name `show stat` gives.
func algorithmName(balance string) string {
	if name := algorithm(balance); name != "random" {
		return name
	}
	return "unknown"
}

func bit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// The tree of each file keeps its bytes, and an edit of one word changes that word only.
func TestCorpusKeepsItsBytes(t *testing.T) {
	paths, err := filepath.Glob("testdata/corpus/*.cfg")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		files, problems := Load("", path)
		data, err := os.ReadFile(path)
		if err != nil || len(problems) > 0 || string(files[0].Print()) != string(data) {
			t.Errorf("%s: %v %v", path, err, problems)
		}
		checkTiling(t, files[0])
		for _, l := range files[0].Lines {
			for _, w := range l.Words {
				edited, err := files[0].Source.Splice(lbconfig.Edit{Span: w.Span, Text: "X"})
				if err != nil {
					t.Fatal(err)
				}
				again, _ := Parse(lbconfig.NewSource(path, edited))
				if len(again.Lines) != len(files[0].Lines) {
					t.Fatalf("%s: an edit of %q changed the lines", path, w.Text)
				}
			}
		}
	}
}
