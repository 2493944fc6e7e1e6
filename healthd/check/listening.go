package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// listeningKind looks in the tables of the kernel for who listens, and connects to nothing.
var listeningKind = Kind{
	Doc:         "a program of this host listens at a port or a unix socket, and accepts what comes",
	Target:      Option{Doc: "a port, address:port, the path of a unix socket, or its @name in the abstract", Type: Text},
	Measurement: "acceptQueue",
	Example:     "{listening: 127.0.0.1:6379, by: redis-server}",
	Options: []Option{
		{Key: "protocol", Doc: "of a port", Type: Word, Words: []string{"tcp", "udp"}, Default: []string{"tcp"}},
		{Key: "by", Doc: "the name of the program that has to be the one, as ps shows it; seeing that takes root or the same user", Type: Text},
		{Key: "queue_warn", Doc: "warns where more connections than this wait to be accepted", Type: Int, Max: 1e6},
		{Key: "queue_fail", Doc: "fails where more do", Type: Int, Max: 1e6},
		procOption,
	},
	New: newListening,
}

// listeningRule is what the listeners of a place are held against.
type listeningRule struct {
	place     place
	process   string
	queue     limits
	proc      string
	looks     bool // into the descriptors of everybody
	owners    ownerBook
	overflows uint64 // as the last probe read them; see overflowsOf
	counted   bool
}

func newListening(s Settings) (Probe, error) {
	r := &listeningRule{process: s.Text("by"), proc: s.Text("proc")}
	var err, err2 error
	r.place, err = parsePlace(s.Target(), s.Text("protocol"))
	r.queue, err2 = limitsOf(s, "queue_warn", "queue_fail", number)
	if r.queue.set() && r.place.protocol != "" && r.place.protocol != "tcp" {
		err2 = KeyError{"queue_fail", errors.New("and queue_warn are for ports of tcp; of others the kernel tells no queue")}
	}
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	r.looks = r.process != "" || os.Geteuid() == 0 // without root it would see nearly nobody's, at a price
	return func(ctx context.Context) healthd.Outcome {
		start := time.Now()
		sockets, err := r.place.listeners(ctx, r.proc)
		if err != nil {
			return notSeen(ctx, start, err)
		}
		o := concluded(start, r.judge(ctx, sockets)...)
		if r.place.protocol == "tcp" {
			o = o.Measured(float64(waiting(sockets)), "count")
		}
		return o
	}, nil
}

func (r *listeningRule) judge(ctx context.Context, sockets []socket) []finding {
	sockets, err := r.place.reached(ctx, sockets)
	if err != nil {
		return []finding{unseen(err)}
	}
	if len(sockets) == 0 {
		return []finding{bad("nothing listens at %s", r.place)}
	}
	found := []finding{r.owned(ctx, sockets)}
	if r.place.protocol != "tcp" {
		return found
	}
	n := float64(waiting(sockets))
	found = append(found, r.queue.judge(n, plainNumber(n)+" connections wait to be accepted", plainNumber))
	overflows, ok := overflowsOf(r.proc)
	rose := overflows - r.overflows
	if ok && r.counted && overflows > r.overflows && n > 0 {
		// The count is that of all ports: only who has a queue can be meant.
		found = append(found, doubtful("its accept queue overflows: %s wait to be accepted, and %d connections to this host were turned away since the last probe",
			plainNumber(n), rose))
	}
	r.overflows, r.counted = overflows, ok
	return found
}

// owned says who listens, and whether that is who should.
func (r *listeningRule) owned(ctx context.Context, sockets []socket) finding {
	var owners []socketOwner
	var err error
	if r.looks {
		owners, err = r.owners.find(ctx, r.proc, sockets)
	}
	name := ""
	if len(owners) > 0 {
		name = fmt.Sprintf("%s (%d) ", owners[0].name, owners[0].pid)
	}
	what := cmp.Or(name, "somebody ") + "listens at " + r.place.String()
	switch {
	case r.process == "":
		return fine("%s", what)
	case len(owners) == 0:
		return unseen(fmt.Errorf("who listens at %s cannot be seen%s; that takes root or the same user", r.place, because(err)))
	case !slices.ContainsFunc(owners, func(o socketOwner) bool { return sameName(o.name, r.process) }):
		return bad("%s, which should be %s", what, r.process)
	}
	return fine("%s", what)
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

// waiting is how many connections wait to be accepted at all of the sockets.
func waiting(sockets []socket) (n uint64) {
	for _, s := range sockets {
		n += min(s.queue, math.MaxUint32)
	}
	return n
}

// overflowsOf is how many connections to any port of this host were turned away since it was started, because an accept queue was full:
// ListenOverflows of /proc/net/netstat.
func overflowsOf(proc string) (uint64, bool) {
	raw, err := readSmall(filepath.Join(netOf(proc), "netstat"))
	if err != nil {
		return 0, false
	}
	n, ok := parseNetstat(string(raw))["ListenOverflows"]
	return n, ok
}

// parseNetstat reads the lines TcpExt: of names, then of numbers.
func parseNetstat(text string) map[string]uint64 {
	counters := map[string]uint64{}
	var names []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "TcpExt:" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i := 1; i < min(len(names), len(fields)); i++ {
			if n, ok := decimal(fields[i]); ok {
				counters[names[i]] = n
			}
		}
		break
	}
	return counters
}
