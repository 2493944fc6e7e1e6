//go:build !lite

package check

import "time"

// postgresState asks for the role; for the receiver of the primary's log, whose columns are NULL to a user without pg_monitor; whether all of
// what it received is replayed; the age of the last transaction replayed, which alone would grow while nothing is written at the
// primary; how long the receiver has heard nothing; and wal_receiver_timeout in milliseconds.
const postgresState = `SELECT pg_is_in_recovery(), coalesce((SELECT coalesce(status, 'hidden') FROM pg_stat_wal_receiver), 'none'),
	coalesce(pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn(), false), extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()),
	(SELECT extract(epoch FROM clock_timestamp() - last_msg_receipt_time) FROM pg_stat_wal_receiver),
	(SELECT setting FROM pg_settings WHERE name = 'wal_receiver_timeout')`

// postgresColumns are those of postgresState.
const postgresColumns = 6

// keepaliveGrace is what a keepalive may be late beyond half of wal_receiver_timeout.
const keepaliveGrace = 2 * time.Second

// state reads a row of postgresState. A connection that brings nothing proves nothing: lag is at least the silence on it, once that is
// longer than a quiet primary's. Replay lags by the age of the last transaction replayed, but by no more than the time since everything
// received was seen replayed: after a quiet night the first new transaction would else look a night late.
func (p *postgres) state(row []string, now time.Time) (seen sqlState) {
	seen.role = map[string]string{"t": "replica", "f": "primary"}[row[0]]
	if seen.role != "replica" {
		p.caught = time.Time{}
		return seen
	}
	status, replayed := row[1], row[2] == "t"
	age, err := time.ParseDuration(row[3] + "s")
	seen.lag, seen.lagKnown = max(age, 0), err == nil
	switch status {
	case "streaming":
	case "hidden":
		if p.rules.judgesLag() {
			seen.unseen = "whether anything is received cannot be seen without the role pg_monitor"
		}
	default: // none, starting, waiting, restarting, stopping
		seen.broken = "no connection to its primary"
		p.caught = time.Time{} // what is not received is not known to be replayed
		return seen
	}
	if replayed {
		p.caught = now
		seen.lag, seen.lagKnown = 0, status == "streaming"
	} else if since := now.Sub(p.caught); !p.caught.IsZero() && (!seen.lagKnown || since < seen.lag) {
		seen.lag, seen.lagKnown = since, true
	}
	if silence, ok := postgresSilence(row[4], row[5]); ok {
		seen.lag, seen.lagKnown = max(seen.lag, silence), true
	}
	return seen
}

// postgresSilence is how long the receiver has heard nothing, where that is longer than an idle primary's silence. The receiver asks for a
// keepalive when it has heard nothing for half of wal_receiver_timeout: of an idle PostgreSQL 15 one was seen to come each 30 s,
// whatever wal_receiver_status_interval says. With a timeout of 0 it never asks, and silence says nothing.
func postgresSilence(seconds, milliseconds string) (time.Duration, bool) {
	silence, err := time.ParseDuration(seconds + "s")
	timeout, err2 := time.ParseDuration(milliseconds + "ms")
	if err != nil || err2 != nil || timeout <= 0 || silence <= timeout/2+keepaliveGrace {
		return 0, false
	}
	return silence, true
}
