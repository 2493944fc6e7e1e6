// Package check knows the kinds of check. Each is one file and one line in the table here: what it takes from the config, and how a
// probe is made of that. A probe says what it met; the caller bounds it by the deadline of ctx.
package check

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// kinds is the catalogue, beside heavyKinds in kinds_full.go, which a build with the tag lite leaves out.
var kinds = map[string]Kind{
	"clock":       clockKind,
	"descriptors": descriptorsKind,
	"disk":        diskKind,
	"dns":         dnsKind,
	"etcd":        etcdKind,
	"exec":        execKind,
	"fastcgi":     fastcgiKind,
	"file":        fileKind,
	"grpc":        grpcKind,
	"http":        httpKind,
	"lbmedic":     lbmedicKind,
	"ldap":        ldapKind,
	"listening":   listeningKind,
	"load":        loadKind,
	"log":         logKind,
	"memcached":   memcachedKind,
	"memory":      memoryKind,
	"nats":        natsKind,
	"process":     processKind,
	"redis":       redisKind,
	"smtp":        smtpKind,
	"tcp":         tcpKind,
	"tls":         tlsKind,
	"unit":        unitKind,
}

// all are the kinds of this build.
func all() map[string]Kind {
	every := maps.Clone(kinds)
	maps.Copy(every, heavyKinds)
	return every
}

// Find gives a kind by name.
func Find(name string) (Kind, error) {
	if k, ok := kinds[name]; ok {
		return k, nil
	}
	if k, ok := heavyKinds[name]; ok {
		return k, nil
	}
	if slices.Contains(absent, name) {
		return Kind{}, fmt.Errorf("this is a lite build of lbmedic, without checks of kind %s; install the full one", name)
	}
	return Kind{}, fmt.Errorf("kind of check %q is none of %v", healthd.Line(name, 40), Names())
}

// Names are the names of all kinds of this build, sorted.
func Names() []string { return slices.Sorted(maps.Keys(all())) }

// Absent are the kinds that only a full build has; none in one.
func Absent() []string { return slices.Sorted(slices.Values(absent)) }

// passed makes the outcome of a right answer.
func passed(start time.Time, detail string) healthd.Outcome {
	return healthd.NewOutcome(start, time.Since(start), healthd.OK, detail)
}
