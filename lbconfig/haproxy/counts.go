package haproxy

// maxCounts bounds what a defaults section hands down: behind that many counts comes one that is always crossed.
const maxCounts = 32

// countsServers keeps what a line does with the number of usable servers, and says where that cannot be compared.
func (r *reader) countsServers(words []Word) {
	args := texts(words)
	found, loose := thresholds(r.name, args, r.place(words[0]))
	for _, t := range found {
		switch {
		case t.Backend == everyBackend:
			if r.unnamed == nil {
				r.unnamed = &t
			}
		case t.Backend != "":
			r.model.Thresholds = append(r.model.Thresholds, t)
		case r.proxy.Kind != "defaults":
			t.Backend = r.name
			r.model.Thresholds = append(r.model.Thresholds, t)
		default:
			r.proxy.hand(t)
		}
	}
	if loose >= 0 {
		r.unsure(words[loose], "%s uses nbsrv outside a comparison", args[0])
	}
}

// hand keeps a count for those who use the defaults section. They share the slice, so it is never appended to in place.
func (s *Settings) hand(t Threshold) {
	n := len(s.counts)
	if n > maxCounts {
		return
	}
	if n == maxCounts {
		t.Operator = ""
	}
	s.counts = append(s.counts[:n:n], t)
}

// inheritCounts gives a section what its defaults count: in a backend, a bare nbsrv counts the servers of that backend.
func (r *reader) inheritCounts(p *Proxy) {
	if !p.HasServers() {
		return
	}
	for _, t := range p.counts {
		t.Proxy, t.Backend = p.Name, p.Name
		r.model.Thresholds = append(r.model.Thresholds, t)
	}
}

// countsEverywhere makes a count whose backend cannot be read one of each backend. One of them is enough: it is always
// crossed.
func (r *reader) countsEverywhere() {
	if r.unnamed == nil {
		return
	}
	for _, p := range r.model.Backends() {
		if p.Name == "" { // HAProxy refuses it
			continue
		}
		t := *r.unnamed
		t.Backend, t.Operator = p.Name, ""
		r.model.Thresholds = append(r.model.Thresholds, t)
	}
}
