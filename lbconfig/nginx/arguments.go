package nginx

import (
	"strings"
)

// Arguments are those a running nginx was started with, as far as they decide which files it reads. Empty means not given.
type Arguments struct {
	Program  string // as typed: "/usr/sbin/nginx" or "nginx"
	Prefix   string // -p
	Conf     string // -c
	Globals  string // -g
	ErrorLog string // -e
}

const masterTitle = "nginx: master process "

// ParseMaster reads the bytes of /proc/PID/cmdline of an nginx master, and is false for any other process. nginx puts
// its arguments into its title with one space between and no quotes, so a space inside one cannot be told from the
// space between two; only -g, whose value ends in ';', usually has one.
func ParseMaster(cmdline []byte) (Arguments, bool) {
	title, _, _ := strings.Cut(string(cmdline), "\x00")
	rest, ok := strings.CutPrefix(title, masterTitle)
	if !ok {
		return Arguments{}, false
	}
	words := strings.Fields(rest)
	if len(words) == 0 {
		return Arguments{}, false
	}
	a := Arguments{Program: words[0]}
	for words = words[1:]; len(words) > 0; words = words[1:] {
		flags, ok := strings.CutPrefix(words[0], "-")
		if !ok {
			continue
		}
		words = a.flags(flags, words)
	}
	return a, true
}

// flags reads one argument such as "-c", "-cFILE" or "-qc"; words begins with it, and what is given back begins with
// the last word it used.
func (a *Arguments) flags(flags string, words []string) []string {
	into := map[byte]*string{'p': &a.Prefix, 'c': &a.Conf, 'g': &a.Globals, 'e': &a.ErrorLog, 's': new(string)}
	for i := range len(flags) {
		value, ok := into[flags[i]]
		if !ok {
			continue
		}
		if *value = flags[i+1:]; *value == "" && len(words) > 1 {
			words = words[1:]
			*value = words[0]
		}
		for flags[i] == 'g' && !strings.HasSuffix(*value, ";") && len(words) > 1 {
			words = words[1:]
			*value += " " + words[0]
		}
		for flags[i] == 'g' && len(words) > 1 && !strings.HasPrefix(words[1], "-") { // another directive
			words = words[1:]
			*value += " " + words[0]
		}
		break
	}
	return words
}

// Build is what an nginx was built with.
type Build struct {
	Version  string // "1.22.1"
	Prefix   string // --prefix
	Conf     string // --conf-path
	PID      string // --pid-path
	Program  string // --sbin-path
	ErrorLog string // --error-log-path; Debian's newer builds have "stderr"
	Modules  string // --modules-path
	With     map[string]bool
}

// ParseBuild reads what `nginx -V` prints.
func ParseBuild(output string) Build {
	b := Build{With: map[string]bool{}}
	for line := range strings.SplitSeq(output, "\n") {
		if v, ok := strings.CutPrefix(line, "nginx version: "); ok {
			_, v, _ = strings.Cut(v, "/")
			b.Version, _, _ = strings.Cut(strings.TrimSpace(v), " ")
		}
		if v, ok := strings.CutPrefix(line, "configure arguments: "); ok {
			for _, arg := range configureArguments(v) {
				b.set(arg)
			}
		}
	}
	return b
}

func (b *Build) set(arg string) {
	name, value, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
	into := map[string]*string{"prefix": &b.Prefix, "conf-path": &b.Conf, "pid-path": &b.PID, "sbin-path": &b.Program,
		"error-log-path": &b.ErrorLog, "modules-path": &b.Modules}
	if field := into[name]; field != nil {
		*field = value
	}
	if feature, ok := strings.CutPrefix(name, "with-"); ok && len(b.With) < maxMessages {
		b.With[feature] = true
	}
}

// configureArguments splits at spaces outside of single quotes, which nginx's configure writes around values with spaces.
func configureArguments(s string) []string {
	var out []string
	var cur strings.Builder
	quoted := false
	for _, ch := range s + " " {
		switch {
		case ch == '\'':
			quoted = !quoted
		case ch == ' ' && !quoted:
			if cur.Len() > 0 {
				out = append(out, cur.String())
			}
			cur.Reset()
		default:
			cur.WriteRune(ch)
		}
	}
	return out
}

// Paths are the files of an instance: what its arguments say, else what it was built with, with nginx's own default of
// /usr/local/nginx where neither tells. cwd is where it was started; a relative prefix begins there.
func (a Arguments) Paths(b Build, cwd string) (prefix, conf, pid, errorLog string) {
	first := func(values ...string) string {
		for _, v := range values {
			if v != "" {
				return v
			}
		}
		return ""
	}
	prefix = below(cwd, first(a.Prefix, b.Prefix, "/usr/local/nginx"))
	conf = below(prefix, first(a.Conf, b.Conf, "conf/nginx.conf"))
	pid = below(prefix, first(b.PID, "logs/nginx.pid"))
	errorLog = first(a.ErrorLog, b.ErrorLog, "logs/error.log")
	if errorLog != "stderr" {
		errorLog = below(prefix, errorLog)
	}
	return prefix, conf, pid, errorLog
}

// below is a path as nginx completes it: a relative one begins at dir.
func below(dir, path string) string {
	if path == "" || strings.HasPrefix(path, "/") {
		return path
	}
	return strings.TrimSuffix(dir, "/") + "/" + path
}
