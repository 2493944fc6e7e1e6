package peer

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Consul is a running Consul agent in dev mode: one server, its state in memory, all of it on 127.0.0.1.
type Consul struct {
	*Process
	Program Program
	Address string // of its HTTP API, "127.0.0.1:8500"
	Config  string // the file that the agent was started with
}

// StartConsul writes a config to DIR/consul.hcl, followed by the lines given, and starts an agent of its own node name and
// ports. It returns once the agent leads, which takes about half a second. DNS, gRPC and the LAN beyond 127.0.0.1 are off.
func StartConsul(prog Program, dir, node, lines string) (*Consul, error) {
	var ports [3]int
	for i := range ports {
		var err error
		if ports[i], err = Port(); err != nil {
			return nil, err
		}
	}
	c := &Consul{Program: prog, Address: fmt.Sprintf("127.0.0.1:%d", ports[0]), Config: filepath.Join(dir, "consul.hcl")}
	config := fmt.Sprintf(`node_name = %q
bind_addr = "127.0.0.1"
client_addr = "127.0.0.1"
disable_update_check = true
log_level = "warn"
ports { http = %d, serf_lan = %d, server = %d, serf_wan = -1, dns = -1, grpc = -1, grpc_tls = -1 }
%s`, node, ports[0], ports[1], ports[2], lines)
	if err := os.WriteFile(c.Config, []byte(config), 0o600); err != nil {
		return nil, err
	}
	var err error
	c.Process, err = Server{Path: prog.Path, Args: []string{"agent", "-dev", "-config-file=" + c.Config}, Ready: c.leads, Limit: 30 * time.Second}.Start()
	return c, err
}

// leads is nil once the agent has elected itself and knows its own node.
func (c *Consul) leads() error {
	client := http.Client{Timeout: time.Second}
	resp, err := client.Get("http://" + c.Address + "/v1/catalog/nodes")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var nodes []struct{ Node string }
	if err := json.NewDecoder(resp.Body).Decode(&nodes); err != nil {
		return fmt.Errorf("%s: %w", resp.Status, err)
	}
	if len(nodes) == 0 {
		return errors.New("no node yet")
	}
	return nil
}
