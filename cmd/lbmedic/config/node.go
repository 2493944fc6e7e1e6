package config

// place is where something was written, from 1; the zero place belongs to what was never written, such as a default.
type place struct{ line, col int }

func (p place) before(q place) bool { return p.line < q.line || p.line == q.line && p.col < q.col }

// node is one value of the file, checked against the table of keys.
type node struct {
	at       place
	spec     *spec
	value    any              // a scalar, typed by its kind; nil where what was written is wrong
	kind     string           // of a section with kinds: the one it has; empty where it has none or several
	expanded string           // the scalar with its references replaced: what the program works with
	text     string           // the scalar as it is shown: as written, or the reference it was written as
	files    []string         // that its references stand for
	secret   bool             // value came through a ${…} and is printed nowhere
	keys     []string         // of a section or a named set, in the order of the file
	keyAt    map[string]place // where each key was written
	fields   map[string]*node
	items    []*node // of a list
}

// child is what lies at the end of a path of keys, nil where it is not there.
func (n *node) child(path ...string) *node {
	for _, key := range path {
		if n == nil {
			return nil
		}
		n = n.fields[key]
	}
	return n
}

// read is the value at the end of a path of keys, the zero value where it is missing or wrong.
func read[T any](n *node, path ...string) T {
	var zero T
	if n = n.child(path...); n == nil {
		return zero
	}
	v, ok := n.value.(T)
	if !ok {
		return zero
	}
	return v
}

// readAll is the list at the end of a path of keys.
func readAll[T any](n *node, path ...string) []T {
	n = n.child(path...)
	if n == nil {
		return nil
	}
	var all []T
	for _, item := range n.items {
		if v, ok := item.value.(T); ok {
			all = append(all, v)
		}
	}
	return all
}

// put adds or replaces a key.
func (n *node) put(key string, at place, value *node) {
	if n.fields == nil {
		n.fields, n.keyAt = map[string]*node{}, map[string]place{}
	}
	if _, there := n.fields[key]; !there {
		n.keys = append(n.keys, key)
	}
	n.fields[key], n.keyAt[key] = value, at
}

// texts are the words of a scalar or a list, with references replaced.
func (n *node) texts() []string {
	if n == nil {
		return nil
	}
	if n.spec.list == nil {
		return []string{n.expanded}
	}
	var all []string
	for _, item := range n.items {
		all = append(all, item.expanded)
	}
	return all
}

// broken says whether a value here or below was written wrong.
func (n *node) broken() bool {
	if n.spec.scalar != nil {
		return n.value == nil
	}
	for _, item := range n.items {
		if item.broken() {
			return true
		}
	}
	for _, f := range n.fields {
		if f.broken() {
			return true
		}
	}
	return false
}

// hidden says whether a value here or below came through a reference, and may be told to nobody.
func (n *node) hidden() bool {
	for _, item := range n.items {
		if item.secret {
			return true
		}
	}
	return n.secret
}

// referred are the files that references here or below stand for.
func (n *node) referred() []string {
	files := n.files
	for _, item := range n.items {
		files = append(files, item.referred()...)
	}
	for _, key := range n.keys {
		files = append(files, n.fields[key].referred()...)
	}
	return files
}
