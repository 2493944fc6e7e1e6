package config

import "slices"

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

	noun     string   // what one of these is called in messages: "check", "balancer"
	oneOf    []string // of these keys exactly one must be there: the kinds
	def      []string // what holds where the key is missing, as it would be written; none: nothing
	required bool     // a mistake where it is missing or, for a set, empty
	optional bool     // a section that stays absent where the file has none
	partial  bool     // a section whose missing keys come from elsewhere, not from defaults
	only     string   // the one kind (of the parent's oneOf) that this key belongs to
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

// lookup is the spec of one key of a section, nil where there is no such key.
func (s *spec) lookup(key string) *spec {
	for i := range s.fields {
		if s.fields[i].key == key {
			return &s.fields[i].spec
		}
	}
	return nil
}

// keys are the keys of a section in the order of the table.
func (s *spec) keys() []string {
	keys := make([]string, len(s.fields))
	for i, f := range s.fields {
		keys[i] = f.key
	}
	return keys
}

// settings are the keys of a section that are not kinds.
func (s *spec) settings() []string {
	var keys []string
	for _, f := range s.fields {
		if !slices.Contains(s.oneOf, f.key) {
			keys = append(keys, f.key)
		}
	}
	return keys
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
