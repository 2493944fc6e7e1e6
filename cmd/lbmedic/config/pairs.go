package config

import (
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

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
