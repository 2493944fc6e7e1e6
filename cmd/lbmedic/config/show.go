package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// YAML is the effective configuration: every default in place, references as they were written, never what they
// stand for. Reading it again gives the same configuration.
func (c *Config) YAML() string {
	var b strings.Builder
	writeYAML(&b, c.shown, "")
	return b.String()
}

func writeYAML(b *strings.Builder, n *node, indent string) {
	for _, key := range n.order() {
		v := n.fields[key]
		b.WriteString(indent + key + ":")
		switch {
		case v.spec.scalar != nil:
			b.WriteString(" " + v.yaml() + comment(v.spec) + "\n")
		case v.spec.list != nil:
			items := make([]string, len(v.items))
			for i, item := range v.items {
				items[i] = item.yaml()
			}
			b.WriteString(" [" + strings.Join(items, ", ") + "]" + comment(v.spec) + "\n")
		default:
			b.WriteString(comment(v.spec) + "\n")
			writeYAML(b, v, indent+"  ")
		}
	}
}

func comment(s *spec) string {
	if s.note == "" {
		return ""
	}
	return "  # " + s.note
}

// order is the table's for a section, the file's for names; sections that say nothing are left out.
func (n *node) order() []string {
	if n.spec.each != nil {
		return n.keys
	}
	var keys []string
	for _, key := range n.spec.names(n.kind) {
		if v := n.fields[key]; v != nil && !v.empty() {
			keys = append(keys, key)
		}
	}
	return keys
}

// empty says whether a section or a named set says nothing. An optional section says something by being there.
func (n *node) empty() bool {
	return n.spec.scalar == nil && n.spec.list == nil && len(n.keys) == 0 && !n.spec.optional
}

// plainYAML is what needs no quotes inside a [list] either.
var plainYAML = regexp.MustCompile(`^[A-Za-z0-9/][A-Za-z0-9_./:%+@=-]*$`)

func (n *node) yaml() string {
	text := shown(n)
	if plainYAML.MatchString(text) && !strings.HasSuffix(text, ":") {
		return text
	}
	return jsonText(text)
}

// jsonText quotes for JSON, which is YAML too.
func jsonText(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil { // a string always encodes
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// JSON is the same as YAML, for programs: durations as they are written, numbers and percentages as numbers.
func (c *Config) JSON() []byte {
	var b bytes.Buffer
	writeJSON(&b, c.shown)
	var out bytes.Buffer
	if err := json.Indent(&out, b.Bytes(), "", "  "); err != nil { // what writeJSON writes is JSON
		return b.Bytes()
	}
	return append(out.Bytes(), '\n')
}

func writeJSON(b *bytes.Buffer, n *node) {
	switch {
	case n.spec.scalar != nil:
		switch v := n.value.(type) {
		case int, bool:
			if !n.secret {
				fmt.Fprint(b, v)
				break
			}
			b.WriteString(jsonText(n.text))
		default:
			b.WriteString(jsonText(shown(n)))
		}
	case n.spec.list != nil:
		b.WriteByte('[')
		for i, item := range n.items {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSON(b, item)
		}
		b.WriteByte(']')
	default:
		b.WriteByte('{')
		for i, key := range n.order() {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(jsonText(key) + ":")
			writeJSON(b, n.fields[key])
		}
		b.WriteByte('}')
	}
}
