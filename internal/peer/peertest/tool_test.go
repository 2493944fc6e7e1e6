package peertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/lbmedic/lbmedic/internal/peer"
)

// Each name in the list at peer.Tool, how it is asked for its version, and what it says.
func TestEveryToolRuns(t *testing.T) {
	for name, c := range map[string]struct{ arg, says string }{
		"consul":             {"version", "Consul v1.22."},
		"grpc_health_probe":  {"-version", ""},
		"promtool":           {"--version", "promtool, version 2."},
		"openssl":            {"version", "OpenSSL 3."},
		"postgres":           {"--version", "postgres (PostgreSQL) 15."},
		"initdb":             {"--version", "initdb (PostgreSQL) 15."},
		"pg_basebackup":      {"--version", "pg_basebackup (PostgreSQL) 15."},
		"pg_ctl":             {"--version", "pg_ctl (PostgreSQL) 15."},
		"psql":               {"--version", "psql (PostgreSQL) 15."},
		"mariadbd":           {"--version", "MariaDB"},
		"mariadb-install-db": {"--help", "--datadir"},
		"mariadb":            {"--version", "MariaDB"},
		"redis-server":       {"--version", "Redis server v=7."},
		"redis-cli":          {"--version", "redis-cli 7."},
		"memcached":          {"--version", "memcached 1.6."},
		"rabbitmq-server":    {"", ""}, // starts, whatever it is asked
		"rabbitmqctl":        {"help", "rabbitmqctl"},
		"epmd":               {"-help", ""},
		"nats-server":        {"--version", "nats-server: v2."},
		"etcd":               {"--version", "etcd Version: 3.4."},
		"etcdctl":            {"version", ""},
		"slapd":              {"-VV", "OpenLDAP: slapd 2.5."},
		"slapadd":            {"-VV", "usage: slapadd"},
		"ldapadd":            {"-VV", "ldapmodify"},
		"ldapsearch":         {"-VV", "ldapsearch"},
		"php-fpm":            {"--version", "PHP 8.2."},
		"dnsmasq":            {"--version", "Dnsmasq version 2."},
		"exim4":              {"-bV", "Exim version 4."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := Tool(t, name)
			if c.says == "" {
				return
			}
			out, _ := exec.Command(path, c.arg).CombinedOutput() // slapd -VV ends with 1
			if !strings.Contains(string(out), c.says) {
				t.Errorf("%s %s said %q, not %q", path, c.arg, out, c.says)
			}
		})
	}
}

// A tool is its caller, and takes itself for nobody: postgres, which refuses to be root, runs either way, and what it
// writes belongs to the caller.
func TestAServerThatRefusesRootRunsForRoot(t *testing.T) {
	dir := Dir(t)
	data := filepath.Join(dir, "data")
	if out, err := exec.Command(Tool(t, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.WriteFile(filepath.Join(data, "ours"), nil, 0o600); err != nil {
		t.Errorf("the folder does not belong to the caller: %v", err)
	}
	port := Port(t)
	address := fmt.Sprintf("127.0.0.1:%d", port)
	p := Start(t, peer.Server{Path: Tool(t, "postgres"), Ready: peer.Accepts(address),
		Args: []string{"-D", data, "-p", strconv.Itoa(port), "-k", dir, "-c", "listen_addresses=127.0.0.1"}})
	out, err := exec.Command(Tool(t, "psql"), "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-U", "postgres", "-Atc", "select 40 + 2").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "42" {
		t.Errorf("%v: %s", err, out)
	}
	p.Stop()
	if err := peer.Accepts(address)(); err == nil {
		t.Error("it still listens after its end")
	}
}

// Two agents run beside each other, and each answers for itself.
func TestConsulStartsAndAnswers(t *testing.T) {
	a, b := Consul(t, ""), Consul(t, `datacenter = "other"`)
	for agent, datacenter := range map[*peer.Consul]string{a: "dc1", b: "other"} {
		resp, err := http.Get("http://" + agent.Address + "/v1/agent/self")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var self struct {
			Config struct{ Datacenter, Version string }
		}
		if err := json.NewDecoder(resp.Body).Decode(&self); err != nil {
			t.Fatal(err)
		}
		if self.Config.Datacenter != datacenter || !strings.HasPrefix(self.Config.Version, "1.22.") {
			t.Errorf("the agent at %s says %+v", agent.Address, self.Config)
		}
	}
}
