package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// lintText writes a configuration and has the program lint it.
func lintText(t *testing.T, prog peer.Program, name, text string, args ...string) (code int, output string) {
	t.Helper()
	path := filepath.Join(peertest.Dir(t), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	args = append([]string{"lint", "--program", prog.Path, path}, args...)
	code = run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return code, strings.ReplaceAll(out.String()+errs.String(), path, name)
}

func TestLintPrintsWhatHAProxySaysWithItsPlace(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		const good = "defaults\n    mode http\n    timeout client 1s\n    timeout server 1s\n    timeout connect 1s\nfrontend f\n    bind 127.0.0.1:1\n    default_backend web\nbackend web\n    server s0 127.0.0.1:1\n"
		if code, out := lintText(t, prog, "good.cfg", good); code != exitDone || !strings.Contains(out, "good.cfg: valid, says ") {
			t.Errorf("valid: status %d\n%s", code, out)
		}
		bad := strings.Replace(good, "server s0 127.0.0.1:1", "serverr s0 127.0.0.1:1", 1)
		if code, out := lintText(t, prog, "bad.cfg", bad); code != exitFindings || !strings.Contains(out, "bad.cfg:10:5: error haproxy: ") {
			t.Errorf("invalid: status %d\n%s", code, out)
		}
		warns := strings.Replace(good, "    timeout client 1s\n", "", 1)
		if code, out := lintText(t, prog, "warns.cfg", warns); code != exitFindings || !strings.Contains(out, " warning haproxy: ") ||
			!strings.Contains(out, "warns.cfg: valid, with 1 warning, says ") {
			t.Errorf("a warning: status %d\n%s", code, out)
		}
		if code, out := lintText(t, prog, "good.cfg", good, "--as", "nginx"); code == exitDone {
			t.Errorf("the wrong language: status %d\n%s", code, out)
		}
	})
}

func TestLintPrintsWhatNginxSaysWithItsPlace(t *testing.T) {
	peertest.Root(t) // nginx 1.18 opens its compiled-in error log
	peertest.Each(t, "nginx", func(t *testing.T, prog peer.Program) {
		dir := peertest.Dir(t)
		good := peer.NginxMain(dir) + "events {}\nhttp {\n" + peer.NginxTemp(dir) + "    root /var/empty;\n    upstream web { server 127.0.0.1:1; }\n    server { listen 127.0.0.1:8099; location / { proxy_pass http://web; } }\n}\n"
		if code, out := lintText(t, prog, "good.conf", good); code != exitDone || !strings.Contains(out, "good.conf: valid, says ") {
			t.Errorf("valid: status %d\n%s", code, out)
		}
		bad := strings.Replace(good, "root /var/empty;", "health_check;", 1)
		line := strings.Count(bad[:strings.Index(bad, "health_check")], "\n") + 1
		if code, out := lintText(t, prog, "bad.conf", bad); code != exitFindings || !strings.Contains(out, fmt.Sprintf("bad.conf:%d:5: error nginx: ", line)) {
			t.Errorf("invalid: status %d\n%s", code, out)
		}
	})
}

func TestTheLanguageIsToldFromTheContent(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want dialect
	}{
		"haproxy":            {"global\ndefaults\n  mode http\nlisten a\n  bind :80\n", dialectHAProxy},
		"haproxy, commented": {"# events { }\n# http {\nbackend web # x {\n  server a 1.1.1.1:80\n", dialectHAProxy},
		"nginx":              {"user www;\nhttp {\n  server { listen 80; }\n}\n", dialectNginx},
		"nginx with backend": {"upstream backend {\n  server a:80;\n}\n", dialectNginx},
		"nginx, a snippet":   {"location / {\n proxy_pass http://a;\n}", dialectNginx},
		"nothing":            {"", ""},
		"another language":   {"[section]\nkey = value\n", ""},
		"haproxy, CRLF":      {"global\r\ndefaults\r\nfrontend f\r\n", dialectHAProxy},
	} {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := dialectOf(path)
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

func TestLintWithoutAConfigurationJudgesWhatRuns(t *testing.T) {
	if _, err := os.Stat(defaultConfigFile); err == nil {
		peertest.Missing(t, "this host has a configuration of its own, %s; move it away", defaultConfigFile)
	}
	dir := peertest.Dir(t)
	h := peertest.HAProxy(t, peertest.One(t, "haproxy"), dir, peer.HAProxyGlobal(dir)+"defaults\n    mode http\n    timeout client 1s\n    timeout server 1s\n    timeout connect 1s\nlisten l\n    bind unix@"+dir+"/l.sock\n")
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"lint"}, strings.NewReader(""), &out, &errs); !strings.Contains(out.String(), h.Config) {
		t.Errorf("status %d: %s is not judged\n%s%s", code, h.Config, out.String(), errs.String())
	}
}

func TestLintThatFindsNothingSaysWhy(t *testing.T) {
	for name, c := range map[string]struct {
		file  string
		found []string
		want  string
	}{
		"nothing runs":         {"/nowhere/lbmedic.yaml", []string{"sshd (7) listens on 0.0.0.0:22: service sshd-22"}, "there is no /nowhere/lbmedic.yaml, and no HAProxy or nginx runs here"},
		"one without a socket": {"/nowhere/lbmedic.yaml", []string{"haproxy 7: its configuration has no stats socket"}, "haproxy 7: its configuration has no stats socket"},
		"no balancer is named": {os.DevNull, nil, os.DevNull + " names no balancers"},
	} {
		if got := nothingToLint(c.file, c.found); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
