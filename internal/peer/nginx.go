package peer

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Nginx is a running nginx with its master in the foreground.
type Nginx struct {
	*Process
	Program Program
	Dir     string // the prefix (-p)
	Config  string // nginx.conf (-c)
	PIDFile string
}

// NginxMain is the main context that StartNginx expects the config to begin with: it keeps every file of nginx below dir.
func NginxMain(dir string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "daemon off;\npid %s/nginx.pid;\nerror_log %s/error.log notice;\nworker_processes 2;\n", dir, dir)
	if os.Geteuid() != 0 { // in the user namespace of a cached version there is no user but root, and no `nobody` to become
		b.WriteString("user root;\n")
	}
	return b.String()
}

// NginxTemp is the part of the http context that keeps the temporary folders of nginx below dir, and writes no access log.
func NginxTemp(dir string) string {
	b := strings.Builder{}
	b.WriteString("    access_log off;\n")
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&b, "    %s_temp_path %s/%s;\n", kind, dir, kind)
	}
	return b.String()
}

// StartNginx writes config to DIR/nginx.conf, starts the program, and returns once address ("127.0.0.1:8080") accepts
// connections and the pid file is written. The config is most simply made of NginxMain(dir) and NginxTemp(dir).
func StartNginx(prog Program, dir, config, address string) (*Nginx, error) {
	n := &Nginx{Program: prog, Dir: dir, Config: filepath.Join(dir, "nginx.conf"), PIDFile: filepath.Join(dir, "nginx.pid")}
	if err := n.WriteConfig(config); err != nil {
		return nil, err
	}
	var err error
	n.Process, err = start(prog.Path, nil, "-p", dir, "-c", n.Config)
	if err != nil {
		return nil, err
	}
	return n, n.waitFor("start "+prog.Name, 10*time.Second, func() error {
		if pid, err := os.ReadFile(n.PIDFile); err != nil || len(pid) == 0 {
			return fmt.Errorf("the pid file is not written yet: %w", err)
		}
		c, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		return c.Close()
	})
}

// WriteConfig replaces the config file; Reload makes it live.
func (n *Nginx) WriteConfig(config string) error {
	return os.WriteFile(n.Config, []byte(config), 0o644)
}

// Reload asks the master for new workers. It does not wait for them.
func (n *Nginx) Reload() error { return n.Signal(syscall.SIGHUP) }
