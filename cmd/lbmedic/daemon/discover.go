package daemon

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/procfs"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/lbconfig/haproxy"
	"github.com/lbmedic/lbmedic/lbconfig/nginx"
)

// Discover adds to a configuration what runs on this host: each HAProxy and nginx as a balancer, and each service that
// listens as a service that accepts connections. Nothing that it adds can act: the policy stays what it was, and found
// tells what was found, one line each. What cannot be read is passed over and told as well.
func Discover(ctx context.Context, cfg *config.Config) (found []string) {
	balancers := map[int]bool{} // their processes: what they listen at is not a service behind them
	for _, add := range []func(*config.Config, map[int]bool) ([]string, error){discoverHAProxy, discoverNginx, discoverServices} {
		lines, err := add(cfg, balancers)
		found = append(found, lines...)
		if err != nil {
			found = append(found, "could not look: "+err.Error())
		}
		if ctx.Err() != nil {
			break
		}
	}
	return found
}

func discoverHAProxy(cfg *config.Config, pids map[int]bool) (found []string, err error) {
	processes, err := haproxy.Running("/proc")
	if err != nil {
		return nil, fmt.Errorf("find haproxy: %w", err)
	}
	for i, instance := range haproxy.Instances(processes) {
		main := instance.Main()
		if main == nil {
			continue
		}
		pids[main.PID] = true
		for _, w := range instance.Workers {
			pids[w.PID] = true
		}
		if main.Root != "/" && main.Root != "" {
			found = append(found, fmt.Sprintf("haproxy %d: it runs in %s; name it in a configuration", main.PID, main.Root))
			continue
		}
		b := config.Balancer{Name: numbered("haproxy", i), Policy: cfg.Policy}
		b.HAProxy = &config.HAProxy{Config: main.Paths(), MasterSocket: main.Command.MasterSocket, Program: main.Exe}
		b.HAProxy.Socket = adminSocket(b.HAProxy.Config)
		if b.HAProxy.Socket == "" {
			found = append(found, fmt.Sprintf("haproxy %d: its configuration has no stats socket with level admin on a path; add one", main.PID))
			continue
		}
		cfg.Balancers = append(cfg.Balancers, b)
		found = append(found, fmt.Sprintf("haproxy %d: balancer %s, socket %s", main.PID, b.Name, b.HAProxy.Socket))
	}
	return found, nil
}

// adminSocket is the path of the first stats socket that takes commands, or of the first one at all.
func adminSocket(paths []string) (path string) {
	m, err := loadModel(paths)
	if err != nil {
		return ""
	}
	for _, s := range m.Global.StatsSockets {
		if s.Path != "" && s.Level == "admin" {
			return s.Path
		}
		path = cmp.Or(path, s.Path)
	}
	return path
}

func discoverNginx(cfg *config.Config, pids map[int]bool) (found []string, err error) {
	running, err := nginx.Instances()
	if err != nil {
		return nil, fmt.Errorf("find nginx: %w", err)
	}
	for i, r := range running {
		pids[r.PID] = true
		workers, err := nginx.Workers(r.PID)
		if err != nil {
			continue // it has just ended
		}
		for _, w := range workers {
			pids[w.PID] = true
		}
		if r.Chroot != "/" {
			found = append(found, fmt.Sprintf("nginx %d: %s; name it in a configuration", r.PID, elsewhere(r.Chroot)))
			continue
		}
		prefix, conf, pid, _ := r.Arguments.Paths(nginx.Build{Conf: "/etc/nginx/nginx.conf", PID: debianPID}, r.Cwd)
		cfg.Balancers = append(cfg.Balancers, config.Balancer{Name: numbered("nginx", i), Policy: cfg.Policy,
			Nginx: &config.Nginx{Config: conf, Prefix: prefix, Program: r.Exe, PID: pid}})
		found = append(found, fmt.Sprintf("nginx %d: balancer %s, configuration %s", r.PID, numbered("nginx", i), conf))
	}
	return found, nil
}

// elsewhere says why a process's files are not taken for those of this host.
func elsewhere(root string) string {
	if root == "" {
		return "its root may not be read by this user"
	}
	return "it runs in " + root
}

func numbered(name string, i int) string {
	if i == 0 {
		return name
	}
	return name + strconv.Itoa(i+1)
}

// maxDiscovered bounds how many listening services are taken up.
const maxDiscovered = 32

// discoverServices takes up every TCP port that a program of this host listens at, other than the balancers' and ours,
// as a service that has to accept connections.
func discoverServices(cfg *config.Config, skip map[int]bool) (found []string, err error) {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return nil, err
	}
	listening, err := listeners(fs)
	if err != nil {
		return nil, err
	}
	owners := owners(fs, listening)
	skip[os.Getpid()] = true
	seen := map[uint16]bool{}
	for _, inode := range slices.Sorted(maps.Keys(listening)) {
		address := listening[inode]
		owner, ok := owners[inode]
		if !ok || skip[owner.pid] || seen[address.Port()] || address == cfg.Health.HTTP || address == cfg.Health.Agent || len(seen) == maxDiscovered {
			continue
		}
		seen[address.Port()] = true
		if address.Addr().IsUnspecified() {
			address = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), address.Port())
		}
		name := fmt.Sprintf("%s-%d", owner.name, address.Port())
		cfg.Health.Services = append(cfg.Health.Services, config.Service{Name: name, Address: address.String(), Checks: []config.Check{{
			Name: "port", Kind: "tcp", Target: []string{address.String()}, Impact: config.ImpactRequired,
			Interval: 2 * time.Second, Timeout: time.Second, Rise: 2, Fall: 3}}})
		found = append(found, fmt.Sprintf("%s (%d) listens on %s: service %s", owner.name, owner.pid, address, name))
	}
	return found, nil
}

// listeners are the listening TCP sockets of this host, by inode.
func listeners(fs procfs.FS) (map[uint64]netip.AddrPort, error) {
	out := map[uint64]netip.AddrPort{}
	for _, read := range []func() (procfs.NetTCP, error){fs.NetTCP, fs.NetTCP6} {
		sockets, err := read()
		if err != nil && !os.IsNotExist(err) { // no IPv6
			return nil, fmt.Errorf("list the listening ports: %w", err)
		}
		for _, s := range sockets {
			const listen = 10 // TCP_LISTEN
			addr, ok := netip.AddrFromSlice(net.IP(s.LocalAddr))
			if s.St == listen && ok {
				out[s.Inode] = netip.AddrPortFrom(addr.Unmap(), uint16(s.LocalPort))
			}
		}
	}
	return out, nil
}

type owner struct {
	pid  int
	name string
}

// owners finds the processes that hold the sockets. Those of other users cannot be seen without being root.
func owners(fs procfs.FS, sockets map[uint64]netip.AddrPort) map[uint64]owner {
	out := map[uint64]owner{}
	procs, err := fs.AllProcs()
	if err != nil {
		return out
	}
	for _, p := range procs {
		targets, err := p.FileDescriptorTargets()
		if err != nil {
			continue
		}
		for _, t := range targets {
			var inode uint64
			if _, err := fmt.Sscanf(t, "socket:[%d]", &inode); err != nil {
				continue
			}
			if _, ok := sockets[inode]; !ok || out[inode].pid != 0 {
				continue
			}
			name, err := p.Comm()
			if err == nil {
				out[inode] = owner{p.PID, serviceName(name)}
			}
		}
	}
	return out
}

// serviceName keeps of a program's name what a service may be called.
func serviceName(comm string) string {
	name := []byte(filepath.Base(comm))
	for i, c := range name {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '.' {
			name[i] = '-'
		}
	}
	return cmp.Or(string(name), "service")
}
