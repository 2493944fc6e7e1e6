package runtime

import (
	"bytes"
	"time"
)

// stateColumn is a column of `show servers state` that this program reads.
type stateColumn struct {
	name string
	set  func(s *ServerState, field []byte, names *interner) bool
}

func stateHeader(header []byte) []*stateColumn {
	known := make(map[string]*stateColumn, len(stateColumns))
	for i := range stateColumns {
		known[stateColumns[i].name] = &stateColumns[i]
	}
	var columns []*stateColumn
	last := 0
	for i, name := range bytes.Split(header, []byte{' '}) {
		column := known[string(name)]
		delete(known, string(name))
		columns = append(columns, column)
		if column != nil {
			last = i + 1
		}
	}
	return columns[:last]
}

// stateInt reads a whole number of at least 0 and at most most.
func stateInt(name string, most int64, put func(*ServerState, int64)) stateColumn {
	return stateColumn{name, func(s *ServerState, field []byte, _ *interner) bool {
		n, ok := parseInt(field)
		put(s, n)
		return ok && len(field) > 0 && n >= 0 && n <= most
	}}
}

// stateText reads a text; a lone dash is an empty one.
func stateText(name string, put func(*ServerState, string)) stateColumn {
	return stateColumn{name, func(s *ServerState, field []byte, names *interner) bool {
		if string(field) != "-" {
			put(s, names.intern(field))
		}
		return len(field) > 0
	}}
}

const anyNumber = 1<<62 - 1

// stateColumns are the columns that are read. The last five came with 2.4.
var stateColumns = [...]stateColumn{
	stateInt("be_id", anyNumber, func(s *ServerState, n int64) { s.BackendID = n }),
	stateText("be_name", func(s *ServerState, t string) { s.Backend = t }),
	stateInt("srv_id", anyNumber, func(s *ServerState, n int64) { s.ServerID = n }),
	stateText("srv_name", func(s *ServerState, t string) { s.Server = t }),
	{"srv_addr", func(s *ServerState, field []byte, names *interner) bool { s.Addr = names.intern(field); return true }},
	stateInt("srv_op_state", int64(OpStopping), func(s *ServerState, n int64) { s.Op = Op(n) }),
	stateInt("srv_admin_state", 1<<16-1, func(s *ServerState, n int64) { s.Admin = Admin(n) }),
	stateInt("srv_uweight", 1<<16, func(s *ServerState, n int64) { s.Weight = int(n) }),
	stateInt("srv_iweight", 1<<16, func(s *ServerState, n int64) { s.InitialWeight = int(n) }),
	stateInt("srv_time_since_last_change", 1<<32, func(s *ServerState, n int64) { s.SinceChange = time.Duration(n) * time.Second }),
	stateInt("srv_check_status", 1<<16, func(s *ServerState, n int64) { s.CheckStatus = int(n) }),
	stateInt("srv_check_result", 1<<16, func(s *ServerState, n int64) { s.CheckResult = int(n) }),
	stateInt("srv_check_health", 1<<31, func(s *ServerState, n int64) { s.CheckHealth = int(n) }),
	stateInt("srv_check_state", 1<<16-1, func(s *ServerState, n int64) { s.Check = Check(n) }),
	stateInt("srv_agent_state", 1<<16-1, func(s *ServerState, n int64) { s.Agent = Check(n) }),
	stateInt("bk_f_forced_id", anyNumber, func(s *ServerState, n int64) { s.BackendIDForced = n != 0 }),
	stateInt("srv_f_forced_id", anyNumber, func(s *ServerState, n int64) { s.ServerIDForced = n != 0 }),
	stateText("srv_fqdn", func(s *ServerState, t string) { s.FQDN = t }),
	stateInt("srv_port", 65535, func(s *ServerState, n int64) { s.Port = int(n) }),
	stateText("srvrecord", func(s *ServerState, t string) { s.SRVRecord = t }),
	stateInt("srv_use_ssl", anyNumber, func(s *ServerState, n int64) { s.TLS = n != 0 }),
	stateInt("srv_check_port", 65535, func(s *ServerState, n int64) { s.CheckPort = int(n) }),
	stateText("srv_check_addr", func(s *ServerState, t string) { s.CheckAddr = t }),
	stateText("srv_agent_addr", func(s *ServerState, t string) { s.AgentAddr = t }),
	stateInt("srv_agent_port", 65535, func(s *ServerState, n int64) { s.AgentPort = int(n) }),
}
