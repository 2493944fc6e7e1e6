//go:build !lite

package check

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/lbmedic/lbmedic/healthd"
)

// startMariaDB makes a new server whose root has no password on the socket.
func startMariaDB(t *testing.T, id string, more ...string) *realServer {
	t.Helper()
	return recipe{program: "mariadbd", files: pki(t, newAuthority(t, "mariadb authority")),
		prepare: [][]string{{"mariadb-install-db", "--no-defaults", "--datadir={dir}/data", "--tmpdir={dir}", "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"}},
		args: append([]string{"--no-defaults", "--datadir={dir}/data", "--port={port}", "--bind-address=127.0.0.1", "--socket={dir}/sock", "--pid-file={dir}/pid",
			"--server-id=" + id, "--log-bin={dir}/data/log", "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M", "--innodb-log-file-size=8M",
			"--tmpdir={dir}", "--log-warnings=9", "--ssl-cert={dir}/cert.pem", "--ssl-key={dir}/key.pem"}, more...)}.start(t)
}

func (s *realServer) root() string { return "root@unix(" + s.dir + "/sock)/" }

// order runs SQL as root.
func order(t *testing.T, s *realServer, statements ...string) {
	t.Helper()
	config, err := mysql.ParseDSN(s.root())
	if err != nil {
		t.Fatal(err)
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := connector.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, statement := range statements {
		if _, err := (mysqlConn{t.Context(), conn}).row(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func TestMySQLAgainstTheRealServer(t *testing.T) {
	t.Parallel()
	primary, replica := startMariaDB(t, "1"), startMariaDB(t, "2", "--read-only=1")
	primary.answers(t, "mysql", primary.root(), nil, healthd.OK)
	replica.answers(t, "mysql", replica.root(), nil, healthd.OK)
	grants := []string{"CREATE USER probe@'%' IDENTIFIED BY '" + planted + "'", "GRANT REPLICA MONITOR ON *.* TO probe@'%'", "CREATE USER bare@'%' IDENTIFIED BY '" + planted + "'"}
	order(t, primary, append(grants, "GRANT REPLICATION SLAVE ON *.* TO probe@'%'", "CREATE DATABASE shop", "CREATE TABLE shop.orders (n int)", "RESET MASTER")...)
	order(t, replica, append(grants, "CREATE DATABASE shop", "CREATE TABLE shop.orders (n int)", "RESET MASTER")...)
	_, port, _ := net.SplitHostPort(primary.address)
	order(t, replica, fmt.Sprintf("CHANGE MASTER TO master_host='127.0.0.1', master_port=%s, master_user='probe', master_password='%s', master_connect_retry=1, master_use_gtid=slave_pos", port, planted),
		"START SLAVE")
	dsn := func(s *realServer, user string) string { return user + ":" + planted + "@tcp(" + s.address + ")/" }
	up, other := dsn(primary, "probe"), dsn(replica, "probe")
	replica.answers(t, "mysql", other, options{"role": {"replica"}}, healthd.OK)
	for range 10 {
		probe(t, "mysql", up, options{"role": {"primary"}}, 5*time.Second)
	}
	if log := primary.log.String(); strings.Contains(log, "Aborted connection") {
		t.Errorf("probes leave errors in the server's log:\n%s", primary.log.tail())
	}
	judge(t, "mysql", map[string]seen{
		"up":                  {up, nil, healthd.OK, "answers"},
		"unix socket":         {primary.root(), nil, healthd.OK, "answers"},
		"no socket":           {"root@unix(" + primary.dir + "/none)/", nil, healthd.Refused, "no socket at "},
		"primary":             {up, options{"role": {"primary"}}, healthd.OK, "role primary"},
		"not a replica":       {up, options{"role": {"replica"}}, healthd.WrongAnswer, "role primary, expected replica"},
		"replica":             {other, options{"role": {"replica"}, "lag_warn": {"5s"}}, healthd.OK, "role replica, lag 0.0 s"},
		"not a primary":       {other, options{"role": {"primary"}}, healthd.WrongAnswer, "role replica (read_only is on), expected primary"},
		"lag of a primary":    {up, options{"lag_fail": {"1s"}}, healthd.OK, "role primary"},
		"no right to see it":  {dsn(replica, "bare"), options{"role": {"replica"}}, healthd.WrongAnswer, "(error 1227)"},
		"no right, a primary": {dsn(primary, "bare"), options{"role": {"primary"}}, healthd.Degraded, "role primary, replication cannot be seen: Access denied; you need"},
		"no right, lag":       {dsn(replica, "bare"), options{"lag_fail": {"1s"}}, healthd.Degraded, "SLAVE MONITOR privilege(s) for this operation, lag unknown"},
		"wrong password":      {strings.Replace(up, planted, planted+"x", 1), nil, healthd.WrongAnswer, "Access denied for user 'probe'@'127.0.0.1' (using password: YES) (error 1045)"},
		"no such database":    {up + "nothing", nil, healthd.WrongAnswer, "nothing"},
		"tls":                 {up, options{"ca": {primary.dir + "/ca.pem"}}, healthd.OK, "answers"},
		"tls of the DSN":      {up + "?tls=skip-verify", nil, healthd.OK, "answers"},
		"unknown authority":   {up, options{"tls": {"true"}}, healthd.WrongAnswer, "mariadb authority"},
		"a query":             {up, options{"query": {"SELECT 1"}}, healthd.OK, "answers"},
		"a query's no row":    {up, options{"query": {"SELECT 1 FROM dual WHERE 1 = 0"}}, healthd.WrongAnswer, "the query gave no row"},
		"a query refused":     {up, options{"query": {"SELECT * FROM shop.orders"}}, healthd.WrongAnswer, "denied"},
		"two statements":      {up, options{"query": {"SELECT 1; SELECT 2"}}, healthd.WrongAnswer, "(error 1064)"},
		"endless rows":        {up, options{"query": {"SELECT a.variable_name FROM information_schema.global_variables a, information_schema.global_variables b"}}, healthd.OK, "answers"},
		"a huge row":          {up, options{"query": {"SELECT repeat('x', 10000000)"}}, healthd.WrongAnswer, "no mysql answer: more than"},
		"not of a cluster":    {up, options{"galera": {"true"}}, healthd.WrongAnswer, "galera: wsrep_ready is OFF"},
	})
	t.Run("a query that hangs is ended by the server", func(t *testing.T) {
		o := probe(t, "mysql", up, options{"query": {"SELECT sleep(3600)"}}, 300*time.Millisecond)
		if o.Class != healthd.TimedOut && !strings.Contains(o.Detail, "max_statement_time") {
			t.Errorf("got %s: %q", o.Class, o.Detail)
		}
		none := options{"query": {"SELECT 1 FROM dual WHERE NOT EXISTS (SELECT 1 FROM information_schema.processlist WHERE info LIKE '%sleep(3600)')"}}
		primary.answers(t, "mysql", primary.root(), none, healthd.OK)
	})
	judgeSilence(t, primary, "mysql", up, nil)
	order(t, replica, "SET GLOBAL read_only = 0") // as every replica is by itself
	judge(t, "mysql", map[string]seen{
		"a writable replica is no primary": {other, options{"role": {"primary"}}, healthd.WrongAnswer, "role replica, expected primary"},
		"a writable replica":               {other, options{"role": {"replica"}, "lag_fail": {"5s"}}, healthd.OK, "role replica, lag 0.0 s"},
	})
	order(t, primary, "SET GLOBAL read_only = 1")
	judge(t, "mysql", map[string]seen{"a primary that takes no writes": {up, options{"role": {"primary"}}, healthd.WrongAnswer, "role none (read_only is on), expected primary"}})
	order(t, primary, "SET GLOBAL read_only = 0")
	t.Run("named connections", func(t *testing.T) { mariaDBNamed(t, primary, replica, up, other) })
	t.Run("lag", func(t *testing.T) { mariaDBLags(t, primary, replica, other) })
}

// mariaDBNamed adds a second connection, which leads nowhere: MariaDB tells of it only when asked for all.
func mariaDBNamed(t *testing.T, primary, replica *realServer, up, other string) {
	for _, s := range []*realServer{primary, replica} {
		order(t, s, "CHANGE MASTER 'c2' TO master_host='127.0.0.1', master_port=1, master_user='probe'")
	}
	judge(t, "mysql", map[string]seen{
		"no primary":           {up, options{"role": {"primary"}}, healthd.WrongAnswer, "role replica, expected primary"},
		"a second that stands": {other, options{"role": {"replica"}}, healthd.WrongAnswer, "role replica, c2: replication has stopped"},
		"a second, lag fails":  {other, options{"lag_fail": {"1h"}}, healthd.WrongAnswer, "c2: replication has stopped, so its lag grows beyond 1h0m0s"},
		"a second, lag warns":  {other, options{"lag_warn": {"1h"}}, healthd.Degraded, "c2: replication has stopped"},
	})
	order(t, replica, "START SLAVE 'c2'")
	replica.up(t, "c2 finds nobody", func() (bool, string) {
		o := probe(t, "mysql", other, options{"lag_fail": {"1h"}}, 5*time.Second)
		return o.Class == healthd.WrongAnswer && strings.Contains(o.Detail, "c2: no connection to its primary: error connecting"), o.Detail
	})
	order(t, replica, "STOP SLAVE 'c2'", "RESET SLAVE 'c2' ALL")
	order(t, primary, "RESET SLAVE 'c2' ALL")
	judge(t, "mysql", map[string]seen{"a replica of one": {other, options{"role": {"replica"}, "lag_fail": {"5s"}}, healthd.OK, "role replica, lag 0.0 s"}})
}

// mariaDBLags locks a table that replication has to write to, then takes the primary away.
func mariaDBLags(t *testing.T, primary, replica *realServer, target string) {
	late := options{"role": {"replica"}, "lag_warn": {"1s"}, "lag_fail": {"2s"}}
	config, _ := mysql.ParseDSN(replica.root())
	connector, err := mysql.NewConnector(config)
	if err != nil {
		t.Fatal(err)
	}
	holder, err := connector.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	if _, err := (mysqlConn{t.Context(), holder}).row("LOCK TABLES shop.orders READ"); err != nil {
		t.Fatal(err)
	}
	order(t, primary, "INSERT INTO shop.orders VALUES (1)")
	replica.up(t, "lag beyond lag_fail", func() (bool, string) {
		o := probe(t, "mysql", target, late, 5*time.Second)
		return o.Class == healthd.WrongAnswer && strings.Contains(o.Detail, "at most 2s") && o.Unit == "s", o.Detail
	})
	if err := holder.Close(); err != nil {
		t.Error(err)
	}
	replica.answers(t, "mysql", target, late, healthd.OK)
	order(t, replica, "STOP SLAVE SQL_THREAD")
	judge(t, "mysql", map[string]seen{
		"stopped":         {target, late, healthd.WrongAnswer, "replication has stopped"},
		"stopped, by lag": {target, options{"lag_fail": {"1h"}}, healthd.WrongAnswer, "replication has stopped, so its lag grows beyond 1h0m0s"},
	})
	order(t, replica, "START SLAVE SQL_THREAD", "STOP SLAVE IO_THREAD")
	judge(t, "mysql", map[string]seen{"receives nothing, by lag": {target, options{"lag_fail": {"1h"}}, healthd.WrongAnswer, "no connection to its primary, so its lag grows"}})
	order(t, replica, "START SLAVE IO_THREAD")
	primary.stop(t, 0)
	replica.up(t, "no connection to its primary", func() (bool, string) {
		o := probe(t, "mysql", target, late, 5*time.Second)
		return o.Class == healthd.WrongAnswer && strings.Contains(o.Detail, "no connection to its primary"), o.Detail
	})
}

func TestMySQLMeetsStrangers(t *testing.T) {
	t.Parallel()
	judgeStrangers(t, "mysql", func(address string) string { return "probe:" + planted + "@tcp(" + address + ")/" }, nil)
}

// MySQL 8 says it in other words than MariaDB.
func TestMySQLReplicaStatusIsReadInBothFamilies(t *testing.T) {
	for name, c := range map[string]struct {
		rows []map[string]string
		want string
	}{
		"no replica": {nil, "primary  0s false"},
		"mariadb":    {[]map[string]string{{"Slave_IO_Running": "Yes", "Slave_SQL_Running": "Yes", "Seconds_Behind_Master": "7"}}, "replica  7s true"},
		"mysql 8":    {[]map[string]string{{"Replica_IO_Running": "Yes", "Replica_SQL_Running": "Yes", "Seconds_Behind_Source": "0"}}, "replica  0s true"},
		"connecting": {[]map[string]string{{"Replica_IO_Running": "Connecting", "Replica_SQL_Running": "Yes", "Last_IO_Error": "refused"}}, "replica no connection to its primary: refused 0s false"},
		"mysql 8 of two sources": {[]map[string]string{{"Replica_IO_Running": "Yes", "Replica_SQL_Running": "Yes", "Seconds_Behind_Source": "4"},
			{"Channel_Name": "b", "Replica_IO_Running": "Yes", "Replica_SQL_Running": "Yes", "Seconds_Behind_Source": "0"}}, "replica  4s true"},
		"mysql 8, the second ill": {[]map[string]string{{"Replica_IO_Running": "Yes", "Replica_SQL_Running": "Yes", "Seconds_Behind_Source": "0"},
			{"Channel_Name": "b", "Replica_IO_Running": "No", "Replica_SQL_Running": "Yes", "Last_IO_Error": "purged"}}, "replica b: no connection to its primary: purged 0s false"},
		"a conflict": {[]map[string]string{{"Slave_IO_Running": "Yes", "Slave_SQL_Running": "No", "Last_SQL_Error": "duplicate"}}, "replica replication has stopped: duplicate 0s false"},
	} {
		seen := replicaState(c.rows)
		if got := fmt.Sprintf("%s %s %s %v", seen.role, seen.broken, seen.lag, seen.lagKnown); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestMySQLSettingsAreValidated(t *testing.T) {
	for name, c := range map[string]struct {
		target string
		o      options
		want   string
	}{
		"no DSN":       {"mysql://probe:" + planted + "@127.0.0.1", nil, "is no DSN such as"},
		"no slash":     {"probe:" + planted + "@tcp(127.0.0.1:3306)", nil, "is no DSN such as"},
		"other net":    {"probe:" + planted + "@udp(127.0.0.1:3306)/", nil, "another network"},
		"no path":      {"probe:" + planted + "@unix(sock)/", nil, "absolute path"},
		"metadata":     {"probe:" + planted + "@tcp(169.254.169.254:3306)/", nil, "no check may reach"},
		"never warns":  {"probe@tcp(127.0.0.1:3306)/", options{"lag_warn": {"2s"}, "lag_fail": {"1s"}}, "never warn"},
		"tls twice":    {"probe:" + planted + "@tcp(127.0.0.1:3306)/?tls=skip-verify", options{"tls": {"true"}}, "keep one of them"},
		"unknown mode": {"probe:" + planted + "@tcp(127.0.0.1:3306)/?tls=perhaps", nil, "is no DSN such as"},
	} {
		_, err := New("mysql", []string{c.target}, c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), planted) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
