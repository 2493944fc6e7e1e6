package haproxy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/child"
	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
	"github.com/lbmedic/lbmedic/lbconfig"
)

// good is nine lines long.
const good = `global
defaults
 mode http
 timeout connect 1s
 timeout client 1s
 timeout server 1s
listen l
 bind 127.0.0.1:21990
 server s1 127.0.0.1:80
`

func TestBadConfigurationsAreRefusedWithTheirPlace(t *testing.T) {
	tests := map[string]struct {
		config    string
		line, col int
		text      string
		validOn   string // versions that accept it
		exit      int
	}{
		"unknown keyword":       {good + " servr s2 127.0.0.1:81\n", 10, 2, "unknown keyword 'servr' in 'listen' section", "", 1},
		"unknown option":        {good + " server s2 127.0.0.1:81 chekc\n", 10, 25, "unknown keyword 'chekc'", "", 1},
		"missing final newline": {good + " server s2 127.0.0.1:81", 10, 24, "Missing LF on last line", "2.2", 1},
		"duplicate server":      {good + " server s1 127.0.0.1:81\n", 10, 9, "another server named 's1'", "", 1},
		"duplicate backend":     {good + "backend b\nbackend b\n", 11, 9, "has the same name", "", 1},
		"unknown backend":       {good + " default_backend nope\n", 10, 18, "unable to find required default_backend: 'nope'", "", 1},
		"bad port":              {good + " server s2 127.0.0.1:99999\n", 10, 12, "invalid port '99999'", "2.2", 1},
		"bad bind":              {good + " bind 127.0.0.1:abc\n", 10, 7, "invalid character 'a' in port number", "", 1},
		"unresolvable name":     {good + " server s2 no.such.invalid:80\n", 10, 12, "could not resolve address 'no.such.invalid'", "", 1},
		"truncated in a word":   {good + " server s2 127.0.0.1:81 chec", 10, 0, "", "", 1},
		"open quote":            {good + " server \"s2 127.0.0.1:81\n", 10, 9, "unmatched quote", "", 1},
		"unknown fetch":         {good + " http-request deny if { foo bar }\n", 10, 25, "unknown fetch method 'foo'", "", 1},
		"heavy weight":          {good + " server s2 127.0.0.1:81 weight 300\n", 10, 2, "weight of server s2 is not within 0 and 256", "", 1},
		"binary":                {good + " server \x00\x01\x02\xff\n", 10, 0, "", "", 1},
		"empty":                 {"", 0, 0, "no listener", "", 2},
		"only a comment":        {"# nothing\n", 0, 0, "no listener", "", 2},
	}
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				path := filepath.Join(peertest.Dir(t), "haproxy.cfg")
				if err := os.WriteFile(path, []byte(tt.config), 0o644); err != nil {
					t.Fatal(err)
				}
				report, err := Validator{Program: prog.Path, Args: []string{"-f", path}}.Check(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(tt.validOn, prog.Version()) {
					if report.Verdict != Valid || report.Exit != 0 {
						t.Errorf("%+v", report)
					}
					return
				}
				if report.Verdict != Invalid || report.Exit != tt.exit || !hasProblem(report.Problems, path, tt.line, tt.col, tt.text) {
					t.Errorf("verdict %s, exit %d, no problem at %d:%d with %q:\n%v\n%s", report.Verdict, report.Exit, tt.line, tt.col, tt.text, report.Problems, report.Output)
				}
				for _, p := range report.Problems {
					if strings.ContainsAny(p.Text, "\n\r") || p.File != path {
						t.Errorf("%+v", p)
					}
				}
			})
		}
	})
}

func hasProblem(problems []lbconfig.Problem, file string, line, col int, text string) bool {
	for _, p := range problems {
		if p.Severity == lbconfig.Error && p.File == file && p.Line == line && (col == 0 || p.Col == col) && strings.Contains(p.Text, text) && p.Rule == Rule {
			return true
		}
	}
	return false
}

func TestAGoodConfigurationIsValidAndItsWarningsAreKept(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		dir := peertest.Dir(t)
		path := filepath.Join(dir, "haproxy.cfg")
		if err := os.WriteFile(path, []byte("listen l\n bind 127.0.0.1:21990\n server s1 127.0.0.1:80\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		report, err := Validator{Program: prog.Path, Args: []string{"-C", dir, "-f", "haproxy.cfg"}}.Check(t.Context())
		if err != nil || report.Verdict != Valid || len(report.Problems) == 0 {
			t.Fatalf("%+v, %v", report, err)
		}
		p := report.Problems[0]
		if p.Severity != lbconfig.Warning || p.Line != 1 || !strings.Contains(p.Text, "timeouts are set to a non-zero value") {
			t.Errorf("%+v", p)
		}
	})
}

func TestVariablesComeFromTheInstance(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		path := filepath.Join(peertest.Dir(t), "haproxy.cfg")
		if err := os.WriteFile(path, []byte(good+" server s2 \"$APP\"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		v := Validator{Program: prog.Path, Args: []string{"-f", path}}
		if report, err := v.Check(t.Context()); err != nil || report.Verdict != Invalid {
			t.Errorf("without the variable: %+v, %v", report, err)
		}
		v.Env = append(os.Environ(), "APP=127.0.0.1:99")
		if report, err := v.Check(t.Context()); err != nil || report.Verdict != Valid {
			t.Errorf("with the variable: %+v, %v", report, err)
		}
	})
}

func TestFilesNamedRelativeToAFolderAreFound(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		dir := peertest.Dir(t)
		conf := folderOfFiles(t, dir)
		report, err := Validator{Program: prog.Path, Args: []string{"-C", dir, "-f", "conf"}}.Check(t.Context())
		if err != nil || report.Verdict != Invalid {
			t.Fatalf("%+v, %v", report, err)
		}
		var files []string
		for _, p := range report.Problems {
			if p.Line != 2 || p.Col != 2 {
				t.Errorf("%+v", p)
			}
			files = append(files, p.File)
		}
		want := []string{filepath.Join(conf, "10.cfg"), filepath.Join(conf, "B.cfg"), filepath.Join(conf, "a.cfg"), filepath.Join(conf, "c.cfg")}
		if !slices.Equal(files, want) || !slices.Equal(report.Paths, want) {
			t.Errorf("problems in %q, read %q", files, report.Paths)
		}
	})
}

// folderOfFiles holds files that HAProxy reads from a folder (each with a bad keyword in line 2) and others that it does not.
func folderOfFiles(t *testing.T, dir string) string {
	conf := filepath.Join(dir, "conf")
	if err := os.Mkdir(conf, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.cfg", "B.cfg", "10.cfg", ".hidden.cfg", "a.txt", "b.cfg~"} {
		if err := os.WriteFile(filepath.Join(conf, name), []byte("global\n bad\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("a.txt", filepath.Join(conf, "c.cfg")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(conf, "d.cfg"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(conf, "e.cfg"), 0o600); err != nil {
		t.Fatal(err)
	}
	return conf
}

func TestWhatCannotBeReadIsAProblemAndTheRestIsRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.cfg")
	if err := os.WriteFile(path, []byte(good), 0o644); err != nil {
		t.Fatal(err)
	}
	files, problems := Load(dir, "none.cfg", "a.cfg", "/dev/null")
	if len(files) != 1 || len(problems) != 2 || problems[0].Rule != "read" || problems[0].File != filepath.Join(dir, "none.cfg") || problems[1].Rule != "not-a-file" {
		t.Errorf("%v %v", files.Paths(), problems)
	}
}

func TestTheInstalledProgramIsAskedAsItRuns(t *testing.T) {
	prog, dir := peertest.One(t, "haproxy"), peertest.Dir(t)
	h := peertest.HAProxy(t, prog, dir, peer.HAProxyGlobal(dir)+strings.ReplaceAll(good, "21990", fmt.Sprint(peertest.Port(t))))
	i := instanceOf(t, h.PID(), func(i Instance) bool { return len(i.Workers) == 1 })
	v, err := i.Validator("/proc")
	if err != nil {
		t.Fatal(err)
	}
	if report, err := v.Check(t.Context()); err != nil || report.Verdict != Valid || !slices.Equal(report.Paths, []string{h.Config}) {
		t.Errorf("%+v, %v", report, err)
	}
	i.Master.Root = "/srv/box"
	if _, err := i.Validator("/proc"); err == nil {
		t.Error("a program below another root is asked as if it were here")
	}
}

// script writes a program that stands for haproxy.
func script(t *testing.T, body string) string {
	path := filepath.Join(t.TempDir(), "haproxy")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhatMustNotBeReadIsRefusedWithoutRunning(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big.cfg")
	f, err := os.Create(big)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(1 << 30); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ path, rule string }{"1 GiB": {big, "size"}, "FIFO": {fifo, "not-a-file"}, "device": {"/dev/zero", "not-a-file"}} {
		t.Run(name, func(t *testing.T) {
			mark := filepath.Join(t.TempDir(), "ran")
			report, err := Validator{Program: script(t, "touch "+mark), Args: []string{"-f", tt.path}}.Check(t.Context())
			if err != nil || report.Verdict != Invalid || len(report.Problems) != 1 || report.Problems[0].Rule != tt.rule || report.Exit != -1 {
				t.Errorf("%+v, %v", report, err)
			}
			if _, err := os.Stat(mark); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the program was run: %v", err)
			}
		})
	}
}

func TestWhatCannotBeRunToItsEndIsUnknown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(path, []byte(good), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		program string
		want    error
		text    string
	}{
		"hangs":         {script(t, "exec sleep 60"), child.ErrDeadline, ""},
		"missing":       {"/no/such/haproxy", os.ErrNotExist, ""},
		"killed":        {script(t, "kill -9 $$"), nil, "ended by killed"},
		"empty wrapper": {script(t, "exec /no/such/program"), nil, "cannot be run"},
		"file changes":  {script(t, "echo >> "+path), nil, "changed while it was checked"},
	} {
		t.Run(name, func(t *testing.T) {
			report, err := Validator{Program: tt.program, Args: []string{"-f", path}, Timeout: 300 * time.Millisecond}.Check(t.Context())
			if report.Verdict != Unknown || err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%+v, %v", report, err)
			}
		})
	}
}

func TestAStopIsUnknown(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if report, err := (Validator{Program: script(t, "exit 0"), Args: []string{"-f", "/dev/null/x"}}).Check(ctx); err == nil || report.Verdict != Unknown {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestEveryVersionIsRead(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		b, err := Version(t.Context(), prog.Path)
		if err != nil || !strings.HasPrefix(b.Release.String(), prog.Version()+".") || !strings.HasPrefix(b.Text, b.Release.String()) || !b.Features["OPENSSL"] {
			t.Errorf("%+v, %v", b, err)
		}
	})
	if b, err := Version(t.Context(), script(t, "echo nonsense")); err == nil || b.Release.Known() {
		t.Errorf("%+v, %v", b, err)
	}
}

func TestMessagesOfAllVersions(t *testing.T) {
	tests := map[string]struct{ output, want string }{
		"2.2":                 {"[ALERT] 325/214101 (123) : parsing [/a.cfg:12] : unknown keyword 'x' in 'backend' section\n", "/a.cfg:12:1: error haproxy: unknown keyword 'x' in 'backend' section"},
		"2.6":                 {"[ALERT]    (123) : config : parsing [/a.cfg:12] : unknown keyword 'x'; did you mean 'y' maybe ?\n", "/a.cfg:12:1: error haproxy: unknown keyword 'x'; did you mean 'y' maybe ?"},
		"2.6 server":          {"[ALERT]    (1) : config : [/a.cfg:8] : 'server b/s' : unknown keyword 'foo'.\n", "/a.cfg:8:1: error haproxy: 'server b/s' : unknown keyword 'foo'"},
		"3.2":                 {"[WARNING]  (1) : parsing [/a.cfg:3] : deprecated.\n", "/a.cfg:3:1: warning haproxy: deprecated"},
		"position":            {"[ALERT]    (1) : config : parsing [/a.cfg:8]: unmatched quote at position 10:\n  server \"s1\n         ^\n", "/a.cfg:8:10: error haproxy: unmatched quote at position 10"},
		"keyword list":        {"[ALERT] 1/1 (1) : parsing [/a.cfg:8] : 'server s' unknown keyword 'f'. Registered keywords :\n    [ SSL] ssl [dflt_ok]\n    [ CHK] check [dflt_ok]\n", "/a.cfg:8:1: error haproxy: 'server s' unknown keyword 'f'"},
		"continuation":        {"[WARNING]  (1) : config : missing timeouts for proxy 'l'.\n   | While not properly\n   | invalid.\nWarnings were found.\n", ": warning haproxy: missing timeouts for proxy 'l' While not properly invalid."},
		"bracket in the path": {"[ALERT] (1) : config : parsing [/a[1].cfg:8] : x\n", "/a[1].cfg:8:1: error haproxy: x"},
		"summary":             {"[NOTICE]   (1) : haproxy version is 2.6\n[NOTICE] (1) : path to executable is /x\n[ALERT] (1) : config : Fatal errors found in configuration.\n", ""},
		"no listener":         {"Configuration file has no error but will not start (no listener) => exit(2).\n", ": error haproxy: no error, but no listener either: it will not start"},
		"other programs":      {"/bin/sh: 1: haproxy: not found\n[ALERT] no pid : x\n[FATAL] (1) : x\n", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, p := range ParseMessages(tt.output) {
				got = append(got, p.String())
			}
			if strings.Join(got, "\n") != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func FuzzMessages(f *testing.F) {
	for _, seed := range []string{"[ALERT] 325/214101 (123) : parsing [/a.cfg:12] : 'x'\n    [ SSL] y\n", "[WARNING]  (1) : config : z:\n  ^\n   | more\n", "[ALERT] (1) : [[:]:1]:]",
		"[ALERT] (1) : parsing [:1] : at position 99999999999999999999", "=> exit(2).", "\n[", "[ALERT]("} {
		f.Add(seed)
	}
	file, _ := Parse(lbconfig.NewSource("/a.cfg", []byte(good)))
	f.Fuzz(func(t *testing.T, output string) {
		problems := ParseMessages(output)
		Files{file}.Locate(problems)
		if len(problems) > maxProblems+1 {
			t.Errorf("%d problems", len(problems))
		}
		for _, p := range problems {
			if strings.ContainsAny(p.Text, "\n\r") || len(p.Text) > 2*maxMessage || p.Line < 0 || p.Col < 0 {
				t.Errorf("%+v", p)
			}
		}
	})
}

func FuzzVersion(f *testing.F) {
	f.Add("HA-Proxy version 2.2.9-2+deb11u6 2023/12/23 - https://haproxy.org/\nFeature list : +A -B\n")
	f.Add("HAProxy version 2.4-dev19-abc 2023\nFeature list :\n")
	f.Fuzz(func(t *testing.T, output string) {
		if b, ok := ParseVersion(output); ok && !b.Release.Known() && !strings.Contains(b.Text, "0.0") {
			t.Errorf("%+v", b)
		}
	})
}
