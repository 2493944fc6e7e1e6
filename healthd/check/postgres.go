//go:build !lite

package check

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lbmedic/lbmedic/healthd"
)

// maxMessage bounds one message of a database server.
const maxMessage = 1 << 20

// postgresKind logs in and asks one question. What the DSN does not say is taken where libpq takes it: PG… of the environment,
// ~/.pgpass, the service file.
var postgresKind = Kind{
	Doc:         "postgres lets the user in and answers a query; a role, a bound on replication lag, and a row of a query of one's own hold where they are set",
	Target:      Option{Doc: "DSN, as a URL or as key=value; sslmode and the rest as in libpq", Type: Text, Secret: true},
	Measurement: "responseTime",
	Example:     `{postgres: "host=127.0.0.1 user=probe dbname=orders", role: replica, lag_warn: 10s, lag_fail: 5m}`,
	Options:     sqlOptions("it takes the role pg_monitor, and a silent primary is noticed after half of the replica's wal_receiver_timeout", "SQL that must give at least one row; it should read only"),
	New: func(s Settings) (Probe, error) {
		p := &postgres{dsn: s.Target(), rules: newSQLRules(s)}
		if err := errors.Join(p.rules.validate(), p.validate()); err != nil {
			return nil, err
		}
		return p.probe, nil
	},
}

type postgres struct {
	dsn    string
	rules  sqlRules
	caught time.Time // when a probe last saw everything received replayed
}

// read reads the DSN, and the files and the environment it leans on. The driver's error is not shown: it may hold the password.
func (p *postgres) read() (*pgconn.Config, error) {
	config, err := pgconn.ParseConfig(p.dsn)
	if err != nil {
		return nil, errors.New("is no DSN that postgres understands, such as postgres://user:password@127.0.0.1:5432/db?sslmode=require, or a file that it names cannot be read")
	}
	for _, end := range config.Fallbacks { // the same host with and without TLS, or another host
		if end.Host != config.Host || end.Port != config.Port {
			return nil, errors.New("names several hosts; a check asks one, so that it can tell which is ill")
		}
	}
	return config, nil
}

func (p *postgres) validate() error {
	config, err := p.read()
	if err != nil {
		return KeyError{"", err}
	}
	if addr, err := netip.ParseAddr(config.Host); err == nil && Forbidden(addr) {
		return KeyError{"", forbiddenError{addr}}
	}
	return nil
}

func (p *postgres) probe(ctx context.Context) healthd.Outcome {
	start := time.Now()
	w := newWire(ctx)
	defer w.cut()
	config, err := p.read() // anew, for the files it names may have changed
	if err != nil {
		return healthd.NewOutcome(start, time.Since(start), healthd.OwnFault, "the DSN "+err.Error())
	}
	config.DialFunc = w.dial
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil } // our dialer resolves
	config.MaxProtocolMessageBodyLen = maxMessage
	config.OnNotice = func(*pgconn.PgConn, *pgconn.Notice) {}
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return p.failed(w, start, err, config.Password)
	}
	defer func() {
		w.leaving.Store(true)
		_ = conn.Close(ctx) // the answer is known by now
		<-conn.CleanupDone()
	}()
	seen, err := p.ask(ctx, conn)
	if err != nil {
		return p.failed(w, start, err, config.Password)
	}
	return p.rules.outcome(start, seen)
}

// failed hides a password that no key of the check holds: it may be of the environment or of a file.
func (p *postgres) failed(w *wire, start time.Time, err error, password string) healthd.Outcome {
	o := w.failed(start, "no postgres answer", postgresError(err))
	o.Detail = orderSecrets([]string{password}).scrub(o.Detail)
	return o
}

func (p *postgres) ask(ctx context.Context, conn *pgconn.PgConn) (sqlState, error) {
	var seen sqlState
	if p.rules.asksState() {
		row, err := postgresRow(ctx, conn, postgresState)
		if err != nil {
			return seen, err
		}
		if len(row) != postgresColumns {
			return seen, wrongAnswer("its state is not of the columns that were asked for")
		}
		seen = p.state(row, time.Now())
	}
	if query := p.rules.query; query != "" {
		row, err := postgresRow(ctx, conn, query)
		if err != nil {
			return seen, err
		}
		seen.noRow = row == nil
	} else if !p.rules.asksState() {
		_, err := postgresRow(ctx, conn, "SELECT 1") // behind a pooler, logging in proves nothing of the database
		return seen, err
	}
	return seen, nil
}

// postgresRow is the first row of a single statement; nil: there is none.
func postgresRow(ctx context.Context, conn *pgconn.PgConn, sql string) ([]string, error) {
	result := conn.ExecParams(ctx, sql, nil, nil, nil, nil)
	if !result.NextRow() {
		_, err := result.Close()
		return nil, err
	}
	row := []string{}
	for _, value := range result.Values() {
		row = append(row, string(value))
	}
	for n := 1; n < maxSQLRows && result.NextRow(); n++ {
	}
	if result.NextRow() {
		return row, nil // there are too many to read them all: closing the connection ends the query
	}
	_, err := result.Close()
	return row, err
}

// postgresError makes what the server said a wrong answer, and takes the driver's preface from the rest.
func postgresError(err error) error {
	if said, ok := errors.AsType[*pgconn.PgError](err); ok {
		return wrongAnswer(fmt.Sprintf("%s (SQLSTATE %s)", said.Message, said.Code))
	}
	if connect, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return errors.Unwrap(connect)
	}
	return err
}
