package haproxy

import (
	"slices"
)

// global reads one line of a global section.
func (r *reader) global(words []Word, no bool) {
	g := &r.model.Global
	if words[0].Text == "master-worker" {
		g.MasterWorker = !no
		return
	}
	if words[0].Text == "resetenv" {
		r.resetEnv(texts(words[1:]))
		return
	}
	if len(words) < 2 || no {
		return
	}
	v := words[1].Text
	switch words[0].Text {
	case "hard-stop-after":
		r.duration(&g.HardStopAfter, words[1])
	case "server-state-file":
		g.ServerStateFile = v
	case "server-state-base":
		g.ServerStateBase = v
	case "nbthread":
		g.NbThread, _ = leadingNumber(v)
	case "maxconn":
		g.MaxConn, _ = leadingNumber(v)
	case "chroot":
		g.Chroot = v
	case "user":
		g.User = v
	case "group":
		g.Group = v
	case "node":
		g.Node = v
	case "localpeer":
		g.LocalPeer = v
	case "pidfile":
		g.PIDFile = v
	case "lua-load", "lua-load-per-thread":
		r.runs(words[0].Text, words[1])
	case "stats":
		r.stats(words[1:])
	case "setenv", "presetenv", "unsetenv":
		r.setEnv(texts(words))
	}
}

func (r *reader) runs(directive string, w Word) {
	r.model.Global.Runs = append(r.model.Global.Runs, Run{Directive: directive, Path: w.Text, Place: r.place(w)})
}

func (r *reader) setEnv(args []string) {
	if args[0] == "unsetenv" {
		for _, name := range args[1:] {
			r.changed[name] = nil
		}
		return
	}
	if len(args) < 3 {
		return
	}
	if args[0] == "presetenv" {
		if _, ok := r.env(args[1]); ok {
			return
		}
	}
	r.changed[args[1]] = &args[2]
}

// resetEnv unsets everything but the names given.
func (r *reader) resetEnv(keep []string) {
	kept := map[string]*string{}
	for _, name := range keep {
		if v, ok := r.env(name); ok {
			kept[name] = &v
		}
	}
	r.changed, r.host.Env = kept, func(string) (string, bool) { return "", false }
}

// stats reads `stats socket`, `stats timeout` and `stats maxconn`.
func (r *reader) stats(words []Word) {
	if len(words) < 2 {
		return
	}
	g := &r.model.Global
	switch words[0].Text {
	case "timeout":
		r.duration(&g.StatsTimeout, words[1])
	case "maxconn":
		g.StatsMaxConn, _ = leadingNumber(words[1].Text)
	case "socket":
		s := StatsSocket{Address: words[1].Text, Level: "operator", Place: r.place(words[1])}
		if a := parseAddress(s.Address); a.path {
			s.Path = a.host
		}
		options := texts(words[2:])
		for i, o := range options {
			if i == 0 {
				continue
			}
			switch options[i-1] {
			case "mode":
				s.Mode = o
			case "level":
				s.Level = o
			case "user":
				s.User = o
			case "group":
				s.Group = o
			}
		}
		s.ExposeFD = slices.Contains(options, "expose-fd")
		g.StatsSockets = append(g.StatsSockets, s)
	}
}
