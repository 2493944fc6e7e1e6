package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/lbconfig"
	"github.com/lbmedic/lbmedic/lbconfig/haproxy"
	"github.com/lbmedic/lbmedic/lbconfig/nginx"
)

// dialect is the language of a configuration.
type dialect string

const (
	dialectHAProxy dialect = "haproxy"
	dialectNginx   dialect = "nginx"
)

func (d *dialect) String() string { return string(*d) }

// Set refuses what is neither haproxy nor nginx.
func (d *dialect) Set(text string) error {
	if text != string(dialectHAProxy) && text != string(dialectNginx) {
		return errors.New("haproxy and nginx are known")
	}
	*d = dialect(text)
	return nil
}

// Type is what --help calls the value.
func (d *dialect) Type() string { return "haproxy|nginx" }

// Where Debian, RHEL and Alpine keep them.
const (
	usualHAProxy = "/usr/sbin/haproxy"
	usualNginx   = "/usr/sbin/nginx"
)

// subject is one configuration and the program that judges it.
type subject struct {
	dialect dialect
	paths   []string // absolute; several only for HAProxy
	program string
	args    []string // more arguments of haproxy
	prefix  string   // of nginx
}

func subjectOf(b config.Balancer) subject {
	if b.Nginx != nil {
		return subject{dialect: dialectNginx, paths: []string{b.Nginx.Config}, program: b.Nginx.Program, prefix: b.Nginx.Prefix}
	}
	return subject{dialect: dialectHAProxy, paths: b.HAProxy.Config, program: b.HAProxy.Program, args: b.HAProxy.Args}
}

// subjectAt judges a file with the defaults of its dialect.
func subjectAt(path string, as dialect, program string) (subject, error) {
	if as == "" {
		var err error
		if as, err = dialectOf(path); err != nil {
			return subject{}, err
		}
	}
	usual := map[dialect]string{dialectHAProxy: usualHAProxy, dialectNginx: usualNginx}[as]
	return subject{dialect: as, paths: []string{path}, program: cmp.Or(program, usual)}, nil
}

func (s subject) judge(ctx context.Context) linted {
	out := linted{File: strings.Join(s.paths, " "), Dialect: s.dialect, Program: s.program, Problems: []lbconfig.Problem{}}
	if s.dialect == dialectNginx {
		r := nginx.Validator{Program: s.program, Prefix: s.prefix, Conf: s.paths[0]}.Check(ctx)
		out.Verdict, out.Why, out.Problems = r.Verdict.String(), r.Why, append(out.Problems, r.Problems...)
		return out
	}
	args := append([]string(nil), s.args...)
	for _, path := range s.paths {
		args = append(args, "-f", path)
	}
	r, err := haproxy.Validator{Program: s.program, Args: args, Env: os.Environ(), Dir: filepath.Dir(s.paths[0])}.Check(ctx)
	out.Verdict, out.Problems = r.Verdict.String(), append(out.Problems, r.Problems...)
	if err != nil {
		out.Why = err.Error()
	}
	return out
}

// The lines that only one of the two languages has: a section of HAProxy stands alone at the beginning of a line, what
// nginx says ends in a semicolon or opens a brace.
var (
	haproxyLine = regexp.MustCompile(`(?m)^[ \t]*(global|defaults|frontend|backend|listen|peers|resolvers|userlist|program|cache|ring|mailers)([ \t]+[^#;{}\r\n]*)?(#.*)?\r?$`)
	nginxLine   = regexp.MustCompile(`(?m)^[ \t]*[a-z_]+[^#\n]*[;{][ \t]*(#.*)?\r?$`)
)

// dialectOf looks at the content. A folder is HAProxy's: nginx takes none.
func dialectOf(path string) (dialect, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.IsDir() {
		return dialectHAProxy, nil
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is no regular file", path)
	}
	text, err := readHead(path)
	if err != nil {
		return "", err
	}
	h, n := len(haproxyLine.FindAllIndex(text, -1)), len(nginxLine.FindAllIndex(text, -1))
	switch {
	case h > n:
		return dialectHAProxy, nil
	case n > h:
		return dialectNginx, nil
	}
	return "", fmt.Errorf("whether %s is for HAProxy or for nginx cannot be told; say it with --as", path)
}

// readHead reads as much of a file as it takes to know its language.
func readHead(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, 64<<10)
	n, err := f.Read(head)
	if n == 0 && err != nil {
		return nil, nil // empty, and so of no language
	}
	return head[:n], nil
}
