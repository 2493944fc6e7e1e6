package nginx

import (
	"crypto/sha256"
	"fmt"
	"path"
	"strings"

	"github.com/lbmedic/lbmedic/lbconfig"
)

// Bounds of an include closure. nginx has none: it includes itself until it runs out of file descriptors.
const (
	MaxIncludeDepth = 32       // files within files
	MaxFiles        = 4096     // inclusions, counting a file as often as it is included
	MaxClosure      = 64 << 20 // bytes, counting a file as often as it is included
)

// Tree is where files are read from. Paths are absolute, and written as the configuration writes them.
type Tree interface {
	// Read gives a regular file of at most lbconfig.MaxSource bytes, and an id that is the same for every path that
	// leads to that file.
	Read(path string) (data []byte, id string, err error)
	// List names the entries of a folder.
	List(dir string) ([]string, error)
}

// Closure is a configuration with everything it includes.
type Closure struct {
	Conf     string // the path of the main file
	Main     *File  // nil where it could not be read
	Files    []*File
	Problems []lbconfig.Problem

	pulled map[*Directive][]*File
	ids    map[*File]string
	times  map[string]int // by id
}

// Hash stands for the content of every file of a closure and for their order and names.
type Hash [sha256.Size]byte

func (h Hash) String() string { return fmt.Sprintf("%x", h[:6]) }

// Hash of the closure. Two closures with the same hash mean the same to nginx.
func (c *Closure) Hash() (h Hash) {
	sum := sha256.New()
	for _, f := range c.Files {
		fmt.Fprintf(sum, "%d %s %d\n", len(f.Source.Path), f.Source.Path, len(f.Source.Bytes))
		sum.Write(f.Source.Bytes)
	}
	copy(h[:], sum.Sum(nil))
	return h
}

// Pulled gives the files that an include directive brings in, in nginx's order.
func (c *Closure) Pulled(include *Directive) []*File { return c.pulled[include] }

// Times is how often the configuration includes the file, by whatever path or symlink; more than once means that an
// edit of it touches several places.
func (c *Closure) Times(f *File) int { return c.times[c.ids[f]] }

// File gives the file of that path, and nil where it is not part of the closure.
func (c *Closure) File(path string) *File {
	for _, f := range c.Files {
		if f.Source.Path == path {
			return f
		}
	}
	return nil
}

// Load reads the main file and everything it includes. prefix (-p) is where a relative conf (-c) begins. A relative
// include begins at the folder of the main file, wherever the include itself stands (seen on 1.18 to 1.30). It never
// fails: a file that is missing, that is no regular file, or that includes itself is a problem of severity Error.
func Load(prefix, conf string, tree Tree) *Closure {
	if !path.IsAbs(conf) {
		conf = strings.TrimSuffix(prefix, "/") + "/" + conf
	}
	l := loader{tree: tree, parsed: map[string]*File{},
		c: &Closure{Conf: conf, pulled: map[*Directive][]*File{}, ids: map[*File]string{}, times: map[string]int{}}}
	l.c.Main = l.file(conf, lbconfig.Place{File: conf})
	return l.c
}

type loader struct {
	tree       Tree
	c          *Closure
	parsed     map[string]*File
	chain      []string // the files that are being read, outermost first
	inclusions int
	bytes      int
	full       bool
}

func (l *loader) problem(at lbconfig.Place, rule, format string, args ...any) {
	l.c.Problems = append(l.c.Problems, lbconfig.Problem{File: at.File, Line: at.Line, Col: at.Col,
		Severity: lbconfig.Error, Rule: rule, Text: oneLine(fmt.Sprintf(format, args...))})
}

// file reads one file, included at that place, with all that it includes. It is nil where the file is not to be had.
func (l *loader) file(name string, at lbconfig.Place) *File {
	for i, open := range l.chain {
		if open == name {
			l.problem(at, RuleInclude, "the file includes itself: %s", strings.Join(append(l.chain[i:len(l.chain):len(l.chain)], name), " → "))
			return nil
		}
	}
	f := l.parsed[name]
	if f == nil {
		data, id, err := l.tree.Read(name)
		if err != nil {
			l.problem(at, RuleInclude, "read %s: %s", name, err)
			return nil
		}
		var problems []lbconfig.Problem
		f, problems = Parse(lbconfig.NewSource(name, data))
		l.parsed[name], l.c.ids[f] = f, id
		l.c.Files = append(l.c.Files, f)
		l.c.Problems = append(l.c.Problems, problems...)
	}
	l.inclusions++
	l.bytes += len(f.Source.Bytes)
	if l.inclusions > MaxFiles || l.bytes > MaxClosure || len(l.chain) > MaxIncludeDepth {
		if !l.full {
			l.problem(at, RuleBounds, "not read further: more than %d files, %d files within files, or %d bytes", MaxFiles, MaxIncludeDepth, MaxClosure)
		}
		l.full = true
		return f
	}
	l.c.times[l.c.ids[f]]++
	l.chain = append(l.chain, name)
	l.includes(f, &f.Root, "")
	l.chain = l.chain[:len(l.chain)-1]
	return f
}

// includes follows the include directives of a block; owner is the directive that the block belongs to.
func (l *loader) includes(f *File, b *Block, owner string) {
	for _, d := range b.Directives {
		if l.full {
			return
		}
		if d.Block != nil {
			l.includes(f, d.Block, d.Name())
		} else if d.Name() == "include" && owner != "split_clients" { // there it is an entry like any other
			l.include(f, d, owner == "geo")
		}
	}
}

func (l *loader) include(f *File, d *Directive, literal bool) {
	if len(d.Words) != 2 {
		l.problem(f.Place(d), RuleInclude, "include takes one file or pattern, not %d", len(d.Words)-1)
		return
	}
	name, at := d.Arg(1), f.Source.Place(d.Words[1].Span.Start)
	if !path.IsAbs(name) {
		name = l.c.Conf[:strings.LastIndexByte(l.c.Conf, '/')+1] + name
	}
	names := []string{name}
	if isGlob(name) && !literal { // geo reads its includes without glob
		names = glob(l.tree, name)
	}
	again := l.c.pulled[d] != nil // the file that holds d is included more than once
	var pulled []*File
	for _, name := range names {
		if file := l.file(name, at); file != nil {
			pulled = append(pulled, file)
		}
	}
	if !again {
		l.c.pulled[d] = pulled
	}
}
