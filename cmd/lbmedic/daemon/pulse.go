package daemon

import (
	"context"
	"fmt"
	"strings"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/healthd"
)

const (
	pulseBeat = time.Second
	// hung is how long the board, which has a turn each second, may be without one before the watchdog hears nothing more, and hungLoop the same
	// for the loop of a balancer, which waits for other programs.
	hung     = 10 * time.Second
	hungLoop = 2 * time.Minute
)

// pulse tells systemd how it goes, when that changes, and, where the unit has WatchdogSec=, that it goes: only while the board and the loops have
// their turns, so that a process whose heart has stopped is restarted although its timers run.
type pulse struct {
	status func() string
	alive  func(now time.Time) bool
	tell   func(...string)
	watch  time.Duration // within which the watchdog wants to hear of us; 0: there is none
}

func (p pulse) run(ctx context.Context) error {
	beat := time.NewTicker(pulseBeat)
	defer beat.Stop()
	said := ""
	var fed time.Time
	for {
		now := time.Now()
		if status := p.status(); status != said {
			said = status
			p.tell("STATUS=" + status)
		}
		if p.watch > 0 && now.Sub(fed) >= p.watch/2-pulseBeat && p.alive(now) {
			fed = now
			p.tell(systemd.SdNotifyWatchdog)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-beat.C:
		}
	}
}

// alive reports whether the board and every balancer's loop had a turn lately. What has not begun yet is not dead.
func (d *Daemon) alive(now time.Time) bool {
	if d.sidecar != nil && now.Sub(d.sidecar.board.Ticked()) >= hung {
		return false
	}
	for _, c := range d.currentControllers().all {
		if turned := c.Turned(); !turned.IsZero() && now.Sub(turned) >= hungLoop {
			return false
		}
	}
	return true
}

// runPulse is the pulse of the daemon. Without systemd there is nobody to tell.
func (d *Daemon) runPulse(ctx context.Context) error {
	p := pulse{status: d.statusLine, alive: d.alive, tell: func(state ...string) { notify(d.log, state...) }}
	var err error
	if p.watch, err = systemd.SdWatchdogEnabled(false); err != nil {
		d.log.Warn("the watchdog of systemd hears nothing", zap.Error(err))
	}
	return p.run(ctx)
}

// statusLine is one line for `systemctl status`: "12 checks: 11 pass 1 warn".
func (d *Daemon) statusLine() string {
	var parts []string
	if wrong := d.Reading().Wrong; wrong != "" {
		parts = append(parts, "the configuration was not taken: "+wrong)
	}
	if d.sidecar != nil {
		parts = append(parts, checksLine(d.sidecar.board.Latest()))
	}
	if n := len(d.currentControllers().names); n == 1 {
		parts = append(parts, "1 balancer")
	} else if n > 0 {
		parts = append(parts, fmt.Sprintf("%d balancers", n))
	}
	return strings.Join(parts, "; ")
}

// checksLine counts the checks of a snapshot by status, and names the services that are out.
func checksLine(s *healthd.Snapshot) string {
	counts := map[healthd.Status]int{}
	total := 0
	var out []string
	for _, svc := range s.Services {
		for _, c := range svc.Checks {
			counts[c.Verdict.Status]++
			total++
		}
		if svc.Admin.State != healthd.Ready {
			out = append(out, svc.Name+" "+svc.Admin.State.String())
		}
	}
	line := fmt.Sprintf("%d checks:", total)
	if total == 1 {
		line = "1 check:"
	}
	for _, status := range []healthd.Status{healthd.Pass, healthd.Warn, healthd.Fail, healthd.Unknown} {
		if n := counts[status]; n > 0 {
			line += fmt.Sprintf(" %d %s", n, status)
		}
	}
	return strings.Join(append([]string{strings.TrimSuffix(line, ":")}, out...), ", ")
}
