package nginx

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/lbmedic/lbmedic/lbconfig"
)

// Bounds of one file. Real configurations stay far below them; nginx itself has none.
const (
	MaxDepth      = 256     // blocks within blocks
	MaxDirectives = 1 << 20 // directives and entries
	maxProblems   = 100     // problems reported of one file
)

// The rules of the problems that this package finds by itself.
const (
	RuleSyntax  = "nginx-syntax"
	RuleInclude = "nginx-include"
	RuleBOM     = "nginx-byte-order-mark"
	RuleBounds  = "nginx-bounds"
)

// Parse reads one file. It never fails: what nginx would refuse is a problem of severity Error, and the tree holds
// what could be read around it. No Error means that nginx finds no syntax error either: unknown directives and wrong
// arguments are not its business.
func Parse(src *lbconfig.Source) (*File, []lbconfig.Problem) {
	p := parser{src: src, file: &File{Source: src}, lex: lexer{text: string(src.Bytes)}}
	p.open = []frame{{block: &p.file.Root}}
	if len(src.Bytes) >= 3 && string(src.Bytes[:3]) == "\xEF\xBB\xBF" {
		p.report(0, lbconfig.Warning, RuleBOM, "nginx takes the byte order mark as part of the first word; save the file without it")
	}
	for p.step() {
	}
	return p.file, p.problems
}

type parser struct {
	src      *lbconfig.Source
	file     *File
	lex      lexer
	open     []frame    // the blocks that are open, innermost last
	cur      *Directive // the directive whose words are being read
	quoteAt  int        // 1 + offset of a quote that is never closed
	count    int
	problems []lbconfig.Problem
}

type frame struct {
	block *Block
	owner *Directive // nil for the file
}

func (p *parser) report(at int, severity lbconfig.Severity, rule, format string, args ...any) {
	if len(p.problems) >= maxProblems {
		return
	}
	place := p.src.Place(at)
	p.problems = append(p.problems, lbconfig.Problem{File: place.File, Line: place.Line, Col: place.Col,
		Severity: severity, Rule: rule, Text: fmt.Sprintf(format, args...)})
}

func (p *parser) syntax(at int, format string, args ...any) {
	p.report(at, lbconfig.Error, RuleSyntax, format, args...)
}

func (p *parser) top() *frame { return &p.open[len(p.open)-1] }

// directive is the one being read; the first word begins it.
func (p *parser) directive(at int) *Directive {
	if p.cur == nil {
		p.cur = &Directive{Span: lbconfig.Span{Start: at, End: at}}
		b := p.top().block
		b.Directives = append(b.Directives, p.cur)
		p.count++
	}
	return p.cur
}

// step reads one token, and is false at the end.
func (p *parser) step() bool {
	tok := p.lex.next()
	switch tok.kind {
	case tokenWord:
		d := p.directive(tok.span.Start)
		d.Words = append(d.Words, tok.word)
		d.Span.End = tok.span.End
		if tok.open {
			p.quoteAt = tok.span.Start + 1
		}
		if p.count > MaxDirectives {
			return p.give(tok.span.Start, "more than %d directives in one file", MaxDirectives)
		}
	case tokenComment:
		if p.cur != nil {
			p.cur.Comments = append(p.cur.Comments, tok.span)
			p.cur.Span.End = tok.span.End
		} else {
			b := p.top().block
			b.Comments = append(b.Comments, tok.span)
		}
	case tokenEnd:
		p.end(tok.span)
	case tokenOpen:
		return p.openBlock(tok.span)
	case tokenClose:
		p.closeBlock(tok.span)
	case tokenGlued:
		p.syntax(tok.span.Start, "unexpected %q behind a closing quote; put a space between", p.lex.text[tok.span.Start:tok.span.End])
	case tokenTooLong:
		p.syntax(tok.span.Start, "longer than the %d bytes that nginx reads at once, probably a missing quote or ;", maxWord)
		p.strayFrom(tok.span.Start)
		return false
	case tokenEOF:
		p.finish()
		return false
	}
	return true
}

func (p *parser) end(span lbconfig.Span) {
	if p.cur == nil {
		p.syntax(span.Start, `unexpected ";"`)
		p.file.Stray = append(p.file.Stray, span)
		return
	}
	p.cur.End, p.cur.Span.End = span, span.End
	p.cur = nil
}

func (p *parser) openBlock(span lbconfig.Span) bool {
	if p.cur == nil {
		p.syntax(span.Start, `unexpected "{": a block needs a name`)
	}
	if len(p.open) > MaxDepth {
		return p.give(span.Start, "blocks nested deeper than %d", MaxDepth)
	}
	if owner := p.top().owner; owner != nil && freeForm(owner.Name()) {
		p.syntax(span.Start, `unexpected "{" in %s: quote the word that holds it`, clip(owner.Name()))
	}
	d := p.directive(span.Start)
	d.End, d.Span.End, d.Block = span, span.End, &Block{}
	p.cur = nil
	p.open = append(p.open, frame{d.Block, d})
	if isLua(d.Name()) {
		end := scanLua(p.lex.text, span.End)
		if end < 0 {
			end = len(p.lex.text)
		}
		d.Block.Code = lbconfig.Span{Start: span.End, End: end}
		p.lex.pos, p.lex.start = end, end
	}
	return true
}

// freeForm tells the blocks that hold entries instead of directives. nginx takes no block inside them (seen on 1.18 to 1.30).
func freeForm(name string) bool {
	switch name {
	case "types", "map", "geo", "split_clients", "charset_map":
		return true
	}
	return false
}

func (p *parser) closeBlock(span lbconfig.Span) {
	if p.cur != nil {
		p.syntax(span.Start, `unexpected "}": the directive that begins in line %d has no ";"`, p.src.Place(p.cur.Span.Start).Line)
		p.cur = nil
	}
	f := *p.top()
	if f.owner == nil {
		p.syntax(span.Start, `unexpected "}": no block is open here`)
		p.file.Stray = append(p.file.Stray, span)
		return
	}
	f.block.Close, f.owner.Span.End = span, span.End
	p.open = p.open[:len(p.open)-1]
}

// finish reports what the end of the file leaves open.
func (p *parser) finish() {
	at := len(p.src.Bytes)
	if p.quoteAt > 0 {
		place := p.src.Place(p.quoteAt - 1)
		p.syntax(at, "unexpected end of file: the quote opened at %d:%d is never closed", place.Line, place.Col)
	} else if p.cur != nil {
		place := p.src.Place(p.cur.Span.Start)
		p.syntax(at, `unexpected end of file: the directive that begins at %d:%d has no ";"`, place.Line, place.Col)
	}
	for i := len(p.open) - 1; i > 0; i-- {
		owner := p.open[i].owner
		place := p.src.Place(owner.End.Start)
		p.syntax(at, `unexpected end of file, expecting "}": the block opened at %d:%d (%s) is never closed`, place.Line, place.Col, clip(owner.Name()))
	}
	p.extendOpen(at)
}

// extendOpen lets the directives whose block the file leaves open reach up to at.
func (p *parser) extendOpen(at int) {
	for _, f := range p.open[1:] {
		f.owner.Span.End = at
	}
}

// give stops at one of our own bounds; the rest of the file is stray.
func (p *parser) give(at int, format string, args ...any) bool {
	p.report(at, lbconfig.Error, RuleBounds, "not read further: "+format, args...)
	p.strayFrom(max(at, p.behind()))
	return false
}

// behind is the offset where the tree ends so far.
func (p *parser) behind() int {
	if p.cur != nil {
		return p.cur.Span.End
	}
	return 0
}

func (p *parser) strayFrom(at int) {
	p.extendOpen(at)
	if at < len(p.src.Bytes) {
		p.file.Stray = append(p.file.Stray, lbconfig.Span{Start: at, End: len(p.src.Bytes)})
	}
}

// clip keeps a name from outside short enough for one line.
func clip(s string) string {
	if len(s) > 60 {
		return fmt.Sprintf("%q…", s[:60])
	}
	return fmt.Sprintf("%q", s)
}

// oneLine keeps a text from outside on one line, of a length for people, and harmless to a terminal.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	const longest = 1000
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "…"
	}
	return s
}
