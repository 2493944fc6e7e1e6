package nginx

import (
	"slices"
	"strings"
)

// isGlob tells whether nginx hands the name to glob(3); otherwise it opens it as it is written.
func isGlob(name string) bool { return strings.ContainsAny(name, "*?[") }

// maxMatches bounds what one pattern may match.
const maxMatches = MaxFiles + 1

// glob finds what an absolute pattern matches, as glob(3) without flags does: a leading dot must be written, brackets
// negate by '!' or '^', a backslash quotes, folders that cannot be read match nothing, and the result is sorted by bytes.
func glob(tree Tree, pattern string) []string {
	head := strings.LastIndexByte(pattern[:strings.IndexAny(pattern, `*?[\`)], '/')
	found := []string{pattern[:head]}
	for _, part := range strings.Split(pattern[head+1:], "/") {
		var next []string
		for _, dir := range found {
			names, err := tree.List(dir + "/")
			if err != nil {
				continue // glob(3) without GLOB_ERR goes on
			}
			for _, name := range append(names, ".", "..") {
				if matchName(part, name) && len(next) < maxMatches {
					next = append(next, dir+"/"+name)
				}
			}
		}
		found = next
	}
	slices.Sort(found)
	return found
}

// matchName matches one path element.
func matchName(pattern, name string) bool {
	if strings.HasPrefix(name, ".") && !strings.HasPrefix(pattern, ".") && !strings.HasPrefix(pattern, `\.`) {
		return false
	}
	// The usual two-pointer match: remember the last star and what it has swallowed.
	p, n, star, mark := 0, 0, -1, 0
	for n < len(name) {
		if p < len(pattern) && pattern[p] == '*' {
			star, mark = p, n
			p++
			continue
		}
		if size, ok := matchByte(pattern[p:], name[n]); ok {
			p, n = p+size, n+1
			continue
		}
		if star < 0 {
			return false
		}
		mark++
		p, n = star+1, mark
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// matchByte matches one byte against the head of the pattern, and gives the length of that head.
func matchByte(pattern string, ch byte) (size int, ok bool) {
	if pattern == "" {
		return 0, false
	}
	switch pattern[0] {
	case '?':
		return 1, true
	case '\\':
		if len(pattern) > 1 {
			return 2, pattern[1] == ch
		}
	case '[':
		if size, ok := matchBracket(pattern, ch); size > 0 {
			return size, ok
		}
	}
	return 1, pattern[0] == ch
}

// matchBracket matches one byte against the bracket expression at the head of the pattern; a size of 0 means that it
// has no end and stands for itself.
func matchBracket(pattern string, ch byte) (size int, ok bool) {
	at := 1
	negate := at < len(pattern) && (pattern[at] == '!' || pattern[at] == '^')
	if negate {
		at++
	}
	element := func() (b byte, ok bool) {
		if at < len(pattern) && pattern[at] == '\\' {
			at++
		}
		if at >= len(pattern) {
			return 0, false
		}
		at++
		return pattern[at-1], true
	}
	for first := true; at < len(pattern); first = false {
		if pattern[at] == ']' && !first {
			return at + 1, ok != negate
		}
		low, fine := element()
		high := low
		if fine && at+1 < len(pattern) && pattern[at] == '-' && pattern[at+1] != ']' {
			at++
			high, fine = element()
		}
		if !fine {
			return 0, false
		}
		ok = ok || low <= ch && ch <= high
	}
	return 0, false
}
