package runtime

import (
	"fmt"
	"strings"
)

// Command is one verb with its arguments: a plain value that can be compared, stored and printed. Arguments that the
// verb does not take must be left empty.
type Command struct {
	Verb    Verb
	Backend string
	Server  string
	State   State
	Weight  Weight
	Health  Health
	Pointer uint64 // the session of ShutdownSession, as `show sess` names it
}

// SetState puts a server into an admin state.
func SetState(backend, server string, s State) Command {
	return Command{Verb: SetServerState, Backend: backend, Server: server, State: s}
}

// SetWeight sets a server's weight.
func SetWeight(backend, server string, w Weight) Command {
	return Command{Verb: SetServerWeight, Backend: backend, Server: server, Weight: w}
}

// SetHealth forces a server's health. With checks enabled the next check overrides it.
func SetHealth(backend, server string, h Health) Command {
	return Command{Verb: SetServerHealth, Backend: backend, Server: server, Health: h}
}

// Force is the batch that takes a checked server out by forced health: it reads DOWN and its admin state stays clean.
// EnableChecks undoes it. On a server without `check` HAProxy accepts it too, and no check will ever bring it back.
func Force(backend, server string) []Command {
	return []Command{DisableChecks(backend, server), SetHealth(backend, server, Down)}
}

// EnableChecks lets health checks decide again; a server that is down returns by its own rise.
func EnableChecks(backend, server string) Command {
	return Command{Verb: EnableHealth, Backend: backend, Server: server}
}

// DisableChecks stops health checks: the server keeps the health it has.
func DisableChecks(backend, server string) Command {
	return Command{Verb: DisableHealth, Backend: backend, Server: server}
}

// ShutSessions ends every session of a server at once.
func ShutSessions(backend, server string) Command {
	return Command{Verb: ShutdownServerSessions, Backend: backend, Server: server}
}

// ShutSession ends one session.
func ShutSession(pointer uint64) Command { return Command{Verb: ShutdownSession, Pointer: pointer} }

// String is the command as it is sent, or what keeps it from being sent.
func (c Command) String() string {
	line, err := c.Encode()
	if err != nil {
		return fmt.Sprintf("(%v)", err)
	}
	return line
}

// Encode gives the command's line without its line end. The result is always exactly one command: Decode(Encode(c)) is c.
func (c Command) Encode() (string, error) {
	if !c.Verb.known() {
		return "", newFault(ErrName, nil, "encode verb %d: there is no such verb", c.Verb)
	}
	rest := c
	rest.Verb = 0
	var words []string
	for _, word := range strings.Fields(verbs[c.Verb].grammar) {
		p, isPlace := places[word]
		if !isPlace {
			words = append(words, word)
			continue
		}
		text, err := p.encode(c)
		if err != nil {
			return "", fmt.Errorf("%s: %w", verbs[c.Verb].grammar, err)
		}
		if text != "" {
			words = append(words, text)
		}
		p.clear(&rest)
	}
	if rest != (Command{}) {
		return "", newFault(ErrName, nil, "%s: an argument was given that this verb does not take", verbs[c.Verb].grammar)
	}
	return strings.Join(words, " "), nil
}

// Decode reads a line as Encode writes it; ok is false for any other line.
func Decode(line string) (c Command, ok bool) {
	words := strings.Split(line, " ")
	for _, v := range Verbs() {
		if c, ok := v.decode(words); ok {
			if again, err := c.Encode(); err == nil && again == line {
				return c, true
			}
		}
	}
	return Command{}, false
}

func (v Verb) decode(words []string) (Command, bool) {
	c := Command{Verb: v}
	for _, word := range strings.Fields(verbs[v].grammar) {
		p, isPlace := places[word]
		switch {
		case isPlace && p.optional && len(words) == 0:
			continue
		case len(words) == 0:
			return c, false
		case isPlace:
			if !p.decode(words[0], &c) {
				return c, false
			}
		case words[0] != word:
			return c, false
		}
		words = words[1:]
	}
	return c, len(words) == 0
}
