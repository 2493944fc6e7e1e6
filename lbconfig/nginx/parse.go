package nginx

import (
	"fmt"

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
