// Package nginx reads nginx.conf with its whole include closure into a tree that keeps every byte, takes the upstreams
// and their servers from it, has the real program judge it, and drains an upstream's server by the smallest edit there is.
//
// Reading, meaning and editing are pure. What touches the machine stands apart: disk.go reads files, validate.go and
// instance.go run nginx, proc.go, running.go and master.go read /proc, change.go writes and reload.go signals.
package nginx

import (
	"cmp"
	"slices"

	"github.com/lbmedic/lbmedic/lbconfig"
)

// Word is one word of a directive.
type Word struct {
	Span  lbconfig.Span // as written, quotes included
	Value string        // as nginx decodes it: without quotes, with \" \' \\ \t \r \n replaced and every other backslash kept
	Quote byte          // '"' or '\'' where the word is quoted, else 0
}

// Directive is a simple directive, one that opens a block, or an entry of a free-form block such as map or types.
type Directive struct {
	Span     lbconfig.Span   // from its first word to its ';' or '}', both included
	Words    []Word          // empty only where a '{' stands without a name, which is reported
	End      lbconfig.Span   // the ';' or the '{'; empty where the file leaves it out, which is reported
	Comments []lbconfig.Span // comments between its words
	Block    *Block          // nil for a simple directive
}

// Name is the decoded first word.
func (d *Directive) Name() string { return d.Arg(0) }

// Arg is the decoded word i, and empty where there is none. Word 0 is the name.
func (d *Directive) Arg(i int) string {
	if i >= len(d.Words) {
		return ""
	}
	return d.Words[i].Value
}

// Block is what stands between a '{' and its '}', or a whole file.
type Block struct {
	Close      lbconfig.Span // the '}'; empty for a file, and where the '}' is missing, which is reported
	Directives []*Directive
	Comments   []lbconfig.Span // from '#' to the line end; those between the words of a directive belong to the directive
	Code       lbconfig.Span   // the text of a *_by_lua_block; such a block has no directives
}

// File is one configuration file as a tree.
type File struct {
	Source *lbconfig.Source
	Root   Block
	Stray  []lbconfig.Span // bytes that belong nowhere; each is reported as a problem
}

// Place says where the directive begins.
func (f *File) Place(d *Directive) lbconfig.Place { return f.Source.Place(d.Span.Start) }

// Pieces are the spans of everything the tree holds, in the order of the file. What lies between two of them is space.
func (f *File) Pieces() []lbconfig.Span {
	pieces := slices.Clone(f.Stray)
	for blocks := []*Block{&f.Root}; len(blocks) > 0; {
		b := blocks[len(blocks)-1]
		blocks = blocks[:len(blocks)-1]
		pieces = append(pieces, b.Comments...)
		pieces = append(pieces, b.Code, b.Close)
		for _, d := range b.Directives {
			pieces = append(pieces, d.Comments...)
			pieces = append(pieces, d.End)
			for _, w := range d.Words {
				pieces = append(pieces, w.Span)
			}
			if d.Block != nil {
				blocks = append(blocks, d.Block)
			}
		}
	}
	pieces = slices.DeleteFunc(pieces, func(s lbconfig.Span) bool { return s.Len() == 0 })
	slices.SortFunc(pieces, func(a, b lbconfig.Span) int { return cmp.Compare(a.Start, b.Start) })
	return pieces
}
