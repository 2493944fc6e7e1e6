//go:build !lite

package check

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lbmedic/lbmedic/healthd"
)

// startPostgres makes a new cluster whose superuser is postgres, and waits for it.
func startPostgres(t *testing.T) *realServer {
	t.Helper()
	files := pki(t, newAuthority(t, "postgres authority"))
	files["password"] = planted
	s := recipe{program: "postgres", files: files, quit: 3, // SIGQUIT: its children are no members of its group
		prepare: [][]string{{"initdb", "-D", "{dir}/data", "-U", "postgres", "--pwfile", "{dir}/password", "--auth-host", "scram-sha-256", "--auth-local", "trust", "--no-sync", "--no-instructions"}},
		args: []string{"-D", "{dir}/data", "-p", "{port}", "-k", "{dir}", "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "jit=off", "-c", "ssl=on",
			"-c", "ssl_cert_file={dir}/cert.pem", "-c", "ssl_key_file={dir}/key.pem", "-c", "log_connections=on", "-c", "log_disconnections=on"}}.start(t)
	s.answers(t, "postgres", postgresURL(s.address, "postgres", planted), nil, healthd.OK)
	return s
}

// follow starts a streaming replica.
func follow(t *testing.T, primary *realServer, more ...string) *realServer {
	t.Helper()
	host, port, _ := net.SplitHostPort(primary.address)
	from := fmt.Sprintf("host=%s port=%s user=postgres password=%s", host, port, planted)
	return recipe{program: "postgres", quit: 3,
		prepare: [][]string{{"pg_basebackup", "-D", "{dir}/data", "-R", "-d", from, "-c", "fast", "-X", "stream", "--no-sync"}},
		args:    append([]string{"-D", "{dir}/data", "-p", "{port}", "-k", "{dir}", "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "wal_retrieve_retry_interval=200ms"}, more...)}.start(t)
}

func postgresURL(address, user, password string) string {
	return "postgres://" + user + ":" + password + "@" + address + "/postgres"
}

// tell runs SQL as the superuser.
func tell(t *testing.T, s *realServer, sql string) {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), postgresURL(s.address, "postgres", planted))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql).ReadAll(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestPostgresAgainstTheRealServer(t *testing.T) {
	t.Parallel()
	primary := startPostgres(t)
	tell(t, primary, "CREATE ROLE probe LOGIN PASSWORD '"+planted+"'; GRANT pg_monitor TO probe; CREATE ROLE bare LOGIN PASSWORD '"+planted+"'; CREATE TABLE orders (n int)")
	replica := follow(t, primary)
	up, other := postgresURL(primary.address, "probe", planted), postgresURL(replica.address, "probe", planted)
	replica.answers(t, "postgres", other, options{"role": {"replica"}}, healthd.OK)
	host, port, _ := net.SplitHostPort(primary.address)
	words := fmt.Sprintf("host=%s port=%s user=probe password='%s' dbname=postgres", host, port, planted)
	for range 20 {
		probe(t, "postgres", up+"?sslmode=disable", options{"role": {"primary"}}, 5*time.Second)
		probe(t, "postgres", other, nil, 5*time.Second) // TLS is refused, so the driver comes back without
	}
	for _, s := range []*realServer{primary, replica} {
		if log := s.log.String(); strings.Contains(log, "reset by peer") || strings.Contains(log, "unexpected EOF") {
			t.Errorf("probes leave errors in the server's log:\n%s", s.log.tail())
		}
	}
	judge(t, "postgres", map[string]seen{
		"up":                {up, nil, healthd.OK, "answers"},
		"key=value":         {words, nil, healthd.OK, "answers"},
		"unix socket":       {"host=" + primary.dir + " port=" + port + " user=probe dbname=postgres", nil, healthd.OK, "answers"},
		"no socket":         {"host=" + primary.dir + "/none port=" + port + " user=probe dbname=postgres", nil, healthd.Refused, "no socket at "},
		"primary":           {up, options{"role": {"primary"}}, healthd.OK, "role primary"},
		"not a replica":     {up, options{"role": {"replica"}}, healthd.WrongAnswer, "role primary, expected replica"},
		"replica":           {other, options{"role": {"replica"}, "lag_warn": {"1s"}}, healthd.OK, "role replica, lag 0.0 s"},
		"not a primary":     {other, options{"role": {"primary"}}, healthd.WrongAnswer, "role replica, expected primary"},
		"hidden lag":        {postgresURL(replica.address, "bare", planted), options{"lag_fail": {"1s"}}, healthd.Degraded, "role replica, whether anything is received cannot be seen without the role pg_monitor, lag unknown"},
		"hidden, no lag":    {postgresURL(replica.address, "bare", planted), options{"role": {"replica"}}, healthd.OK, "role replica"},
		"lag of a primary":  {up, options{"lag_fail": {"1s"}}, healthd.OK, "role primary"},
		"wrong password":    {up + "?password=" + planted + "x", nil, healthd.WrongAnswer, `password authentication failed for user "probe" (SQLSTATE 28P01)`},
		"no such database":  {strings.Replace(up, "/postgres", "/nothing", 1), nil, healthd.WrongAnswer, `database "nothing" does not exist`},
		"tls":               {up + "?sslmode=verify-full&sslrootcert=" + primary.dir + "/ca.pem", nil, healthd.OK, "answers"},
		"unknown authority": {up + "?sslmode=verify-full", nil, healthd.WrongAnswer, "postgres authority"},
		"tls to plain":      {other + "?sslmode=require", nil, healthd.WrongAnswer, "TLS"},
		"a query":           {up, options{"query": {"SELECT 1 FROM pg_class LIMIT 1"}}, healthd.OK, "answers"},
		"a query's no row":  {up, options{"query": {"SELECT 1 WHERE false"}}, healthd.WrongAnswer, "the query gave no row"},
		"a query refused":   {up, options{"query": {"SELECT * FROM orders"}}, healthd.WrongAnswer, "permission denied for table orders"},
		"two statements":    {up, options{"query": {"SELECT 1; SELECT 2"}}, healthd.WrongAnswer, "cannot insert multiple commands"},
		"endless rows":      {up, options{"query": {"SELECT generate_series(1, 1000000000)"}}, healthd.OK, "answers"},
		"a huge row":        {up, options{"query": {"SELECT repeat('x', 5000000)"}}, healthd.WrongAnswer, "no postgres answer"},
		"query and role":    {other, options{"role": {"replica"}, "query": {"SELECT 1"}}, healthd.OK, "role replica"},
	})
	t.Run("a query that hangs is cancelled", func(t *testing.T) {
		o := probe(t, "postgres", up, options{"query": {"SELECT pg_sleep(3600)"}}, 300*time.Millisecond)
		if o.Class != healthd.TimedOut {
			t.Errorf("got %s: %q", o.Class, o.Detail)
		}
		none := options{"query": {"SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(3600)')"}}
		primary.answers(t, "postgres", postgresURL(primary.address, "postgres", planted), none, healthd.OK)
	})
	judgeSilence(t, primary, "postgres", up, nil)
	t.Run("lag", func(t *testing.T) { replicaLags(t, primary, replica, other) })
}

// replicaLags pauses replay, then the primary goes away.
func replicaLags(t *testing.T, primary, replica *realServer, target string) {
	late := options{"role": {"replica"}, "lag_warn": {"400ms"}, "lag_fail": {"800ms"}}
	p, err := New("postgres", []string{target}, late)
	if err != nil {
		t.Fatal(err)
	}
	replica.up(t, "caught up", func() (bool, string) { o := p(t.Context()); return o.Class == healthd.OK && o.Unit == "s", o.Detail })
	tell(t, replica, "SELECT pg_wal_replay_pause()")
	tell(t, primary, "INSERT INTO orders VALUES (1)")
	var met []string
	replica.up(t, "lag beyond lag_fail", func() (bool, string) {
		o := p(t.Context())
		if text := o.Class.String(); len(met) == 0 || met[len(met)-1] != text {
			met = append(met, text)
		}
		return o.Class == healthd.WrongAnswer && strings.Contains(o.Detail, "at most 800ms"), o.Detail
	})
	if got := strings.Join(met, ", "); got != "ok, degraded, wrong answer" && got != "degraded, wrong answer" {
		t.Errorf("while the lag grew: %s", got)
	}
	tell(t, replica, "SELECT pg_wal_replay_resume()")
	replica.up(t, "caught up again", func() (bool, string) { o := p(t.Context()); return o.Class == healthd.OK, o.Detail })
	primary.stop(t, 3)
	replica.up(t, "no connection to its primary", func() (bool, string) {
		o := p(t.Context())
		return o.Class == healthd.WrongAnswer && strings.Contains(o.Detail, "no connection to its primary"), o.Detail
	})
	judge(t, "postgres", map[string]seen{"beyond any lag": {target, options{"lag_fail": {"1h"}}, healthd.WrongAnswer, "no connection to its primary, so its lag grows beyond 1h0m0s"}})
	if o := probe(t, "postgres", target, nil, 5*time.Second); o.Class != healthd.OK {
		t.Errorf("it answers all the same, yet %s: %q", o.Class, o.Detail)
	}
}

// A walsender that stands brings nothing, though its connection is there and all that came is replayed.
func TestPostgresSilenceOfThePrimaryIsLag(t *testing.T) {
	t.Parallel()
	primary := startPostgres(t)
	replica := follow(t, primary, "-c", "wal_receiver_timeout=10s") // it asks for a keepalive each 5 s
	target := postgresURL(replica.address, "postgres", planted)
	conn, err := pgconn.Connect(t.Context(), postgresURL(primary.address, "postgres", planted))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	replica.answers(t, "postgres", target, options{"role": {"replica"}}, healthd.OK)
	late := options{"lag_warn": {"1ms"}, "lag_fail": {"4s"}}
	replica.answers(t, "postgres", target, late, healthd.OK)
	start := time.Now()
	replica.up(t, "an idle primary", func() (bool, string) {
		if o := probe(t, "postgres", target, late, 5*time.Second); o.Class != healthd.OK || o.Detail != "role replica, lag 0.0 s" {
			t.Fatalf("beside an idle primary: %s: %q", o.Class, o.Detail)
		}
		return time.Since(start) > 11*time.Second, "" // two keepalives
	})
	row, err := postgresRow(t.Context(), conn, "SELECT pid FROM pg_stat_replication")
	if err != nil || len(row) != 1 {
		t.Fatal(row, err)
	}
	sender, err := strconv.Atoi(row[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(sender, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(sender, syscall.SIGCONT) }() // it may have ended
	tell(t, primary, "CREATE TABLE unseen (n int)")
	replica.up(t, "silence beyond lag_fail", func() (bool, string) {
		o := probe(t, "postgres", target, late, 5*time.Second)
		return o.Class == healthd.WrongAnswer && strings.HasPrefix(o.Detail, "role replica, lag ") && strings.HasSuffix(o.Detail, "s, at most 4s"), o.Detail
	})
	if err := syscall.Kill(sender, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	replica.answers(t, "postgres", target, late, healthd.OK)
}

func TestPostgresMeetsStrangers(t *testing.T) {
	t.Parallel()
	judgeStrangers(t, "postgres", func(address string) string { return postgresURL(address, "probe", planted) }, options{"role": {"primary"}})
}

// A replica of a quiet primary: the age of the last transaction says a night, what was seen a moment ago says a moment.
func TestPostgresLagIsHonest(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		row    [6]string // in recovery, receiver, all replayed, age, silence, timeout
		caught time.Duration
		want   string
	}{
		"primary":                     {[6]string{"f", "none", "f", "", "", "60000"}, 0, "primary"},
		"idle since yesterday":        {[6]string{"t", "streaming", "t", "86400", "29.9", "60000"}, 0, "replica lag 0s true"},
		"idle, a keepalive is late":   {[6]string{"t", "streaming", "t", "86400", "31.9", "60000"}, 0, "replica lag 0s true"},
		"silent":                      {[6]string{"t", "streaming", "t", "86400", "33", "60000"}, 0, "replica lag 33s true"},
		"silent and replaying":        {[6]string{"t", "streaming", "f", "50", "33", "60000"}, 0, "replica lag 50s true"},
		"silence that says nothing":   {[6]string{"t", "streaming", "t", "86400", "3600", "0"}, 0, "replica lag 0s true"},
		"first write after a night":   {[6]string{"t", "streaming", "f", "28800", "0", "60000"}, 2 * time.Second, "replica lag 2s true"},
		"steady lag":                  {[6]string{"t", "streaming", "f", "3.5", "0", "60000"}, time.Hour, "replica lag 3.5s true"},
		"first probe meets lag":       {[6]string{"t", "streaming", "f", "42", "0", "60000"}, 0, "replica lag 42s true"},
		"nothing replayed yet":        {[6]string{"t", "streaming", "f", "", "0", "60000"}, 0, "replica lag 0s false"},
		"clock behind":                {[6]string{"t", "streaming", "f", "-3", "0", "60000"}, 0, "replica lag 0s true"},
		"cut off, all replayed":       {[6]string{"t", "none", "t", "60", "", "60000"}, time.Second, "replica lag 1m0s true no connection to its primary"},
		"cut off, of the archive":     {[6]string{"t", "none", "f", "60", "", "60000"}, 0, "replica lag 1m0s true no connection to its primary"},
		"waits for its primary":       {[6]string{"t", "waiting", "t", "60", "0", "60000"}, 0, "replica lag 1m0s true no connection to its primary"},
		"hidden":                      {[6]string{"t", "hidden", "t", "60", "", "60000"}, 0, "replica lag 0s false"},
		"hidden, yet it lags":         {[6]string{"t", "hidden", "f", "60", "", "60000"}, 0, "replica lag 1m0s true"},
		"an answer that is no number": {[6]string{"t", "streaming", "f", "NaN", "0", "60000"}, 0, "replica lag 0s false"},
	} {
		p := &postgres{}
		if c.caught != 0 {
			p.caught = now.Add(-c.caught)
		}
		seen := p.state(c.row[:], now)
		got := strings.TrimSpace(fmt.Sprintf("%s lag %s %v %s", seen.role, seen.lag, seen.lagKnown, seen.broken))
		if seen.role == "primary" {
			got = "primary"
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestPostgresSettingsAreValidated(t *testing.T) {
	for name, c := range map[string]struct {
		target string
		o      options
		want   string
	}{
		"no DSN":                   {"postgres://probe:" + planted + "@h:x:y/db", nil, "is no DSN that postgres understands"},
		"an unknown sslmode":       {"host=h password=" + planted + " sslmode=perhaps", nil, "is no DSN"},
		"a key without value":      {"host=h password=" + planted + " what", nil, "is no DSN"},
		"metadata":                 {"host=169.254.169.254 password=" + planted, nil, "no check may reach"},
		"several hosts":            {"host=127.0.0.1,127.0.0.2 password=" + planted, nil, "names several hosts"},
		"several hosts of a URL":   {"postgres://probe:" + planted + "@127.0.0.1:1,127.0.0.1:2/db", nil, "names several hosts"},
		"a warning that never was": {"host=h", options{"lag_warn": {"2s"}, "lag_fail": {"1s"}}, "never warn"},
		"lag of a primary":         {"host=h", options{"lag_warn": {"2s"}, "role": {"primary"}}, "has no lag"},
	} {
		_, err := New("postgres", []string{c.target}, c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), planted) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
