package check

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/internal/child"
)

// execKind runs a program, without a shell.
var execKind = Kind{
	Doc: "a program ends with 0; it runs as lbmedic does, as root where that is root, unless user is set. It is run only where nobody but root and " +
		"lbmedic's own user could have written it, the files among its arguments (an interpreter's script) and the configuration",
	Target: Option{Doc: "the absolute path of the program, and its arguments; it has three quarters of the timeout, no setuid bit counts, " +
		"and all that it starts is killed with it", Type: Text, List: true, Secret: true},
	Measurement: "result",
	Example:     "{exec: [/usr/lib/nagios/plugins/check_load, -w, '5,4,3'], user: nobody}",
	Options: []Option{
		{Key: "env", Doc: "NAME=value for its environment, which otherwise has PATH, and LBMEDIC_EXEC to know its processes by", Type: Text, List: true, Secret: true},
		{Key: "dir", Doc: "its working directory", Type: Path, Default: []string{"/"}},
		{Key: "user", Doc: "the user, a name or a number, that it runs as; takes root", Type: Text},
		{Key: "exit", Doc: "what the exit code means: of nagios 0 passes, 1 warns, 2 fails, anything else is unknown; of plain 0 passes, anything else fails",
			Type: Word, Words: []string{"nagios", "plain"}, Default: []string{"nagios"}},
	},
	New: newExec,
}

// execLimits bound what a program does while it goes wrong.
var execLimits = map[int]uint64{
	unix.RLIMIT_CORE:   0,
	unix.RLIMIT_NOFILE: 1024,
	unix.RLIMIT_FSIZE:  64 << 20,
	unix.RLIMIT_DATA:   1 << 30,
}

func newExec(s Settings) (Probe, error) {
	c := child.Command{Path: s.Target(), Args: s.Targets()[1:], Dir: s.Text("dir"), Env: append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, s.Texts("env")...)}
	var errs []error
	if !filepath.IsAbs(c.Path) {
		errs = append(errs, KeyError{Err: errors.New("the program must be an absolute path, such as /usr/lib/nagios/plugins/check_load, and is run without a shell")})
	}
	for _, text := range append(s.Targets(), c.Env...) {
		if strings.ContainsRune(text, 0) {
			errs = append(errs, errors.New("an argument has a zero byte"))
		}
	}
	for _, text := range s.Texts("env") {
		if name, _, ok := strings.Cut(text, "="); !ok || name == "" {
			errs = append(errs, KeyError{"env", errors.New("an entry is not NAME=value")})
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	plain, name := s.Text("exit") == "plain", s.Text("user")
	return func(ctx context.Context) healthd.Outcome {
		start := time.Now()
		err := execPermitted(ctx)
		if err == nil {
			err = trustedAll(c)
		}
		confined := c
		if err == nil {
			confined.Confine, err = confinement(name)
		}
		if err != nil {
			return notSeen(ctx, start, err)
		}
		return runExec(ctx, start, confined, plain)
	}, nil
}

// confinement is what every program of a check is run in.
func confinement(name string) (*child.Confinement, error) {
	c := &child.Confinement{Limits: execLimits}
	if name == "" {
		return c, nil
	}
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("run as %s: that takes root", healthd.Line(name, 40))
	}
	u, err := user.LookupId(name)
	if err != nil {
		u, err = user.Lookup(name)
	}
	if err != nil {
		return nil, fmt.Errorf("run as %s: %w", healthd.Line(name, 40), err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err, err2); err != nil {
		return nil, fmt.Errorf("run as %s: %w", healthd.Line(name, 40), err)
	}
	c.User = &child.User{UID: uint32(uid), GID: uint32(gid)}
	return c, nil
}

// runExec runs the program and judges how it ended. It gets three quarters of the probe's time: an eighth is for TERM, another for KILL.
func runExec(ctx context.Context, start time.Time, c child.Command, plain bool) healthd.Outcome {
	if deadline, ok := ctx.Deadline(); ok {
		c.Grace = max(time.Millisecond, min(child.DefaultGrace, time.Until(deadline)/8))
		inner, cancel := context.WithDeadline(ctx, deadline.Add(-2*c.Grace))
		defer cancel()
		ctx = inner
	}
	mark := rand.Text()
	c.Env = append(slices.Clone(c.Env), execMark+"="+mark)
	res, err := c.Run(ctx)
	killLeft(mark, res.PID)
	name := filepath.Base(c.Path)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return notSeen(ctx, start, err)
	case errors.Is(err, child.ErrDeadline):
		return concluded(start, finding{healthd.TimedOut, name + " did not end in time, and was killed with all that it had started"})
	case err != nil:
		return notSeen(ctx, start, err)
	case res.Signal != "":
		return concluded(start, unseen(fmt.Errorf("%s was ended by a signal: %s", name, res.Signal)))
	}
	said, data := parsePlugin(res.Output)
	if said == "" {
		said = fmt.Sprintf("%s ended with %d", name, res.Code)
	}
	o := concluded(start, finding{exitClass(res.Code, plain), said})
	if value, unit, ok := parsePerfdata(data); ok {
		o = o.Measured(value, unit)
	}
	return o
}

// exitClass is what an exit code means: of nagios by the Monitoring Plugins Development Guidelines, 2.2.
func exitClass(code int, plain bool) healthd.Class {
	switch {
	case code == 0:
		return healthd.OK
	case plain:
		return healthd.WrongAnswer
	case code == 1:
		return healthd.Degraded
	case code == 2:
		return healthd.WrongAnswer
	}
	return healthd.OwnFault
}
