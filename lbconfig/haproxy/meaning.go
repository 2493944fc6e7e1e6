package haproxy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/lbconfig"
)

// Model says what the files mean to a HAProxy on that host. A branch of .if whose condition cannot be known counts as
// taken, its .elif and .else as not, and Model.Unsure says so. The problems are values that HAProxy reads otherwise than a
// person would; those of the text itself come from Parse.
func (fs Files) Model(host Host) (Model, []lbconfig.Problem) {
	r := &reader{host: host, defaults: map[string]*Settings{}, changed: map[string]*string{}, asked: map[string]bool{}}
	r.base = Settings{Mode: "tcp", Balance: "roundrobin", HashType: "map-based", Retries: 3, StateFile: "none"}
	r.settings = r.base
	r.model.Global.StatsTimeout, r.model.Global.StatsMaxConn = 10*time.Second, 10
	for _, f := range fs {
		r.read(f)
	}
	r.endSection()
	r.countsEverywhere()
	return r.model, r.problems
}

// reader walks over the lines as HAProxy does, one pass, in order.
type reader struct {
	host     Host
	changed  map[string]*string // by setenv and its kin; nil means unset
	asked    map[string]bool    // variables looked up without a known environment
	model    Model
	problems []lbconfig.Problem

	file     *File
	line     *Line
	branches []branch
	section  string // kind of the open section
	name     string

	base     Settings // HAProxy's own
	settings Settings // of the last defaults section
	defaults map[string]*Settings
	proxy    *Proxy // the open frontend, backend, listen or defaults section

	unnamed *Threshold // the first count of servers whose backend cannot be read
	servers int        // asked for so far
}

// branch is one open .if.
type branch struct {
	outer bool // the lines around it count
	live  bool // the present branch counts
	done  bool // an earlier branch counted
}

func (r *reader) read(f *File) {
	r.file, r.branches = f, nil
	r.endSection()
	for i := range f.Lines {
		r.line = &f.Lines[i]
		if len(r.line.Words) == 0 {
			continue
		}
		if strings.HasPrefix(r.line.Words[0].Text, ".") {
			r.directive()
			continue
		}
		if n := len(r.branches); n > 0 && !r.branches[n-1].live {
			continue
		}
		if args := r.line.Args(f.Source, r.env); len(args) > 0 {
			r.statement(args)
		}
	}
}

func (r *reader) directive() {
	n := len(r.branches)
	switch word := r.line.Words[0].Text; {
	case word == ".if":
		b := branch{outer: n == 0 || r.branches[n-1].live}
		b.live = b.outer && r.taken()
		b.done = b.live
		r.branches = append(r.branches, b)
	case n == 0: // .notice and its kin, or a problem that Parse has told
	case word == ".elif" || word == ".else":
		b := &r.branches[n-1]
		b.live = b.outer && !b.done && (word == ".else" || r.taken())
		b.done = b.done || b.live
	case word == ".endif":
		r.branches = r.branches[:n-1]
	}
}

func (r *reader) taken() bool {
	words, _, _ := cut(r.file.Source.Bytes, lbconfig.Span{Start: r.line.Span.Start, End: r.line.End.Start}, r.env)
	text := strings.Join(texts(words[1:]), " ")
	t := r.host.condition(text)
	if t == unsure {
		r.unsure(r.line.Words[0], "the condition %q cannot be known here, it counts as true", text)
	}
	return t != no
}

// env looks a variable up as HAProxy would at the present line.
func (r *reader) env(name string) (string, bool) {
	switch name {
	case ".FILE":
		return r.file.Source.Path, true
	case ".LINE":
		return strconv.Itoa(r.file.Source.Place(r.line.Span.Start).Line), true
	case ".SECTION":
		return r.name, true
	}
	if v, ok := r.changed[name]; ok {
		if v == nil {
			return "", false
		}
		return *v, true
	}
	if r.host.Env == nil {
		if !r.asked[name] {
			r.asked[name] = true
			r.unsure(r.line.Words[0], "the environment is not known, $%s counts as unset", name)
		}
		return "", false
	}
	return r.host.Env(name)
}

func (r *reader) place(w Word) lbconfig.Place { return r.file.Source.Place(w.Span.Start) }

func (r *reader) unsure(w Word, format string, args ...any) {
	r.model.Unsure = append(r.model.Unsure, r.note(w, lbconfig.Info, "unsure", format, args...))
}

func (r *reader) warn(w Word, rule, format string, args ...any) {
	r.problems = append(r.problems, r.note(w, lbconfig.Warning, rule, format, args...))
}

func (r *reader) note(w Word, s lbconfig.Severity, rule, format string, args ...any) lbconfig.Problem {
	at := r.place(w)
	return lbconfig.Problem{File: at.File, Line: at.Line, Col: at.Col, Severity: s, Rule: rule, Text: oneLine(fmt.Sprintf(format, args...))}
}

// statement is one line that counts.
func (r *reader) statement(words []Word) {
	if sectionKinds[words[0].Text] {
		r.beginSection(words)
		return
	}
	no := words[0].Text == "no"
	if (no || words[0].Text == "default") && len(words) > 1 {
		words = words[1:]
	}
	switch r.section {
	case "global":
		r.global(words, no)
	case "program":
		if words[0].Text == "command" && len(words) > 1 {
			r.runs("program", words[1])
		}
	case "defaults", "frontend", "backend", "listen":
		r.proxyLine(words, no)
	}
}

func (r *reader) beginSection(words []Word) {
	r.endSection()
	args := texts(words)
	r.section = args[0]
	var from string
	r.name, from = header(args)
	if !slices.Contains([]string{"defaults", "frontend", "backend", "listen"}, r.section) {
		return
	}
	p := &Proxy{Kind: r.section, Name: r.name, Place: r.place(words[0])}
	switch named, known := r.defaults[from]; {
	case from != "" && known:
		p.Settings = *named
	case from != "":
		r.warn(words[0], "defaults", "no defaults section %q before this line", from)
		p.Settings = r.base
	case r.section == "defaults":
		p.Settings = r.base
	default:
		p.Settings = r.settings
	}
	// What follows is rules of this section's own.
	p.Check.ownHTTP, p.Check.ownTCP, p.Check.HTTP.rules = false, false, 0
	r.proxy = p
}

func (r *reader) endSection() {
	p := r.proxy
	r.section, r.name, r.proxy = "", "", nil
	if p == nil {
		return
	}
	if p.Kind != "defaults" {
		r.inheritCounts(p)
		p.number()
		r.model.Proxies = append(r.model.Proxies, *p)
		return
	}
	p.Settings.Defaults = p.Name
	r.settings = p.Settings
	if p.Name != "" {
		r.defaults[p.Name] = &p.Settings
	}
}
