package nginx

import "github.com/lbmedic/lbmedic/lbconfig"

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
