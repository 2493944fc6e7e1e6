package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/lbmedic/lbmedic/healthd"
)

var ldapScopes = map[string]int{"base": ldap.ScopeBaseObject, "one": ldap.ScopeSingleLevel, "sub": ldap.ScopeWholeSubtree}

// ldapKind binds, anonymously or as a user, and searches where it is told to.
var ldapKind = Kind{
	Doc:         "a directory accepts a bind, and finds entries where it is asked for any",
	Target:      Option{Doc: "host:port to connect to", Type: HostPort},
	Measurement: "responseTime",
	Example:     `{ldap: 127.0.0.1:389, starttls: true, user: "cn=probe,dc=example", password: secret, base: "ou=people,dc=example", scope: one}`,
	Options: append([]Option{
		{Key: "user", Doc: "name to bind as, a DN; anonymous unless set", Type: Text},
		{Key: "password", Doc: "password of user", Type: Text, Secret: true},
		{Key: "base", Doc: "DN where a search begins; none is made unless set", Type: Text},
		{Key: "scope", Doc: "how far the search goes: the entry itself, those one below it, or all below it", Type: Word, Words: []string{"base", "one", "sub"}, Default: []string{"base"}},
		{Key: "filter", Doc: "which entries are looked for", Type: Text, Default: []string{"(objectClass=*)"}},
		{Key: "min", Doc: "how many entries must be found", Type: Int, Min: 1, Max: 1000, Default: []string{"1"}},
		{Key: "starttls", Doc: "change to TLS before the bind", Type: Bool},
		{Key: "tls", Doc: "speak TLS from the first byte, as on port 636", Type: Bool},
	}, tlsOptions...),
	New: newLDAP,
}

// ldapProbe is one ldap check.
type ldapProbe struct {
	address        string
	user, password string
	search         *ldap.SearchRequest // nil: none
	least          int
	secure         *tlsClient // nil: plain
	later          bool       // STARTTLS
}

func newLDAP(s Settings) (Probe, error) {
	p := &ldapProbe{address: s.Target(), user: s.Text("user"), password: s.Text("password"), least: s.Int("min"), later: s.Bool("starttls")}
	errs := []error{validateAddress(s.Target())}
	wrong := func(key, format string, args ...any) { errs = append(errs, KeyError{key, fmt.Errorf(format, args...)}) }
	if (p.user == "") != (p.password == "") {
		wrong("password", "and user belong together; a bind with one of them would be anonymous")
	}
	for _, key := range []string{"user", "base"} {
		if _, err := ldap.ParseDN(s.Text(key)); err != nil {
			wrong(key, "is no DN such as cn=probe,dc=example: %w", err)
		}
	}
	if _, err := ldap.CompileFilter(s.Text("filter")); err != nil {
		wrong("filter", "is no filter such as (uid=probe): %w", err)
	}
	for _, key := range []string{"scope", "filter", "min"} {
		if !s.Has("base") && !s.byDefault(key) {
			wrong(key, "is of a search, and none is made without base")
		}
	}
	if base := s.Text("base"); base != "" {
		const noAttributes = "1.1" // RFC 4511, section 4.5.1.8
		p.search = ldap.NewSearchRequest(base, ldapScopes[s.Text("scope")], ldap.NeverDerefAliases, p.least, 0, true, s.Text("filter"), []string{noAttributes}, nil)
	}
	switch {
	case s.Bool("tls") && p.later:
		wrong("starttls", "changes to TLS, and tls begins with it; keep one")
	case s.Bool("tls") || p.later:
		var err error
		p.secure, err = tlsConfig(s)
		errs = append(errs, err)
	case tlsKeys(s):
		errs = append(errs, errors.New("ca, cert, key, tls_name, tls_min and skip_verify need starttls or tls"))
	}
	return p.probe, errors.Join(errs...)
}

func (p *ldapProbe) probe(ctx context.Context) healthd.Outcome {
	start := time.Now()
	detail, err := p.ask(ctx)
	if err != nil {
		return failed(ctx, start, "no ldap answer", err)
	}
	return passed(start, detail)
}

func (p *ldapProbe) ask(ctx context.Context) (detail string, err error) {
	raw, err := dial(ctx, p.address)
	if err != nil {
		return "", err
	}
	defer func() { _ = raw.Close() }() // the session is over by then
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var over net.Conn = raw
	if p.later {
		if err := ldapStartTLS(raw); err != nil {
			return "", err
		}
	}
	if p.secure != nil {
		if over, err = p.secure.handshake(ctx, raw, hostName(p.address)); err != nil {
			return "", err
		}
	}
	conn := &watchedConn{Conn: over}
	session := ldap.NewConn(conn, p.secure != nil)
	session.Start()
	defer func() { _ = session.Close() }() // waits for what Start started
	if err := ldapError(conn, "bind", p.bind(session)); err != nil {
		return "", err
	}
	if p.search == nil {
		return "bound", nil
	}
	found, err := session.Search(p.search)
	if found != nil && len(found.Entries) >= p.least {
		return fmt.Sprintf("bound, found %d", len(found.Entries)), nil // where there are more, the answer is that there are
	}
	if err := ldapError(conn, "search", err); err != nil {
		return "", err
	}
	return "", wrongAnswer(fmt.Sprintf("the search found %d entries, expected %d", len(found.Entries), p.least))
}

func (p *ldapProbe) bind(session *ldap.Conn) error {
	if p.user == "" {
		return session.UnauthenticatedBind("") // which is the anonymous one, without a name
	}
	return session.Bind(p.user, p.password)
}
