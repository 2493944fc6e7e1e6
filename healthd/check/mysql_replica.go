//go:build !lite

package check

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// maxChannels is how many connections to primaries of one replica are looked at; MySQL allows 256.
const maxChannels = 256

// mysqlReplications ask for the replication of all channels. The first is known to MariaDB from 10.0, which by the others tells only of the
// connection without a name; the second to MySQL from 8.0.22; the third to the older ones.
var mysqlReplications = []string{"SHOW ALL SLAVES STATUS", "SHOW REPLICA STATUS", "SHOW SLAVE STATUS"}

// state tells a replica by its replication, whether or not it is read-only, which it is not by itself; a primary has none, and
// takes writes.
func (c mysqlConn) state(role string) (seen sqlState, err error) {
	rows, err := c.replication()
	said, refused := errors.AsType[*mysql.MySQLError](err)
	refused = refused && said.Number == 1227 && role != "replica" // a right is missing
	switch {
	case refused:
		seen = sqlState{role: "unknown", unseen: "replication cannot be seen: " + said.Message}
	case err != nil:
		return seen, err
	default:
		seen = replicaState(rows)
	}
	if role != "primary" {
		return seen, nil
	}
	row, err := c.row("SELECT @@global.read_only AS read_only")
	switch {
	case err != nil:
		return seen, err
	case !slices.Contains([]string{"0", "OFF"}, row["read_only"]):
		if seen.role == "primary" {
			seen.role = "none"
		}
		seen.role += " (read_only is on)"
	case refused:
		seen.role = "primary"
	}
	return seen, nil
}

// replication gives a row of each channel.
func (c mysqlConn) replication() (rows []map[string]string, err error) {
	for _, statement := range mysqlReplications {
		rows, err = c.rows(statement, maxChannels)
		if said, ok := errors.AsType[*mysql.MySQLError](err); !ok || said.Number != 1064 { // syntax error
			break
		}
	}
	return slices.DeleteFunc(rows, func(row map[string]string) bool {
		return strings.HasPrefix(row["Channel_Name"], "group_replication_") // reserved by MySQL for a group, whose primary may have them
	}), err
}

// replicaState reads the rows of all channels, in the words of either family, and is the worst of them.
func replicaState(rows []map[string]string) sqlState {
	if len(rows) == 0 {
		return sqlState{role: "primary"}
	}
	worst := sqlState{role: "replica", lagKnown: true}
	for _, row := range rows {
		either := func(a, b string) string { return cmp.Or(row[a], row[b]) }
		broken := brokenChannel(row, either("Slave_IO_Running", "Replica_IO_Running"), either("Slave_SQL_Running", "Replica_SQL_Running"))
		if name := either("Connection_name", "Channel_Name"); name != "" && broken != "" {
			broken = name + ": " + broken
		}
		worst.broken = cmp.Or(worst.broken, broken)
		seconds, err := time.ParseDuration(either("Seconds_Behind_Master", "Seconds_Behind_Source") + "s")
		worst.lag, worst.lagKnown = max(worst.lag, seconds), worst.lagKnown && err == nil
	}
	return worst
}

// brokenChannel says why a channel gets nothing from its primary, or does nothing with it; empty: neither.
func brokenChannel(row map[string]string, receives, replays string) string {
	with := func(text, why string) string {
		if why != "" {
			text += ": " + why
		}
		return text
	}
	switch {
	case replays != "Yes" && (receives == "No" || row["Last_SQL_Error"] != ""):
		return with("replication has stopped", cmp.Or(row["Last_SQL_Error"], row["Last_IO_Error"]))
	case receives != "Yes":
		return with("no connection to its primary", row["Last_IO_Error"])
	case replays != "Yes":
		return "replication has stopped"
	}
	return ""
}
