package peer

import (
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// HAProxy is a running HAProxy in master-worker mode.
type HAProxy struct {
	*Process
	Program Program
	Dir     string // where the files below are
	Config  string // haproxy.cfg
	Socket  string // runtime socket, admin level
	Master  string // master socket
}

// HAProxyGlobal is the global section that StartHAProxy expects the config to begin with: it opens the runtime
// socket at DIR/admin.sock with admin level.
func HAProxyGlobal(dir string) string {
	return "global\n    stats socket " + filepath.Join(dir, "admin.sock") + " mode 600 level admin expose-fd listeners\n"
}

// StartHAProxy writes config to DIR/haproxy.cfg and starts the program with a master socket at DIR/master.sock. It
// returns once the runtime socket DIR/admin.sock accepts connections. The config names that socket itself, most
// simply by starting with HAProxyGlobal(dir).
func StartHAProxy(prog Program, dir, config string) (*HAProxy, error) {
	h := &HAProxy{Program: prog, Dir: dir, Config: filepath.Join(dir, "haproxy.cfg"),
		Socket: filepath.Join(dir, "admin.sock"), Master: filepath.Join(dir, "master.sock")}
	if err := h.WriteConfig(config); err != nil {
		return nil, err
	}
	var err error
	h.Process, err = start(prog.Path, nil, "-W", "-S", h.Master, "-f", h.Config)
	if err != nil {
		return nil, err
	}
	return h, h.waitFor("start "+prog.Name, 10*time.Second, func() error { return dial(h.Socket) })
}

// WriteConfig replaces the config file; Reload makes it live.
func (h *HAProxy) WriteConfig(config string) error {
	return os.WriteFile(h.Config, []byte(config), 0o644)
}

// Reload asks the master for a new worker, as `systemctl reload haproxy` does. It does not wait for it.
func (h *HAProxy) Reload() error { return h.Signal(syscall.SIGUSR2) }

func dial(socket string) error {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	return c.Close()
}
