package nginx

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/lbmedic/lbmedic/internal/child"
	"github.com/lbmedic/lbmedic/lbconfig"
)

// Instance is one nginx of this machine whose files can be changed.
type Instance struct {
	Validator               // with the instance's own arguments; Conf is absolute, Prefix absolute or not given
	PIDFile   string        // of the master
	Exe       string        // the master's program as /proc tells it; empty: any program called nginx
	LogFile   string        // its error log, read for the reason of a refusal; empty: not read
	Patience  time.Duration // how long a reload may take; 0 means DefaultPatience

	mu sync.Mutex // one change at a time
}

// DefaultPatience is how long a reload is waited for where Instance.Patience is 0. A reload takes about 0.13 s; one
// that cannot bind gives up after 2.5 s (1.18 to 1.30); one with many names to resolve takes longer.
const DefaultPatience = 10 * time.Second

// Load reads the instance's configuration.
func (i *Instance) Load() *Closure { return Load(i.Prefix, i.Conf, Disk{}) }

// sameConf tells whether a master with those arguments reads this instance's configuration. A master that was started
// without -c reads the one of its build, which only the validator's own arguments can tell: Conf is then not given either.
func (i *Instance) sameConf(a Arguments) bool {
	if a.Conf == "" {
		return true
	}
	conf := a.Conf
	if !filepath.IsAbs(conf) {
		conf = filepath.Join(cmp.Or(a.Prefix, i.Prefix), conf)
	}
	return filepath.Clean(conf) == filepath.Clean(i.Conf)
}

func (i *Instance) patience() time.Duration {
	if i.Patience > 0 {
		return i.Patience
	}
	return DefaultPatience
}

// BuildOf asks a program what it was built with.
func BuildOf(ctx context.Context, program string) (Build, error) {
	ctx, cancel := context.WithTimeout(ctx, DefaultDeadline)
	defer cancel()
	res, err := child.Command{Path: program, Args: []string{"-V"}}.Run(ctx)
	if err != nil {
		return Build{}, fmt.Errorf("ask what nginx was built with: %w", err)
	}
	b := ParseBuild(string(res.Output))
	if res.Code != 0 || b.Version == "" {
		return Build{}, fmt.Errorf("ask what nginx was built with: %s -V ended with status %d: %s", program, res.Code, oneLine(string(res.Output)))
	}
	return b, nil
}

// NewInstance puts together what the arguments of an nginx, its build and its configuration tell: the paths that it
// reads and writes. program is the absolute path of the nginx to validate with; cwd is where it was started. The pid
// and error_log of -g win over those of the file, and these over the build's.
func NewInstance(program string, a Arguments, b Build, cwd string) *Instance {
	prefix, conf, pid, log := a.Paths(b, cwd)
	i := &Instance{Validator: Validator{Program: program, Prefix: a.Prefix, Conf: conf, Globals: a.Globals, ErrorLog: a.ErrorLog}}
	if a.Prefix != "" {
		i.Prefix = prefix
	}
	file := i.Load().Meaning()
	global, _ := Parse(lbconfig.NewSource("-g", []byte(a.Globals))) // nginx has taken it: it runs
	first := (&Closure{Main: global}).Meaning()
	i.PIDFile = below(prefix, cmp.Or(first.PIDFile, file.PIDFile, pid))
	i.LogFile = below(prefix, cmp.Or(first.ErrorLog, file.ErrorLog, log))
	if log := filepath.Base(i.LogFile); log == "stderr" || strings.Contains(i.LogFile, "/syslog:") || strings.Contains(i.LogFile, "/memory:") {
		i.LogFile = ""
	}
	return i
}
