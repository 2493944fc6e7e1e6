package haproxy

import (
	"strconv"
	"strings"
)

// Host is what the meaning of a configuration depends on beside its text.
type Host struct {
	Env      Env             // the environment of the HAProxy process; nil means not known
	Version  Release         // for version_atleast and version_before
	Features map[string]bool // for feature(), by name, from `haproxy -vv`; nil means not known
}

// truth is the outcome of a condition of .if.
type truth int8

const (
	no truth = iota
	yes
	unsure
)

// condition evaluates what follows .if or .elif, already expanded: predicates, !, &&, || and parentheses, as section 2.4 of HAProxy's
// configuration manual has them. What it does not know is unsure, and so is whatever depends on that.
func (h Host) condition(text string) truth {
	c := &conditions{host: h, rest: strings.TrimSpace(text)}
	if c.rest == "" {
		return no
	}
	t := c.or()
	if c.bad || c.rest != "" {
		return unsure
	}
	return t
}

type conditions struct {
	host  Host
	rest  string
	depth int
	bad   bool
}

func (c *conditions) take(token string) bool {
	rest, ok := strings.CutPrefix(c.rest, token)
	if ok {
		c.rest = strings.TrimLeft(rest, " \t")
	}
	return ok
}

func (c *conditions) or() truth {
	t := c.and()
	for c.take("||") {
		u := c.and()
		if t == yes || u == yes {
			t = yes
		} else if u == unsure {
			t = unsure
		}
	}
	return t
}

func (c *conditions) and() truth {
	t := c.term()
	for c.take("&&") {
		u := c.term()
		if t == no || u == no {
			t = no
		} else if u == unsure {
			t = unsure
		}
	}
	return t
}

// maxConditionDepth bounds the recursion; HAProxy's own limit is 1024.
const maxConditionDepth = 200

func (c *conditions) term() truth {
	if c.depth++; c.depth > maxConditionDepth {
		c.bad = true
		return unsure
	}
	defer func() { c.depth-- }()
	if c.take("!") {
		switch c.term() {
		case yes:
			return no
		case no:
			return yes
		default:
			return unsure
		}
	}
	if c.take("(") {
		t := c.or()
		c.bad = c.bad || !c.take(")")
		return t
	}
	end := strings.IndexFunc(c.rest, func(r rune) bool { return !nameByte(byte(min(r, 127))) })
	if end < 0 {
		end = len(c.rest)
	}
	name := c.rest[:end]
	c.rest = c.rest[end:]
	if args, rest, ok := c.arguments(); ok {
		c.rest = strings.TrimLeft(rest, " \t")
		return c.host.predicate(name, args)
	}
	c.rest = strings.TrimLeft(c.rest, " \t")
	n, err := strconv.Atoi(name)
	if err != nil {
		c.bad = true
		return unsure
	}
	return truthOf(n != 0)
}

func (c *conditions) arguments() (args []string, rest string, ok bool) {
	if !strings.HasPrefix(c.rest, "(") {
		return nil, "", false
	}
	inside, rest, ok := strings.Cut(c.rest[1:], ")")
	return strings.Split(inside, ","), rest, ok // blanks count: streq(a , a) is false on 2.6 and 3.2
}

func (h Host) predicate(name string, args []string) truth {
	first, second := args[0], ""
	if len(args) > 1 {
		second = args[1]
	}
	switch name {
	case "defined":
		if h.Env == nil {
			return unsure
		}
		_, ok := h.Env(first)
		return truthOf(ok)
	case "streq":
		return truthOf(first == second)
	case "strneq":
		return truthOf(first != second)
	case "feature":
		if h.Features == nil {
			return unsure
		}
		return truthOf(h.Features[first])
	case "version_atleast", "version_before":
		want, ok := ParseRelease(first)
		if !ok || !h.Version.Known() {
			return unsure
		}
		return truthOf(h.Version.Compare(want) >= 0 == (name == "version_atleast"))
	default:
		return unsure
	}
}

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}
