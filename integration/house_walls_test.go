package integration

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// house is the source tree, parsed.
type house struct {
	tree  fs.FS
	fset  *token.FileSet
	files []goFile
	texts []string // paths of every file that people read or that is run
}

type goFile struct {
	path, dir string
	test      bool
	*ast.File
}

// readHouse parses every Go file of the module. Data, hidden folders and modules of their own are passed over.
func readHouse(tree fs.FS) (house, error) {
	h := house{tree: tree, fset: token.NewFileSet()}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		if d.IsDir() {
			if _, err := fs.Stat(tree, path.Join(name, "go.mod")); err == nil && name != "." {
				return fs.SkipDir
			}
			if name != "." && (base[0] == '_' || base[0] == '.' && base != ".ci" || base == "dist") {
				return fs.SkipDir
			}
			return nil
		}
		if slices.Contains(textEndings, path.Ext(base)) || base == "Makefile" || path.Dir(name) == ".ci" {
			h.texts = append(h.texts, name)
		}
		if path.Ext(base) != ".go" || strings.Contains("/"+name, "/testdata/") {
			return nil
		}
		src, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(h.fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		h.files = append(h.files, goFile{name, path.Dir(name), strings.HasSuffix(name, "_test.go"), f})
		return nil
	})
	return h, err
}

var textEndings = []string{".go", ".md", ".sh", ".yaml", ".yml", ".cfg", ".conf", ".txt", ".txtar", ".service"}

// at says where something is and what is wrong with it.
func (h house) at(pos token.Pos, format string, args ...any) string {
	p := h.fset.Position(pos)
	return fmt.Sprintf("%s:%d: ", p.Filename, p.Line) + fmt.Sprintf(format, args...)
}

// within reports whether a slash-separated path is the tree or below it.
func within(name, tree string) bool { return name == tree || strings.HasPrefix(name, tree+"/") }

func withinAny(name string, trees []string) bool {
	return slices.ContainsFunc(trees, func(tree string) bool { return within(name, tree) })
}

// rule is what the table says about the longest tree that holds dir.
func rule(table map[string][]string, dir string) (allowed []string, known bool) {
	for {
		if allowed, known = table[dir]; known || dir == "." {
			return allowed, known
		}
		dir = path.Dir(dir)
	}
}

// imports calls visit for each import of a file, with its path.
func (f goFile) imports(visit func(spec *ast.ImportSpec, imported string)) {
	for _, spec := range f.Imports {
		if imported, err := strconv.Unquote(spec.Path.Value); err == nil {
			visit(spec, imported)
		}
	}
}

func arrowsHold(h house) (said []string) {
	for _, f := range h.files {
		allowed, known := rule(arrows, f.dir)
		if !known {
			said = append(said, fmt.Sprintf("%s: the tree %s is not in the table of arrows", f.path, f.dir))
			continue
		}
		f.imports(func(spec *ast.ImportSpec, imported string) {
			to, ours := strings.CutPrefix(imported, module+"/")
			switch {
			case !ours:
			case f.test && (to == f.dir || to == "internal/peer/peertest" || to == "internal/peer"):
			case to == "internal/peer/peertest":
				said = append(said, h.at(spec.Pos(), "only tests may import %s", to))
			case !withinAny(to, allowed):
				said = append(said, h.at(spec.Pos(), "%s must not know %s", f.dir, to))
			}
		})
	}
	return said
}

func clientsStayAtTheEdges(h house) (said []string) {
	for _, f := range h.files {
		allowed, _ := rule(clients, f.dir)
		if f.test {
			allowed = slices.Concat(allowed, testClients)
		}
		f.imports(func(spec *ast.ImportSpec, imported string) {
			host, _, _ := strings.Cut(imported, "/")
			if strings.Contains(host, ".") && !withinAny(imported, []string{module, "golang.org/x/sys"}) && !withinAny(imported, allowed) {
				said = append(said, h.at(spec.Pos(), "%s must not import %s", f.dir, imported))
			}
		})
	}
	return said
}

func pureImportNothingImpure(h house) (said []string) {
	for _, f := range h.pureFiles() {
		f.imports(func(spec *ast.ImportSpec, imported string) {
			to, ours := strings.CutPrefix(imported, module+"/")
			bad := withinAny(imported, impure) && !withinAny(imported, pureAnyway)
			if bad || ours && !slices.Contains(pure, to) {
				said = append(said, h.at(spec.Pos(), "%s is pure and must not import %s", f.dir, imported))
			}
		})
	}
	return said
}

func (h house) pureFiles() []goFile {
	return slices.DeleteFunc(slices.Clone(h.files), func(f goFile) bool { return f.test || !slices.Contains(pure, f.dir) })
}

func pureReadNoClock(h house) (said []string) {
	for _, f := range h.pureFiles() {
		f.imports(func(spec *ast.ImportSpec, imported string) {
			if imported == "time" && spec.Name != nil && spec.Name.Name == "." {
				said = append(said, h.at(spec.Pos(), "a dot import of time hides who reads the clock"))
			}
		})
		name := f.nameOf("time")
		ast.Inspect(f.File, func(n ast.Node) bool {
			if sel, ok := selectorOf(n, name); ok && slices.Contains(clockReaders, sel.Sel.Name) {
				said = append(said, h.at(sel.Pos(), "%s is pure and must be given the time: time.%s", f.dir, sel.Sel.Name))
			}
			return true
		})
	}
	return said
}

// nameOf is the name under which a file knows a package of the standard library; empty if it does not.
func (f goFile) nameOf(pkg string) (name string) {
	f.imports(func(spec *ast.ImportSpec, imported string) {
		if imported != pkg {
			return
		}
		name = path.Base(pkg)
		if spec.Name != nil {
			name = spec.Name.Name
		}
	})
	return name
}

// selectorOf takes a node as NAME.something.
func selectorOf(n ast.Node, name string) (*ast.SelectorExpr, bool) {
	sel, ok := n.(*ast.SelectorExpr)
	if !ok || name == "" {
		return nil, false
	}
	x, ok := sel.X.(*ast.Ident)
	return sel, ok && x.Name == name
}

func nothingHappensAtImport(h house) (said []string) {
	for _, f := range h.files {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				said = append(said, h.at(fn.Pos(), "an init function: make a literal table, or call it from main"))
			}
		}
	}
	return said
}

func testsDoNotSleep(h house) (said []string) {
	for _, f := range h.files {
		if !f.test {
			continue
		}
		clock, bubble := f.nameOf("time"), f.nameOf("testing/synctest")
		ast.Inspect(f.File, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if sel, ok := selectorOf(call.Fun, bubble); ok && sel.Sel.Name == "Test" {
					return false // time is not real in there
				}
			}
			if sel, ok := selectorOf(n, clock); ok && sel.Sel.Name == "Sleep" {
				said = append(said, h.at(sel.Pos(), "time.Sleep in a test: wait for what it waits for, or use a synctest bubble"))
			}
			return true
		})
	}
	return said
}

func packagesSayWhatTheyAreFor(h house) (said []string) {
	first, words := map[string]goFile{}, map[string]string{}
	for _, f := range h.files {
		if was, ok := first[f.dir]; !ok || was.test && !f.test {
			first[f.dir] = f
		}
		if f.Doc != nil {
			words[f.dir] += f.Doc.Text()
		}
	}
	for dir, f := range first {
		want := "Package " + strings.TrimSuffix(f.Name.Name, "_test") + " "
		switch {
		case words[dir] == "":
			said = append(said, dir+": no file has a package comment")
		case f.Name.Name != "main" && !strings.HasPrefix(words[dir], want):
			said = append(said, fmt.Sprintf("%s: the package comment does not begin with %q", dir, want))
		}
	}
	slices.Sort(said)
	return said
}

func everythingHasAName(h house) (said []string) {
	dirs := map[string]bool{}
	for _, f := range h.files {
		stem := strings.TrimSuffix(strings.TrimSuffix(path.Base(f.path), ".go"), "_test")
		if slices.Contains(junkDrawers, stem) {
			said = append(said, f.path+": name the file after what it holds")
		}
		name := strings.TrimSuffix(f.Name.Name, "_test")
		if !dirs[f.dir] && (slices.Contains(junkDrawers, path.Base(f.dir)) || slices.Contains(junkDrawers, name)) {
			said = append(said, f.dir+": name the package after what it is for")
		}
		dirs[f.dir] = true
	}
	return said
}

var (
	link     = regexp.MustCompile(`\]\(([^)\s#]+)(?:#[^)]*)?\)`)
	repoPath = regexp.MustCompile("(?:^|[\\s`(])(?:\\./)?((?:cmd|healthd|lbconfig|remediate|internal|integration|deploy|docs|\\.ci)/[A-Za-z0-9_./-]*)")
)

// namedPathsExist looks at what a reader is pointed to: relative links, and words that are paths below one of our folders.
func namedPathsExist(h house) (said []string) {
	for _, name := range h.texts {
		if path.Ext(name) != ".md" || name != "README.md" && !within(name, "docs") {
			continue
		}
		text, err := fs.ReadFile(h.tree, name)
		if err != nil {
			said = append(said, err.Error())
		}
		for i, line := range strings.Split(string(text), "\n") {
			var named []string
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				if !strings.Contains(m[1], ":") && !strings.HasPrefix(m[1], "/") {
					named = append(named, path.Join(path.Dir(name), m[1]))
				}
			}
			for _, m := range repoPath.FindAllStringSubmatch(line, -1) {
				named = append(named, strings.TrimRight(m[1], "./"))
			}
			for _, p := range named {
				if _, err := fs.Stat(h.tree, p); errors.Is(err, fs.ErrNotExist) {
					said = append(said, fmt.Sprintf("%s:%d: %s does not exist", name, i+1, p))
				}
			}
		}
	}
	return said
}

// machinePath is a path that exists on the machine of one person or one program alone.
var machinePath = regexp.MustCompile(`(?:^|[^\w.}\])*?-])/(?:work|root|home|Users)/\w`)

func noMachinePaths(h house) (said []string) {
	for _, name := range h.texts {
		text, err := fs.ReadFile(h.tree, name)
		if err != nil {
			said = append(said, err.Error())
		}
		for i, line := range bytes.Split(text, []byte("\n")) {
			if found := machinePath.Find(line); found != nil {
				said = append(said, fmt.Sprintf("%s:%d: %q is a path of one machine", name, i+1, found))
			}
		}
	}
	return said
}
