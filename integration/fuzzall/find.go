package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// target is one fuzz function.
type target struct {
	dir  string // of its package, below the module's root
	name string
}

func (t target) String() string { return "./" + t.dir + "." + t.name }

// find returns the targets that match, by folder and name. Data, hidden folders and modules of their own are passed over.
func find(tree fs.FS, match *regexp.Regexp) ([]target, error) {
	var targets []target
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			base := path.Base(name)
			_, err := fs.Stat(tree, path.Join(name, "go.mod"))
			if name != "." && (err == nil || base == "testdata" || base[0] == '.' || base[0] == '_') {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, "_test.go") {
			return nil
		}
		src, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && isFuzz(fn) {
				if t := (target{path.Dir(name), fn.Name.Name}); match.MatchString(t.String()) {
					targets = append(targets, t)
				}
			}
		}
		return nil
	})
	slices.SortFunc(targets, func(a, b target) int { return strings.Compare(a.String(), b.String()) })
	return targets, err
}

// isFuzz follows go test: a function FuzzXxx, where Xxx does not begin with a small letter, of one *testing.F.
func isFuzz(fn *ast.FuncDecl) bool {
	rest, ok := strings.CutPrefix(fn.Name.Name, "Fuzz")
	if !ok || fn.Recv != nil || rest != "" && rest[0] >= 'a' && rest[0] <= 'z' || fn.Type.Params.NumFields() != 1 {
		return false
	}
	star, ok := fn.Type.Params.List[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	sel, ok := star.X.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "F"
}
