package config

import (
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/lbmedic/lbmedic/healthd/check"
)

// maxVisits bounds the values that are looked at: a file of aliases to aliases stands for far more than its bytes.
const maxVisits = 150_000

// nameGrammar is what services, checks and balancers may be called: these names become paths, metric labels and
// arguments on a command line.
var nameGrammar = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$`)

// A decoder turns the nodes of the YAML parser into ours along the table of keys, and goes on after each mistake.
type decoder struct {
	src     *source
	getenv  func(string) (string, bool)
	anchors map[string]ast.Node
	visits  int
	whole   bool // no part of the file was set aside: what is missing is missing
}

// value reads one value. at and name are its key's, for messages about what is not there.
func (d *decoder) value(n ast.Node, s *spec, at place, name string) *node {
	if d.visits++; d.visits > maxVisits {
		if d.visits == maxVisits+1 {
			d.src.errorf(firstPlace(n), "the aliases up to here stand for more than %d values", maxVisits)
		}
		return &node{at: at, spec: s}
	}
	n = d.resolve(n)
	if _, null := n.(*ast.NullNode); n == nil || null {
		if s.scalar != nil || s.list != nil {
			d.src.errorf(at, "%s has no value; write %s, or remove the key", quote(name), s.shape())
		} else if s.each != nil && s.required && d.whole {
			d.src.errorf(at, "%s is empty; it needs at least one %s", quote(name), s.each.noun)
		}
		return d.finish(&node{at: at, spec: s}, s, nil, at, name)
	}
	switch {
	case s.scalar != nil:
		return d.scalar(n, s)
	case s.list != nil:
		return d.list(n, s, at, name)
	case s.each != nil:
		return d.named(n, s, at, name)
	}
	return d.section(n, s, at, name)
}

func (d *decoder) section(n ast.Node, s *spec, at place, name string) *node {
	out := &node{at: at, spec: s}
	pairs, ok := d.pairs(n, 0)
	if !ok {
		d.src.errorf(firstPlace(n), "%s is a section; it takes the keys %s", quote(name), strings.Join(s.names(""), ", "))
		return out
	}
	if s.variants != nil {
		for _, p := range pairs {
			if slices.Contains(check.Absent(), p.key) { // and what its other keys mean only the full build knows
				d.src.errorf(p.at, "%s", oneLine(absent(p.key)))
				return out
			}
		}
	}
	kinds := s.kindsAmong(pairs)
	if len(kinds) == 1 {
		out.kind = kinds[0].key
	}
	guessed := false
	for _, p := range pairs {
		sub := s.lookup(out.kind, p.key)
		if sub == nil && slices.Contains(s.oneOf, p.key) { // one of several kinds
			out.put(p.key, p.at, d.value(p.value, s.lookup(p.key, p.key), p.at, p.key))
			continue
		}
		if sub == nil {
			guessed = d.unknownKey(p, s, out.kind, name, pairs) || guessed
			continue
		}
		out.put(p.key, p.at, d.value(p.value, sub, p.at, p.key))
	}
	if guessed {
		return out
	}
	return d.finish(out, s, kinds, at, name)
}

// finish looks for what a section lacks or has too much of.
func (d *decoder) finish(n *node, s *spec, kinds []pair, at place, name string) *node {
	switch {
	case s.oneOf == nil:
	case len(kinds) > 1:
		d.src.errorf(kinds[1].at, "%s %s is %s at once; make it one %s for each",
			s.noun, quote(name), kinds[0].key+" and "+kinds[1].key, s.noun)
	case len(kinds) == 0 && d.whole:
		d.src.errorf(at, "%s %s has no kind; give it one of %s", s.noun, quote(name), s.choice(" or "))
	}
	for _, f := range s.keysOf(n.kind) {
		if f.required && n.fields[f.key] == nil && d.whole {
			d.src.errorf(at, "%s lacks %s: %s", quote(name), quote(f.key), f.doc)
		}
	}
	return n
}

func (d *decoder) named(n ast.Node, s *spec, at place, name string) *node {
	out := &node{at: at, spec: s}
	pairs, ok := d.pairs(n, 0)
	if !ok {
		d.src.errorf(firstPlace(n), "%s holds %s", quote(name), s.shape())
		return out
	}
	for _, p := range pairs {
		if !nameGrammar.MatchString(p.key) {
			d.src.errorf(p.at, "%s is no name for a %s; use up to 64 letters, digits, _, . and -, beginning with a letter, a digit or _",
				quote(p.key), s.each.noun)
			continue
		}
		out.put(p.key, p.at, d.value(p.value, s.each, p.at, p.key))
	}
	if len(pairs) == 0 && s.required && d.whole {
		d.src.errorf(at, "%s is empty; it needs at least one %s", quote(name), s.each.noun)
	}
	return out
}

func (d *decoder) list(n ast.Node, s *spec, at place, name string) *node {
	out := &node{at: at, spec: s}
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		out.items = []*node{d.value(n, s.list, at, name)}
		return out
	}
	for _, item := range seq.Values {
		out.items = append(out.items, d.value(item, s.list, placeOf(seq.Start), name))
	}
	if len(seq.Values) == 0 && s.required {
		d.src.errorf(at, "%s is empty; it needs at least one entry", quote(name))
	}
	return out
}

func (d *decoder) scalar(n ast.Node, s *spec) *node {
	out := &node{at: firstPlace(n), spec: s}
	raw, quoted, ok := scalarText(n)
	if !ok {
		d.src.errorf(out.at, "expected %s, not %s", s.scalar.noun, structure(n))
		return out
	}
	out.text = raw
	text, found, err := expand(raw, d.getenv)
	if err != nil {
		d.src.errorf(out.at, "%s", oneLine(err.Error()))
		return out
	}
	out.secret, out.expanded = found, text
	if found {
		out.files = referred(raw, d.getenv)
	}
	if s.scalar.bare && quoted && !found {
		d.src.errorf(out.at, "%s is in quotes; write %s without them", quote(raw), s.scalar.noun)
		return out
	}
	value, wrong, ok := s.scalar.parse(text)
	if ok {
		out.value = value
		return out
	}
	isNot := "is not " + s.scalar.noun
	switch {
	case found: // nothing that depends on a secret is told
		d.src.errorf(out.at, "what %s stands for %s", quote(raw), isNot)
	case wrong != "":
		d.src.errorf(out.at, "%s %s", quote(text), wrong)
	default:
		d.src.errorf(out.at, "%s %s%s", quote(text), isNot, didYouMean(text, s.scalar.words))
	}
	return out
}
