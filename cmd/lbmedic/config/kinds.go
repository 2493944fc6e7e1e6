package config

import (
	"slices"
	"strings"

	"github.com/lbmedic/lbmedic/healthd/check"
)

// kindsAmong are the keys that name the kind of a section. A key that is an option of another one there, as tls of redis, names none.
func (s *spec) kindsAmong(pairs []pair) (kinds []pair) {
	for _, p := range pairs {
		if slices.Contains(s.oneOf, p.key) {
			kinds = append(kinds, p)
		}
	}
	if len(kinds) < 2 {
		return kinds
	}
	for _, p := range kinds {
		own := s.variants[p.key]
		if !slices.ContainsFunc(kinds, func(q pair) bool { return !slices.ContainsFunc(own, func(f field) bool { return f.key == q.key }) }) {
			return []pair{p}
		}
	}
	return kinds
}

// unknownKey reports a key that this section does not have, and says whether it was taken for a kind.
func (d *decoder) unknownKey(p pair, s *spec, kind, name string, pairs []pair) (isKind bool) {
	elsewhere := s.kindsWith(p.key)
	near := didYouMean(p.key, s.names(kind))
	hasKind := slices.ContainsFunc(pairs, func(p pair) bool { return slices.Contains(s.oneOf, p.key) })
	switch {
	case len(elsewhere) > 0 && kind != "":
		d.src.errorf(p.at, "%s is for %ss of kind %s, and %s is of kind %s", quote(p.key), s.noun, orList(elsewhere), quote(name), kind)
		return false
	case len(elsewhere) > 0: // its kind is missing, or there are several: that is the mistake
		return false
	case !hasKind && Nearest(p.key, s.oneOf) != "":
		d.src.errorf(p.at, "unknown key %s%s", quote(p.key), didYouMean(p.key, s.oneOf))
		return true
	case near != "" && (hasKind || s.variants == nil):
		d.src.errorf(p.at, "unknown key %s%s", quote(p.key), near)
		return false
	case s.oneOf == nil:
		d.src.errorf(p.at, "unknown key %s; known here: %s", quote(p.key), strings.Join(s.names(kind), ", "))
		return false
	case kind != "":
		d.src.errorf(p.at, "unknown key %s; a %s of kind %s has: %s", quote(p.key), s.noun, kind, strings.Join(s.settings(kind), ", "))
		return false
	case hasKind:
		return false
	}
	d.src.errorf(p.at, "unknown kind of %s %s; this build has %s", s.noun, quote(p.key), s.choice(" and "))
	return true
}

// absent says that a kind of check is not in this build.
func absent(kind string) string {
	_, err := check.Find(kind)
	if err == nil { // it is absent, so there is one
		return ""
	}
	return err.Error()
}

func orList(words []string) string { return joined(words, " or ") }

func joined(words []string, last string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + last + words[len(words)-1]
}
