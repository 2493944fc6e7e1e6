//go:build !lite

package check

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// maxSQLRows is how many rows of a query are read; one is enough to pass.
const maxSQLRows = 1000

// sqlOptions are the keys of a SQL database. The docs are those of the right that it takes to see lag, and of query.
func sqlOptions(right, query string, more ...Option) []Option {
	return slices.Concat([]Option{
		{Key: "role", Doc: "what it must be; a replica must also be connected to its primary", Type: Word, Words: []string{"primary", "replica"}},
		{Key: "lag_warn", Doc: "replication lag of a replica that warns; " + right, Type: Duration, Min: 0.001, Max: 1e6},
		{Key: "lag_fail", Doc: "replication lag of a replica that fails, as does one that is not replicating; " + right, Type: Duration, Min: 0.001, Max: 1e6},
		{Key: "query", Doc: query, Type: Text},
	}, more)
}

// sqlRules are what a SQL database must be.
type sqlRules struct {
	role             string
	lagWarn, lagFail time.Duration // 0: not judged
	query            string
}

func newSQLRules(s Settings) sqlRules {
	return sqlRules{s.Text("role"), s.Duration("lag_warn"), s.Duration("lag_fail"), s.Text("query")}
}

func (r sqlRules) validate() error {
	if r.lagWarn != 0 && r.lagFail != 0 && r.lagWarn > r.lagFail {
		return KeyError{"lag_warn", errors.New("is above lag_fail, so it would never warn")}
	}
	if r.role == "primary" && (r.lagWarn != 0 || r.lagFail != 0) {
		return KeyError{"role", errors.New("is primary, which has no lag; remove lag_warn and lag_fail, or the role")}
	}
	return nil
}

func (r sqlRules) judgesLag() bool { return r.lagWarn != 0 || r.lagFail != 0 }

func (r sqlRules) asksState() bool { return r.role != "" || r.judgesLag() }

// sqlState is what a SQL database said of itself.
type sqlState struct {
	role     string // primary, replica; empty: not asked
	broken   string // why a replica gets nothing from its primary; empty: it does
	unseen   string // what the user has no right to see of it; empty: nothing
	lag      time.Duration
	lagKnown bool
	noRow    bool // the query gave none
	more     []string
}

func (r sqlRules) outcome(start time.Time, seen sqlState) healthd.Outcome {
	class, detail := r.judge(seen)
	o := healthd.NewOutcome(start, time.Since(start), class, detail)
	if r.judgesLag() && seen.role == "replica" && seen.lagKnown {
		return o.Measured(seen.lag.Seconds(), "s")
	}
	return o
}

func (r sqlRules) judge(seen sqlState) (healthd.Class, string) {
	words := append([]string{"answers"}, seen.more...)
	class := healthd.OK
	if r.asksState() {
		words = []string{"role " + seen.role}
		if r.role != "" && seen.role != r.role {
			return healthd.WrongAnswer, "role " + seen.role + ", expected " + r.role
		}
		if seen.broken != "" {
			words = append(words, seen.broken)
			class = healthd.Degraded
			if r.role == "replica" {
				class = healthd.WrongAnswer
			}
		}
		if seen.unseen != "" {
			class, words = worse(class, healthd.Degraded), append(words, seen.unseen)
		}
		if r.judgesLag() && seen.role != "primary" {
			of, text := r.judgeLag(seen)
			class, words = worse(class, of), append(words, text)
		}
		words = append(words, seen.more...)
	}
	if seen.noRow {
		return healthd.WrongAnswer, "the query gave no row"
	}
	return class, strings.Join(words, ", ")
}

func (r sqlRules) judgeLag(seen sqlState) (healthd.Class, string) {
	text := fmt.Sprintf("lag %.1f s", seen.lag.Seconds())
	switch {
	case seen.broken != "" && r.lagFail != 0: // a lag without end
		return healthd.WrongAnswer, fmt.Sprintf("so its lag grows beyond %s", r.lagFail)
	case seen.broken != "":
		return healthd.Degraded, fmt.Sprintf("so its lag grows beyond %s", r.lagWarn)
	case !seen.lagKnown:
		return healthd.Degraded, "lag unknown"
	case r.lagFail != 0 && seen.lag >= r.lagFail:
		return healthd.WrongAnswer, fmt.Sprintf("%s, at most %s", text, r.lagFail)
	case r.lagWarn != 0 && seen.lag >= r.lagWarn:
		return healthd.Degraded, fmt.Sprintf("%s, at most %s", text, r.lagWarn)
	}
	return healthd.OK, text
}
