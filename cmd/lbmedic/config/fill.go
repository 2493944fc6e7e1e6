package config

import (
	"time"

	"github.com/lbmedic/lbmedic/healthd/check"
)

// fill puts the defaults where the file says nothing. They have no place.
func fill(n *node) {
	switch s := n.spec; {
	case s.each != nil:
		for _, name := range n.keys {
			fill(n.fields[name])
		}
	case s.fields != nil && !s.partial:
		for _, f := range s.keysOf(n.kind) {
			if has := n.fields[f.key]; has != nil {
				fill(has)
				continue
			}
			if f.optional || f.key == n.kind {
				continue
			}
			if d := defaultOf(&f.spec); d != nil {
				n.put(f.key, place{}, d)
			}
		}
	}
}

// defaultOf is what holds where a key is missing; nil where nothing does.
func defaultOf(s *spec) *node {
	n := &node{spec: s}
	switch {
	case s.scalar != nil:
		if s.def == nil {
			return nil
		}
		return scalarDefault(s, s.def[0])
	case s.list != nil:
		for _, text := range s.def {
			n.items = append(n.items, scalarDefault(s.list, text))
		}
		if n.items == nil {
			return nil
		}
	default:
		fill(n)
	}
	return n
}

func scalarDefault(s *spec, text string) *node {
	value, _, _ := s.scalar.parse(text)
	return &node{spec: s, value: value, text: text, expanded: text}
}

// overlay is base with what over says put in its place, key by key.
func overlay(base, over *node) *node {
	if over == nil {
		return base
	}
	if base == nil || base.spec.scalar != nil || base.spec.list != nil {
		return over
	}
	out := &node{at: over.at, spec: base.spec}
	for _, key := range base.keys {
		out.put(key, base.keyAt[key], base.fields[key])
	}
	for _, key := range over.keys {
		out.put(key, over.keyAt[key], overlay(base.fields[key], over.fields[key]))
	}
	return out
}

// complete fills in all defaults, those too that depend on other values.
func complete(root *node) {
	fill(root)
	for _, c := range checks(root) {
		every, ok := c.child("interval").value.(time.Duration)
		if t := c.child("timeout"); ok && t.at == (place{}) && every/2 < t.value.(time.Duration) {
			t.value, t.text, t.expanded = every/2, brief(every/2), brief(every/2)
		}
		if k, err := check.Find(c.kind); err == nil && c.child("impact").at == (place{}) {
			i := c.child("impact")
			i.value, i.text, i.expanded = k.Impact.String(), k.Impact.String(), k.Impact.String()
		}
	}
	common := root.child("policy")
	for _, b := range members(root, "balancers") {
		b.put("policy", b.keyAt["policy"], overlay(common, b.child("policy")))
	}
}

// members are what a named set holds, in the order of the file.
func members(root *node, path ...string) []*node {
	set := root.child(path...)
	if set == nil {
		return nil
	}
	all := make([]*node, len(set.keys))
	for i, name := range set.keys {
		all[i] = set.fields[name]
	}
	return all
}

// checks are all checks of all services.
func checks(root *node) []*node {
	var all []*node
	for _, s := range members(root, "health", "services") {
		all = append(all, members(s, "checks")...)
	}
	return all
}
