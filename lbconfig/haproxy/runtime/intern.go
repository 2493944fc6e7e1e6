package runtime

// interner gives equal bytes the same string, so that reading ten thousand rows again makes no new strings. It forgets
// everything once it holds too much, which bounds it against texts that change with every reply.
type interner struct {
	known map[string]string
	bytes int
	last  [8]string // texts met lately, since a row mostly repeats those of the row before

	statuses map[string]Status
}

const maxInterned = 4 << 20 // bytes of text

func (n *interner) intern(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	slot := &n.last[(len(b)+int(b[0]))%len(n.last)]
	if *slot == string(b) {
		return *slot
	}
	if s, ok := n.known[string(b)]; ok {
		*slot = s
		return s
	}
	if n.known == nil || n.bytes > maxInterned {
		n.known, n.bytes = make(map[string]string), 0
	}
	s := string(b)
	n.known[s] = s
	n.bytes += len(s)
	*slot = s
	return s
}

// status parses a status once for each text that occurs.
func (n *interner) status(b []byte) Status {
	if s, ok := n.statuses[string(b)]; ok {
		return s
	}
	if n.statuses == nil || len(n.statuses) > 1000 {
		n.statuses = make(map[string]Status)
	}
	s := ParseStatus(n.intern(b))
	n.statuses[s.Raw] = s
	return s
}
