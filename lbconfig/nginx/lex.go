package nginx

import (
	"strings"

	"github.com/lbmedic/lbmedic/lbconfig"
)

// maxWord is the size of nginx's read buffer (NGX_CONF_BUFFER): a word, or a comment, that does not end within it is
// refused. Seen on 1.18, 1.22, 1.26 and 1.30.
const maxWord = 4096

type tokenKind int8

const (
	tokenEOF     tokenKind = iota
	tokenWord              // a word
	tokenComment           // a comment, without its line end
	tokenEnd               // ;
	tokenOpen              // {
	tokenClose             // }
	tokenGlued             // a byte that follows a closing quote without a space between; it is not consumed
	tokenTooLong           // a word or comment longer than nginx's buffer
)

type token struct {
	kind tokenKind
	span lbconfig.Span
	word Word
	open bool // a quoted word that the file's end cut off
}

// lexer cuts the text exactly as nginx does. Quotes count only at the start of a word; a backslash takes the next byte
// with it everywhere but in comments; '}' is an ordinary byte inside a word, and so is '{' after '$'.
type lexer struct {
	text      string
	pos       int
	start     int  // where nginx's buffer would begin: it bounds the length of words
	needSpace bool // a quoted word has just ended
}

// fetch takes the next byte.
func (l *lexer) fetch() (ch byte, stop tokenKind) {
	if l.pos >= len(l.text) {
		return 0, tokenEOF
	}
	if l.pos-l.start == maxWord {
		return 0, tokenTooLong
	}
	ch = l.text[l.pos]
	l.pos++
	return ch, tokenWord
}

func isSpace(ch byte) bool { return ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n' }

func (l *lexer) next() token {
	for {
		ch, stop := l.fetch()
		if stop != tokenWord {
			return token{kind: stop, span: lbconfig.Span{Start: l.pos, End: l.pos}}
		}
		if l.needSpace {
			l.needSpace = false
			if isSpace(ch) {
				continue
			}
			if ch != ';' && ch != '{' && ch != ')' { // ')' for the conditions of `if`
				l.pos--
				return token{kind: tokenGlued, span: lbconfig.Span{Start: l.pos, End: l.pos + 1}}
			}
		}
		l.start = l.pos - 1
		switch ch {
		case ' ', '\t', '\r', '\n':
		case ';':
			return l.punctuation(tokenEnd)
		case '{':
			return l.punctuation(tokenOpen)
		case '}':
			return l.punctuation(tokenClose)
		case '#':
			return l.comment()
		case '"', '\'':
			return l.quoted(ch)
		default:
			return l.bare(ch)
		}
	}
}

func (l *lexer) punctuation(kind tokenKind) token {
	l.start = l.pos
	return token{kind: kind, span: lbconfig.Span{Start: l.pos - 1, End: l.pos}}
}

func (l *lexer) comment() token {
	begin := l.pos - 1
	for {
		ch, stop := l.fetch()
		if stop == tokenTooLong {
			return token{kind: stop, span: lbconfig.Span{Start: begin, End: l.pos}}
		}
		if stop == tokenEOF || ch == '\n' {
			if stop != tokenEOF {
				l.start = l.pos - 1
			}
			text := strings.TrimRight(l.text[begin:l.pos], "\r\n")
			return token{kind: tokenComment, span: lbconfig.Span{Start: begin, End: begin + len(text)}}
		}
	}
}

func (l *lexer) quoted(quote byte) token {
	begin := l.pos - 1
	l.start = l.pos
	for escaped := false; ; {
		ch, stop := l.fetch()
		span := lbconfig.Span{Start: begin, End: l.pos}
		switch {
		case stop == tokenTooLong:
			return token{kind: stop, span: span}
		case stop == tokenEOF:
			return token{kind: tokenWord, span: span, open: true, word: Word{span, decode(l.text[begin+1 : l.pos]), quote}}
		case escaped:
			escaped = false
		case ch == '\\':
			escaped = true
		case ch == quote:
			l.needSpace = true
			return token{kind: tokenWord, span: span, word: Word{span, decode(l.text[begin+1 : l.pos-1]), quote}}
		}
	}
}

func (l *lexer) bare(first byte) token {
	begin := l.pos - 1
	end := func(at int) token {
		span := lbconfig.Span{Start: begin, End: at}
		return token{kind: tokenWord, span: span, word: Word{span, decode(l.text[begin:at]), 0}}
	}
	escaped, variable := first == '\\', first == '$'
	for {
		ch, stop := l.fetch()
		switch {
		case stop == tokenTooLong:
			return token{kind: stop, span: lbconfig.Span{Start: begin, End: l.pos}}
		case stop == tokenEOF:
			return end(l.pos)
		case escaped:
			escaped = false
		case ch == '{' && variable: // ${name}
		case isSpace(ch):
			return end(l.pos - 1)
		case ch == ';' || ch == '{':
			l.pos--
			return end(l.pos)
		default:
			escaped, variable = ch == '\\', ch == '$'
		}
	}
}

// decode replaces the escapes that nginx knows; any other backslash stays, which is what regular expressions need.
func decode(raw string) string {
	if strings.IndexByte(raw, '\\') < 0 {
		return raw
	}
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		if raw[i] == '\\' && i+1 < len(raw) {
			if at := strings.IndexByte(`"'\trn`, raw[i+1]); at >= 0 {
				b.WriteByte("\"'\\\t\r\n"[at])
				i++
				continue
			}
		}
		b.WriteByte(raw[i])
	}
	return b.String()
}
