package config

import (
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// maxVisits bounds the values that are looked at: a file of aliases to aliases stands for far more than its bytes.
const maxVisits = 200_000

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
		return d.finish(&node{at: at, spec: s}, s, at, name)
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

// resolve looks through anchors, aliases and tags.
func (d *decoder) resolve(n ast.Node) ast.Node {
	for range maxDepth {
		switch v := n.(type) {
		case *ast.AnchorNode:
			n = v.Value
		case *ast.TagNode:
			d.src.errorf(placeOf(v.Start), "tags such as %s have no meaning here; remove it", quote(v.Start.Value))
			n = v.Value
		case *ast.AliasNode:
			name := aliasName(v)
			target, ok := d.anchors[name]
			if !ok {
				d.src.errorf(placeOf(v.Start), "no anchor &%s in this file", oneLine(name))
				return nil
			}
			n = target
		default:
			return n
		}
	}
	return nil
}

func aliasName(n *ast.AliasNode) string {
	if n.Value == nil {
		return ""
	}
	return n.Value.GetToken().Value
}

// A pair is one key of a mapping with its value.
type pair struct {
	key   string
	at    place
	value ast.Node
}

// pairs are the keys of a mapping without the second of two same ones. Merged keys (<<) come after the mapping's own,
// which win. ok is false where n is no mapping.
func (d *decoder) pairs(n ast.Node, depth int) (pairs []pair, ok bool) {
	var values []*ast.MappingValueNode
	switch v := n.(type) {
	case *ast.MappingNode:
		values = v.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{v}
	default:
		return nil, false
	}
	var merged []pair
	first := map[string]place{}
	for _, v := range values {
		at := firstPlace(v.Key)
		if _, merge := v.Key.(*ast.MergeKeyNode); merge {
			merged = append(merged, d.merged(v.Value, at, depth)...)
			continue
		}
		key, plain := keyText(v.Key)
		if !plain {
			d.src.errorf(at, "a key is a plain word, followed by a colon")
			continue
		}
		if before, twice := first[key]; twice {
			d.src.errorf(at, "duplicate key %s; line %d has it already", quote(key), before.line)
			continue
		}
		first[key] = at
		pairs = append(pairs, pair{key, at, v.Value})
	}
	for _, p := range merged {
		if _, own := first[p.key]; !own {
			first[p.key] = p.at
			pairs = append(pairs, p)
		}
	}
	return pairs, true
}

// merged are the keys that << brings in, from one mapping or a list of them.
func (d *decoder) merged(n ast.Node, at place, depth int) []pair {
	if d.visits++; depth > maxDepth || d.visits > maxVisits {
		d.src.errorf(at, "<< goes in a circle")
		return nil
	}
	n = d.resolve(n)
	if list, ok := n.(*ast.SequenceNode); ok {
		var all []pair
		for _, item := range list.Values {
			all = append(all, d.merged(item, at, depth+1)...)
		}
		return all
	}
	pairs, ok := d.pairs(n, depth+1)
	if !ok {
		d.src.errorf(at, "<< needs an alias of a section, such as *defaults")
	}
	d.visits += len(pairs)
	return pairs
}

func keyText(n ast.MapKeyNode) (string, bool) {
	switch k := n.(type) {
	case *ast.StringNode:
		return k.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode, *ast.InfinityNode, *ast.NanNode:
		return k.GetToken().Value, true
	}
	return "", false
}

func (d *decoder) section(n ast.Node, s *spec, at place, name string) *node {
	out := &node{at: at, spec: s}
	pairs, ok := d.pairs(n, 0)
	if !ok {
		d.src.errorf(firstPlace(n), "%s is a section; it takes the keys %s", quote(name), strings.Join(s.keys(), ", "))
		return out
	}
	guessed := false
	for _, p := range pairs {
		sub := s.lookup(p.key)
		if sub == nil {
			guessed = d.unknownKey(p, s, pairs) || guessed
			continue
		}
		out.put(p.key, p.at, d.value(p.value, sub, p.at, p.key))
	}
	if guessed {
		return out
	}
	return d.finish(out, s, at, name)
}

// unknownKey reports a key that is not in the table, and says whether it was taken for a kind.
func (d *decoder) unknownKey(p pair, s *spec, pairs []pair) (kind bool) {
	near := didYouMean(p.key, s.keys())
	switch {
	case near != "":
		d.src.errorf(p.at, "unknown key %s%s", quote(p.key), near)
		return slices.Contains(s.oneOf, Nearest(p.key, s.keys()))
	case s.oneOf == nil:
		d.src.errorf(p.at, "unknown key %s; known here: %s", quote(p.key), strings.Join(s.keys(), ", "))
		return false
	case slices.ContainsFunc(pairs, func(p pair) bool { return slices.Contains(s.oneOf, p.key) }):
		d.src.errorf(p.at, "unknown key %s; a %s has one of %s, and: %s",
			quote(p.key), s.noun, strings.Join(s.oneOf, ", "), strings.Join(s.settings(), ", "))
		return false
	}
	d.src.errorf(p.at, "unknown kind of %s %s; this build has %s", s.noun, quote(p.key), strings.Join(s.oneOf, " and "))
	return true
}

// finish looks for what a section lacks or has too much of.
func (d *decoder) finish(n *node, s *spec, at place, name string) *node {
	var kinds []string
	for _, key := range n.keys {
		if slices.Contains(s.oneOf, key) {
			kinds = append(kinds, key)
		}
	}
	switch {
	case s.oneOf == nil:
	case len(kinds) > 1:
		d.src.errorf(n.keyAt[kinds[1]], "%s %s is %s at once; make it one %s for each",
			s.noun, quote(name), strings.Join(kinds, " and "), s.noun)
	case len(kinds) == 0 && d.whole:
		d.src.errorf(at, "%s %s has no kind; give it one of %s", s.noun, quote(name), strings.Join(s.oneOf, ", "))
	}
	for _, f := range s.fields {
		switch has := n.fields[f.key]; {
		case f.required && has == nil && d.whole:
			d.src.errorf(at, "%s lacks %s: %s", quote(name), quote(f.key), f.doc)
		case f.only != "" && has != nil && len(kinds) == 1 && kinds[0] != f.only:
			d.src.errorf(n.keyAt[f.key], "%s is for %s %ss, and %s is a %s %s",
				quote(f.key), f.only, s.noun, quote(name), kinds[0], s.noun)
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
	out.secret = found
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

// scalarText is a scalar as it was written, without quotes and before references are expanded.
func scalarText(n ast.Node) (text string, quoted, ok bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		t := v.GetToken().Type
		return v.Value, t == token.SingleQuoteType || t == token.DoubleQuoteType, true
	case *ast.LiteralNode:
		return v.Value.Value, true, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return v.GetToken().Value, false, true
	}
	return "", false, false
}

func structure(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a section"
	case *ast.SequenceNode:
		return "a list"
	}
	return "this"
}

// anchorsOf collects the anchors of a document.
func anchorsOf(body ast.Node) map[string]ast.Node {
	c := collector{}
	ast.Walk(c, body)
	return c
}

type collector map[string]ast.Node

// Visit keeps each anchor's value.
func (c collector) Visit(n ast.Node) ast.Visitor {
	if a, ok := n.(*ast.AnchorNode); ok && a.Name != nil {
		c[a.Name.GetToken().Value] = a.Value
	}
	return c
}
