package config

import (
	"slices"
	"strings"
)

// A spec describes one value of the file: a scalar, a section with a closed set of keys, a named set, or a list.
// Exactly one of scalar, fields, each and list is set. The table in schema.go is made of these; reading, defaults,
// did-you-mean, `config show` and `config schema` all follow it.
type spec struct {
	doc string // one line, lower case: shown where the key is missing, and in the JSON Schema

	note string // what it does not do yet: behind the doc, and beside the value in `config show`

	scalar *scalar
	fields []field // a section
	each   *spec   // a named set: what each name holds
	list   *spec   // a list; a single value stands for a list of one

	noun     string             // what one of these is called in messages: "check", "balancer"
	oneOf    []string           // of these keys exactly one must be there: the kinds
	def      []string           // what holds where the key is missing, as it would be written; none: nothing
	required bool               // a mistake where it is missing or, for a set, empty
	optional bool               // a section that stays absent where the file has none
	partial  bool               // a section whose missing keys come from elsewhere, not from defaults
	variants map[string][]field // the keys that only one kind of oneOf has, its own name first; nil: the kinds are among fields
	see      string             // the page of docs that describes the variants
}

// sentence is the doc with its note.
func (s *spec) sentence() string {
	if s.note == "" {
		return s.doc
	}
	return s.doc + "; " + s.note
}

// A field is one key of a section.
type field struct {
	key string
	spec
}

// lookup is the spec of one key of a section of that kind, nil where there is no such key.
func (s *spec) lookup(kind, key string) *spec {
	for _, f := range s.keysOf(kind) {
		if f.key == key {
			return &f.spec
		}
	}
	return nil
}

// keysOf are all keys of a section of that kind, the kind's name first.
func (s *spec) keysOf(kind string) []field {
	own := s.variants[kind]
	if len(own) == 0 {
		return s.fields
	}
	return slices.Concat(own[:1], s.fields, own[1:])
}

// kindsWith are the kinds that have a key of their own of that name.
func (s *spec) kindsWith(key string) []string {
	var kinds []string
	for _, kind := range s.oneOf {
		if slices.ContainsFunc(s.variants[kind], func(f field) bool { return f.key == key }) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// choice lists the kinds, or the plainest two where there is a page about all of them.
func (s *spec) choice(last string) string {
	if s.see == "" {
		return joined(s.oneOf, last)
	}
	return strings.Join(s.oneOf[:2], ", ") + last + "the others in docs/" + s.see
}

// names are the keys of a section of that kind in the order of the table.
func (s *spec) names(kind string) []string {
	var names []string
	for _, f := range s.keysOf(kind) {
		names = append(names, f.key)
	}
	return names
}

// settings are the keys of a section of that kind that are not kinds.
func (s *spec) settings(kind string) []string {
	return slices.DeleteFunc(s.names(kind), func(key string) bool { return key == kind || kind == "" && slices.Contains(s.oneOf, key) })
}

// shape says what is expected, for messages.
func (s *spec) shape() string {
	switch {
	case s.scalar != nil:
		return s.scalar.noun
	case s.list != nil:
		return "a list, each " + s.list.shape()
	case s.each != nil:
		return "names with a " + s.each.noun + " each"
	}
	return "a section with keys"
}
