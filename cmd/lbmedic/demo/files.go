package demo

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/lbmedic/lbmedic/internal/peer"
)

// haproxyConfig is what a careful operator runs. Its own check is a shallow one, a connection to the app's port, so
// that only the sidecar sees the dependency fail. Clients keep idle connections for 5 s and HAProxy for 30 s, so that
// never both close one at the same time.
func (l layout) haproxyConfig() string {
	var b strings.Builder
	b.WriteString(peer.HAProxyGlobal(l.dir))
	fmt.Fprintf(&b, `    hard-stop-after 30s
    maxconn 2000

defaults
    mode http
    balance roundrobin
    retries 3
    option redispatch
    timeout connect 1s
    timeout client 30s
    timeout server 10s
    timeout queue 5s
    timeout check 1s
    timeout http-request 5s
    timeout http-keep-alive 30s

frontend entry
    bind %s
    default_backend %s

frontend stats
    bind %s
    stats enable
    stats uri /
    stats refresh 2s

backend %s
`, l.front, backend, l.stats, backend)
	for _, a := range l.apps {
		fmt.Fprintf(&b, "    server %s %s check inter 250ms rise 2 fall 3\n", a.name, a.address)
	}
	return b.String()
}

// nginxConfig puts a second balancer before the same apps.
func (l layout) nginxConfig(dir string) string {
	var b strings.Builder
	b.WriteString(peer.NginxMain(dir))
	b.WriteString("\nevents {\n    worker_connections 512;\n}\n\nhttp {\n")
	b.WriteString(peer.NginxTemp(dir))
	fmt.Fprintf(&b, "    access_log off;\n\n    upstream %s {\n", backend)
	for _, a := range l.apps {
		fmt.Fprintf(&b, "        server %s;\n", a.address)
	}
	fmt.Fprintf(&b, "    }\n\n    server {\n        listen %s;\n        location / {\n            proxy_pass http://%s;\n        }\n    }\n}\n", l.nginx, backend)
	return b.String()
}

// sidecarConfig is lbmedic beside an app.
func (l layout) sidecarConfig(p place) string {
	return fmt.Sprintf(`health:
  http: %s
  agent: off
  on_term: leave
  services:
    %s:
      address: %s
      checks:
        deep: {http: "http://%s/healthz", interval: 200ms, timeout: 190ms, rise: 2, fall: 3}
admin: {socket: %s, http: off}
state: %s
`, p.sidecar, backend, p.address, p.address, p.socket(l.dir), filepath.Join(l.dir, "state-"+p.name))
}

// controllerConfig is lbmedic beside the balancers. nginx may be nil.
func (l layout) controllerConfig(h *peer.HAProxy, nginx *peer.Nginx) string {
	_, port, _ := strings.Cut(l.apps[0].sidecar, ":")
	var b strings.Builder
	fmt.Fprintf(&b, `balancers:
  %s:
    haproxy: {config: %s, socket: %s, master_socket: %s, program: %s}
    sidecar: http://{address}:%s/health/by-port/{port}
`, balancer, h.Config, h.Socket, h.Master, h.Program.Path, port)
	if nginx != nil {
		fmt.Fprintf(&b, "  %s:\n    nginx: {config: %s, prefix: %s, program: %s, edit: true}\n    policy: {mode: observe}\n",
			second, nginx.Config, nginx.Dir, nginx.Program.Path)
	}
	fmt.Fprintf(&b, `policy:
  mode: enforce
admin: {socket: %s, http: off}
state: %s
`, l.adminSocket(), filepath.Join(l.dir, "state-lbmedic"))
	return b.String()
}
