package nginx

import "strings"

// isLua tells the directives whose block is Lua code, which nginx's Lua module reads by Lua's own rules.
func isLua(name string) bool { return strings.HasSuffix(name, "_by_lua_block") }

// scanLua finds the '}' that ends the Lua code starting at pos. Braces in strings, long strings and comments do not
// count. It returns -1 where the text ends first. Checked against lua-nginx-module 0.10.23 on nginx 1.22.1.
func scanLua(text string, pos int) int {
	lonely := map[byte]int{} // up to where a quote is known to have no partner: this keeps the time linear
	for depth := 0; pos < len(text); {
		switch text[pos] {
		case '{':
			depth++
		case '}':
			if depth == 0 {
				return pos
			}
			depth--
		case '"', '\'':
			if quote := text[pos]; pos >= lonely[quote] {
				end, ok := luaString(text, pos)
				if ok {
					pos = end
					continue
				}
				lonely[quote] = end
			}
		case '-':
			if strings.HasPrefix(text[pos:], "--") {
				pos = luaComment(text, pos+2)
				continue
			}
		case '[':
			if end := luaLong(text, pos); end > pos {
				pos = end
				continue
			}
		}
		pos++
	}
	return -1
}

// luaString returns the offset behind the string that opens at pos. A string ends on its line: where the line ends
// first, the quote is an ordinary byte to nginx, and ok is false with the offset of the line's end.
func luaString(text string, pos int) (end int, ok bool) {
	quote := text[pos]
	for pos++; pos < len(text) && text[pos] != '\n'; pos++ {
		switch text[pos] {
		case '\\':
			if pos+1 < len(text) && text[pos+1] != '\n' {
				pos++
			}
		case quote:
			return pos + 1, true
		}
	}
	return pos, false
}

// luaComment returns the offset behind the comment whose two dashes end at pos.
func luaComment(text string, pos int) int {
	if end := luaLong(text, pos); end > pos {
		return end
	}
	if n := strings.IndexByte(text[pos:], '\n'); n >= 0 {
		return pos + n
	}
	return len(text)
}

// luaLong returns the offset behind the long bracket [[…]] or [=[…]=] that opens at pos, and pos where none does.
func luaLong(text string, pos int) int {
	rest := strings.TrimPrefix(text[pos:], "[")
	if len(rest) == len(text)-pos {
		return pos
	}
	level := len(rest) - len(strings.TrimLeft(rest, "="))
	if level == len(rest) || rest[level] != '[' {
		return pos
	}
	closing := "]" + strings.Repeat("=", level) + "]"
	body := pos + level + 2
	if n := strings.Index(text[body:], closing); n >= 0 {
		return body + n + len(closing)
	}
	return len(text)
}
