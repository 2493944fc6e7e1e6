package runtime

import (
	"bytes"
	"time"
)

// statColumn is a column that this program reads.
type statColumn struct {
	name   string
	number bool // an absent field and 0 are the same
	set    func(r *StatRow, field []byte, names *interner) bool
}

// statHeader finds our columns in a header, by name; a nil is a column that is passed over. Columns behind the last of
// ours are left away.
func statHeader(header []byte) []*statColumn {
	known := make(map[string]*statColumn, len(statColumns))
	for i := range statColumns {
		known[statColumns[i].name] = &statColumns[i]
	}
	var columns []*statColumn
	last := 0
	for i, name := range bytes.Split(header, []byte{','}) {
		column := known[string(name)]
		delete(known, string(name)) // a name that comes twice counts the first time
		columns = append(columns, column)
		if column != nil {
			last = i + 1
		}
	}
	return columns[:last]
}

func number(name string, at func(*StatRow) *int64) statColumn {
	return statColumn{name, true, func(r *StatRow, field []byte, _ *interner) bool {
		n, ok := parseInt(field)
		*at(r) = n
		return ok
	}}
}

func text(name string, at func(*StatRow) *string) statColumn {
	return statColumn{name, false, func(r *StatRow, field []byte, names *interner) bool {
		*at(r) = names.intern(field)
		return true
	}}
}

func seconds(name string, at func(*StatRow) *time.Duration) statColumn {
	return statColumn{name, true, func(r *StatRow, field []byte, _ *interner) bool {
		n, ok := parseInt(field)
		*at(r) = time.Duration(n) * time.Second
		return ok
	}}
}

// checkStatus reads "L7OK", or "* L7OK" while the next check is under way.
func checkStatus(r *StatRow, field []byte, names *interner) bool {
	field, r.CheckRunning = bytes.CutPrefix(field, []byte("* "))
	r.CheckStatus = names.intern(field)
	return true
}

func agentStatus(r *StatRow, field []byte, names *interner) bool {
	field, _ = bytes.CutPrefix(field, []byte("* "))
	r.AgentStatus = names.intern(field)
	return true
}

func rowType(r *StatRow, field []byte, _ *interner) bool {
	n, ok := parseInt(field)
	r.Type = RowType(n)
	return ok && n >= 0 && n <= int64(Listener)
}

func status(r *StatRow, field []byte, names *interner) bool {
	r.Status = names.status(field)
	return true
}

// statColumns are the columns that are read. All versions from 2.2 to 3.2 have them, but uweight, which 2.2 lacks.
var statColumns = [...]statColumn{
	text("pxname", func(r *StatRow) *string { return &r.Proxy }),
	text("svname", func(r *StatRow) *string { return &r.Server }),
	{"type", true, rowType},
	{"status", false, status},
	number("weight", func(r *StatRow) *int64 { return &r.Weight }),
	number("uweight", func(r *StatRow) *int64 { return &r.UserWeight }),
	number("act", func(r *StatRow) *int64 { return &r.Active }),
	number("bck", func(r *StatRow) *int64 { return &r.Backup }),
	number("qcur", func(r *StatRow) *int64 { return &r.Queue }),
	number("qmax", func(r *StatRow) *int64 { return &r.QueueMax }),
	number("qlimit", func(r *StatRow) *int64 { return &r.QueueLimit }),
	number("scur", func(r *StatRow) *int64 { return &r.Sessions }),
	number("smax", func(r *StatRow) *int64 { return &r.SessionsMax }),
	number("slim", func(r *StatRow) *int64 { return &r.SessionsLimit }),
	number("stot", func(r *StatRow) *int64 { return &r.SessionsTotal }),
	number("lbtot", func(r *StatRow) *int64 { return &r.Chosen }),
	number("bin", func(r *StatRow) *int64 { return &r.BytesIn }),
	number("bout", func(r *StatRow) *int64 { return &r.BytesOut }),
	number("ereq", func(r *StatRow) *int64 { return &r.RequestErrors }),
	number("econ", func(r *StatRow) *int64 { return &r.ConnectErrors }),
	number("eresp", func(r *StatRow) *int64 { return &r.ResponseErrors }),
	number("wretr", func(r *StatRow) *int64 { return &r.Retries }),
	number("wredis", func(r *StatRow) *int64 { return &r.Redispatches }),
	number("cli_abrt", func(r *StatRow) *int64 { return &r.ClientAborts }),
	number("srv_abrt", func(r *StatRow) *int64 { return &r.ServerAborts }),
	number("eint", func(r *StatRow) *int64 { return &r.InternalErrors }),
	number("rate", func(r *StatRow) *int64 { return &r.Rate }),
	number("rate_max", func(r *StatRow) *int64 { return &r.RateMax }),
	number("req_tot", func(r *StatRow) *int64 { return &r.Requests }),
	number("req_rate", func(r *StatRow) *int64 { return &r.RequestRate }),
	number("req_rate_max", func(r *StatRow) *int64 { return &r.RequestRateMax }),
	number("hrsp_1xx", func(r *StatRow) *int64 { return &r.HTTP1xx }),
	number("hrsp_2xx", func(r *StatRow) *int64 { return &r.HTTP2xx }),
	number("hrsp_3xx", func(r *StatRow) *int64 { return &r.HTTP3xx }),
	number("hrsp_4xx", func(r *StatRow) *int64 { return &r.HTTP4xx }),
	number("hrsp_5xx", func(r *StatRow) *int64 { return &r.HTTP5xx }),
	number("hrsp_other", func(r *StatRow) *int64 { return &r.HTTPOther }),
	number("qtime", func(r *StatRow) *int64 { return &r.QueueMs }),
	number("ctime", func(r *StatRow) *int64 { return &r.ConnectMs }),
	number("rtime", func(r *StatRow) *int64 { return &r.ResponseMs }),
	number("ttime", func(r *StatRow) *int64 { return &r.TotalMs }),
	number("srv_icur", func(r *StatRow) *int64 { return &r.IdleConns }),
	number("used_conn_cur", func(r *StatRow) *int64 { return &r.UsedConns }),
	seconds("lastchg", func(r *StatRow) *time.Duration { return &r.LastChange }),
	seconds("downtime", func(r *StatRow) *time.Duration { return &r.Downtime }),
	number("lastsess", func(r *StatRow) *int64 { return &r.LastSession }),
	number("throttle", func(r *StatRow) *int64 { return &r.Throttle }),
	number("iid", func(r *StatRow) *int64 { return &r.ProxyID }),
	number("sid", func(r *StatRow) *int64 { return &r.ServerID }),
	text("tracked", func(r *StatRow) *string { return &r.Tracked }),
	{"check_status", false, checkStatus},
	text("check_desc", func(r *StatRow) *string { return &r.CheckDesc }),
	number("check_code", func(r *StatRow) *int64 { return &r.CheckCode }),
	number("check_duration", func(r *StatRow) *int64 { return &r.CheckMs }),
	text("last_chk", func(r *StatRow) *string { return &r.LastCheck }),
	number("check_rise", func(r *StatRow) *int64 { return &r.CheckRise }),
	number("check_fall", func(r *StatRow) *int64 { return &r.CheckFall }),
	number("check_health", func(r *StatRow) *int64 { return &r.CheckHealth }),
	number("chkfail", func(r *StatRow) *int64 { return &r.ChecksFailed }),
	number("chkdown", func(r *StatRow) *int64 { return &r.ChecksDown }),
	{"agent_status", false, agentStatus},
	text("agent_desc", func(r *StatRow) *string { return &r.AgentDesc }),
	text("last_agt", func(r *StatRow) *string { return &r.LastAgent }),
	number("agent_code", func(r *StatRow) *int64 { return &r.AgentCode }),
	number("agent_duration", func(r *StatRow) *int64 { return &r.AgentMs }),
	text("addr", func(r *StatRow) *string { return &r.Addr }),
	text("cookie", func(r *StatRow) *string { return &r.Cookie }),
	text("mode", func(r *StatRow) *string { return &r.Mode }),
	text("algo", func(r *StatRow) *string { return &r.Algo }),
}
