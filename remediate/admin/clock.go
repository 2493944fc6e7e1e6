package admin

import (
	"time"

	"github.com/lbmedic/lbmedic/remediate"
)

// Clock is how a time is written for people: local, with the offset of its zone. JSON has RFC 3339.
func Clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 -0700") }

// FrozenBy says who froze automation, when and why.
func FrozenBy(f *remediate.Freeze) string {
	return "by " + f.By + " at " + Clock(f.At) + reasonSuffix(f.Reason)
}
