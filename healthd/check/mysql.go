//go:build !lite

package check

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/lbmedic/lbmedic/healthd"
)

// mysqlKind logs in to MySQL or MariaDB and pings.
var mysqlKind = Kind{
	Doc:         "mysql or mariadb lets the user in and answers a ping; a role, a bound on replication lag, Galera, and a row of a query of one's own hold where they are set",
	Target:      Option{Doc: "DSN: user:password@tcp(127.0.0.1:3306)/db, or @unix(/run/mysqld/mysqld.sock)/db", Type: Text, Secret: true},
	Measurement: "responseTime",
	Example:     `{mysql: "probe@tcp(127.0.0.1:3306)/", role: replica, lag_warn: 10s}`,
	Options: sqlOptions("it takes the right SLAVE MONITOR of MariaDB, REPLICATION CLIENT of MySQL", "SQL that must give at least one row; it should read only", append([]Option{
		{Key: "galera", Doc: "whether it must be a ready member of a Galera cluster (wsrep_ready)", Type: Bool, Default: []string{"false"}},
		tlsOption,
	}, tlsOptions...)...),
	New: newMySQL,
}

type mysqlProbe struct {
	config *mysql.Config
	rules  sqlRules
	galera bool
	secure *tlsClient
}

func newMySQL(s Settings) (Probe, error) {
	p := mysqlProbe{rules: newSQLRules(s), galera: s.Bool("galera")}
	secure, errTLS := optionalTLS(s)
	p.secure = secure
	config, err := mysql.ParseDSN(s.Target())
	switch {
	case err != nil: // the driver's error may show a part of the password
		err = KeyError{"", errors.New("is no DSN such as user:password@tcp(127.0.0.1:3306)/db")}
	case config.Net != "tcp" && config.Net != "unix":
		err = KeyError{"", errors.New("names another network than tcp and unix")}
	case config.Net == "tcp":
		if err = validateAddress(config.Addr); err != nil {
			err = KeyError{"", err}
		}
	case !strings.HasPrefix(config.Addr, "/"):
		err = KeyError{"", errors.New("names a unix socket by no absolute path")}
	}
	if err == nil && secure != nil && config.TLSConfig != "" {
		err = KeyError{"", errors.New("sets tls=, and so do keys of the check; keep one of them")}
	}
	if err := errors.Join(err, errTLS, p.rules.validate()); err != nil {
		return nil, err
	}
	config.Logger = &mysql.NopLogger{}
	config.AllowAllFiles = false // a server could ask for any file of this host
	config.MaxAllowedPacket = maxMessage
	p.config = config
	return p.probe, nil
}

func (p mysqlProbe) probe(ctx context.Context) healthd.Outcome {
	start := time.Now()
	w := newWire(ctx)
	w.greeting = mysqlGreeting
	defer w.cut()
	seen, err := p.ask(ctx, w)
	if err != nil {
		return w.failed(start, "no mysql answer", mysqlError(err))
	}
	return p.rules.outcome(start, seen)
}

func (p mysqlProbe) ask(ctx context.Context, w *wire) (seen sqlState, err error) {
	config := p.config.Clone()
	config.DialFunc = w.dial
	if p.secure != nil {
		host, _, _ := net.SplitHostPort(config.Addr) // a unix socket has none: then tls_name says whom to expect
		config.TLS = p.secure.config(host)
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return seen, err
	}
	made, err := connector.Connect(ctx)
	if err != nil {
		return seen, err
	}
	c := mysqlConn{ctx, made}
	defer func() {
		w.leaving.Store(true)
		_ = made.Close() // the answer is known by now
	}()
	if pinger, ok := made.(driver.Pinger); ok {
		if err := pinger.Ping(ctx); err != nil {
			return seen, err
		}
	}
	if p.rules.asksState() {
		if seen, err = c.state(p.rules.role); err != nil {
			return seen, err
		}
	}
	if p.galera {
		if err := c.galera(&seen); err != nil {
			return seen, err
		}
	}
	if p.rules.query != "" {
		row, err := c.bounded(p.rules.query)
		if err != nil {
			return seen, err
		}
		seen.noRow = row == nil
	}
	return seen, nil
}

// mysqlConn is a connection without the pool of database/sql.
type mysqlConn struct {
	ctx context.Context
	driver.Conn
}

// row is the first row of a statement, by the names of its columns; nil: there is none.
func (c mysqlConn) row(statement string) (map[string]string, error) {
	first, err := c.rows(statement, 1)
	if err != nil || len(first) == 0 {
		return nil, err
	}
	return first[0], nil
}

// rows are at most so many rows of a statement, by the names of their columns. A NULL is missing.
func (c mysqlConn) rows(statement string, most int) (all []map[string]string, err error) {
	querier, ok := c.Conn.(driver.QueryerContext)
	if !ok {
		return nil, errors.New("the driver asks no queries")
	}
	rows, err := querier.QueryContext(c.ctx, statement, nil)
	if err != nil {
		return nil, err
	}
	names := rows.Columns()
	values := make([]driver.Value, len(names))
	for len(all) < most {
		switch err := rows.Next(values); {
		case errors.Is(err, io.EOF):
			return all, rows.Close()
		case err != nil:
			return nil, errors.Join(err, rows.Close())
		}
		row := map[string]string{}
		for i, value := range values {
			switch value := value.(type) {
			case nil:
			case []byte:
				row[names[i]] = string(value)
			default:
				row[names[i]] = fmt.Sprint(value)
			}
		}
		all = append(all, row)
	}
	return all, c.rest(rows)
}

// rest reads what is left of the rows. Of too many it is given up: closing the connection ends them.
func (c mysqlConn) rest(rows driver.Rows) error {
	values := make([]driver.Value, len(rows.Columns()))
	for range maxSQLRows {
		switch err := rows.Next(values); {
		case errors.Is(err, io.EOF):
			return rows.Close()
		case err != nil:
			return errors.Join(err, rows.Close())
		}
	}
	return nil
}

// bounded is row for a statement that the server itself gives up when the probe ends: closing the connection does not end it. MariaDB
// knows max_statement_time in seconds, MySQL max_execution_time in milliseconds.
func (c mysqlConn) bounded(statement string) (map[string]string, error) {
	if deadline, ok := c.ctx.Deadline(); ok {
		left := max(time.Until(deadline), time.Millisecond)
		_, err := c.row(fmt.Sprintf("SET SESSION max_statement_time = %.3f", left.Seconds()))
		if said, ok := errors.AsType[*mysql.MySQLError](err); ok && said.Number == 1193 { // unknown system variable
			_, err = c.row(fmt.Sprintf("SET SESSION max_execution_time = %d", left.Milliseconds()))
		}
		if err != nil {
			return nil, err
		}
	}
	return c.row(statement)
}

// galera reads whether the member takes queries.
func (c mysqlConn) galera(seen *sqlState) error {
	ready, err := c.row("SHOW GLOBAL STATUS LIKE 'wsrep_ready'")
	if err != nil {
		return err
	}
	comment, err := c.row("SHOW GLOBAL STATUS LIKE 'wsrep_local_state_comment'")
	if err != nil {
		return err
	}
	if ready["Value"] != "ON" {
		return wrongAnswer(fmt.Sprintf("galera: wsrep_ready is %s, state %s", cmp.Or(ready["Value"], "unknown"), cmp.Or(comment["Value"], "unknown")))
	}
	seen.more = append(seen.more, "galera "+strings.ToLower(comment["Value"]))
	return nil
}

// mysqlGreeting refuses a first packet that is long or not numbered 0: the words of another protocol, taken for a length, are
// megabytes that never come.
func mysqlGreeting(first []byte) error {
	if len(first) >= 4 && (first[2] != 0 || first[3] != 0) {
		return fmt.Errorf("it said %q", healthd.Line(string(first), 60))
	}
	return nil
}

// mysqlError makes what the server said a wrong answer.
func mysqlError(err error) error {
	if said, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return wrongAnswer(fmt.Sprintf("%s (error %d)", said.Message, said.Number))
	}
	return err
}
