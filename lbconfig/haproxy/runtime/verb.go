package runtime

// Verb is one of the commands that may be sent.
type Verb uint8

// The verbs.
const (
	ShowInfo Verb = iota + 1
	ShowStat
	ShowServersState
	ShowSessions
	ShowLevel
	SetServer // without arguments: changes nothing, but needs the admin level to be told so
	SetServerState
	SetServerWeight
	SetServerHealth
	EnableHealth
	DisableHealth
	ShutdownServerSessions
	ShutdownSession
)

// verbs is the closed table: nothing else reaches the socket. Words in braces are typed places, see place.go; [backend]
// may be left out. A new verb is one line here and gets its hostile-name tests by being here.
var verbs = [...]struct {
	grammar string
	writes  bool
}{
	ShowInfo:               {"show info", false},
	ShowStat:               {"show stat", false},
	ShowServersState:       {"show servers state [backend]", false},
	ShowSessions:           {"show sess", false},
	ShowLevel:              {"show cli level", false},
	SetServer:              {"set server", false},
	SetServerState:         {"set server {server} state {state}", true},
	SetServerWeight:        {"set server {server} weight {weight}", true},
	SetServerHealth:        {"set server {server} health {health}", true},
	EnableHealth:           {"enable health {server}", true},
	DisableHealth:          {"disable health {server}", true},
	ShutdownServerSessions: {"shutdown sessions server {server}", true},
	ShutdownSession:        {"shutdown session {pointer}", true},
}

// Verbs are all verbs, in the table's order.
func Verbs() []Verb {
	all := make([]Verb, 0, len(verbs))
	for v := ShowInfo; int(v) < len(verbs); v++ {
		all = append(all, v)
	}
	return all
}

func (v Verb) known() bool { return v >= ShowInfo && int(v) < len(verbs) }

// Writes reports whether the verb changes something.
func (v Verb) Writes() bool { return v.known() && verbs[v].writes }

// String is the verb's grammar.
func (v Verb) String() string {
	if !v.known() {
		return "no verb"
	}
	return verbs[v].grammar
}
