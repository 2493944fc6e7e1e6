package runtime

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestEachVerbIsWrittenAsHAProxyReadsIt(t *testing.T) {
	lines := map[string]Command{
		"show info":                                  {Verb: ShowInfo},
		"show stat":                                  {Verb: ShowStat},
		"show servers state":                         {Verb: ShowServersState},
		"show servers state web":                     {Verb: ShowServersState, Backend: "web"},
		"show sess":                                  {Verb: ShowSessions},
		"show cli level":                             {Verb: ShowLevel},
		"set server":                                 {Verb: SetServer},
		"set server web/app1 state ready":            SetState("web", "app1", Ready),
		"set server web/app1 state drain":            SetState("web", "app1", Drain),
		"set server web/app1 state maint":            SetState("web", "app1", Maint),
		"set server web/app1 weight 0":               SetWeight("web", "app1", Absolute(0)),
		"set server web/app1 weight 256":             SetWeight("web", "app1", Absolute(256)),
		"set server web/app1 weight 100%":            SetWeight("web", "app1", Percent(100)),
		"set server web/app1 health up":              SetHealth("web", "app1", Up),
		"set server web/app1 health stopping":        SetHealth("web", "app1", Stopping),
		"set server web/app1 health down":            SetHealth("web", "app1", Down),
		"enable health web/app1":                     EnableChecks("web", "app1"),
		"disable health web/app1":                    DisableChecks("web", "app1"),
		"shutdown sessions server web/app1":          ShutSessions("web", "app1"),
		"shutdown session 0x7f98eea96400":            ShutSession(0x7f98eea96400),
		"set server a.b_c-d:e/A.B_C-D:9 state maint": SetState("a.b_c-d:e", "A.B_C-D:9", Maint),
	}
	used := map[Verb]bool{}
	for want, command := range lines {
		used[command.Verb] = true
		got, err := command.Encode()
		if err != nil || got != want {
			t.Errorf("%q (%v), want %q", got, err, want)
		}
		back, ok := Decode(want)
		if !ok || back != command {
			t.Errorf("%q is read back as %+v", want, back)
		}
	}
	for _, v := range Verbs() {
		if !used[v] {
			t.Errorf("no test of %q", v)
		}
	}
}

func TestCommandsThatCannotBeSent(t *testing.T) {
	commands := map[string]struct {
		command Command
		says    string
	}{
		"no verb":             {Command{}, "no such verb"},
		"verb past the table": {Command{Verb: 200}, "no such verb"},
		"no server":           {SetState("web", "", Drain), "server: the name is empty"},
		"no backend":          {SetState("", "app1", Drain), "backend: the name is empty"},
		"no state":            {SetState("web", "app1", 0), "state 0 does not exist"},
		"unknown state":       {SetState("web", "app1", 9), "state 9 does not exist"},
		"unknown health":      {SetHealth("web", "app1", 4), "health 4 does not exist"},
		"no weight":           {SetWeight("web", "app1", Weight{}), "the weight -1 lies outside 0 to 256"},
		"negative weight":     {SetWeight("web", "app1", Absolute(-1)), "the weight -1 lies outside"},
		"weight too large":    {SetWeight("web", "app1", Absolute(257)), "the weight 257 lies outside 0 to 256"},
		"percent too large":   {SetWeight("web", "app1", Percent(101)), "the weight 101% lies outside 0 to 100%"},
		"no session":          {ShutSession(0), "no session is named"},
		"foreign argument":    {Command{Verb: ShowInfo, Backend: "web"}, "an argument was given that this verb does not take"},
		"weight for a state":  {Command{Verb: SetServerState, Backend: "web", Server: "app1", State: Drain, Weight: Absolute(1)}, "an argument was given"},
		"newline":             {SetState("web", "app1\nshutdown", Drain), `has byte 0x0a at offset 4`},
		"semicolon":           {SetState("web;", "app1", Drain), `has byte ';' at offset 3`},
		"NUL":                 {DisableChecks("web", "a\x00b"), `has byte 0x00 at offset 1`},
		"blank":               {DisableChecks("web", "a b"), `has byte 0x20 at offset 1`},
		"backslash":           {DisableChecks("web", `a\`), `has byte '\\' at offset 1`},
		"id":                  {DisableChecks("#1", "a"), `has byte '#' at offset 0`},
		"payload":             {DisableChecks("web", "<<"), `has byte '<' at offset 0`},
		"other process":       {Command{Verb: ShowServersState, Backend: "@1"}, `has byte '@' at offset 0`},
		"slash":               {EnableChecks("web/app1", "x"), `has byte '/' at offset 3`},
		"not ASCII":           {EnableChecks("wéb", "x"), `has byte 0xc3 at offset 1`},
		"129 bytes":           {EnableChecks(strings.Repeat("a", 129), "x"), "129 bytes long; at most 128"},
	}
	for name, c := range commands {
		t.Run(name, func(t *testing.T) {
			line, err := c.command.Encode()
			if !errors.Is(err, ErrName) || !strings.Contains(err.Error(), c.says) || strings.ContainsAny(err.Error(), "\n\x00") {
				t.Errorf("%q, %v", line, err)
			}
		})
	}
}

// hostileName draws names that are made to do harm, mixed with harmless ones.
func hostileName() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.String(),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 200), func(b []byte) string { return string(b) }),
		rapid.StringMatching(`[A-Za-z0-9_.:-]{1,128}`),
		rapid.Custom(func(t *rapid.T) string {
			parts := rapid.SliceOfN(rapid.SampledFrom(hostileParts), 1, 5).Draw(t, "parts")
			return strings.Join(parts, "")
		}),
	)
}

var hostileParts = []string{
	"app1", "web", "web/app1", "\n", "\r\n", ";", "\x00", " ", "\t", "\\", "\\;", "#1", "#", "<<", "<<\n", "@1", "@!1", "@@1 ",
	"set server web/app1 state maint", "disable server web/app1", "shutdown sessions server web/app1", "set server web/app1 weight 0", "prompt",
	"quit", "\"", "'", "%", "$(reboot)", "`", "|", "é", "\xff", "\x1b[2J", "\u2028", "/", "..", strings.Repeat("a", 200), strings.Repeat("x", 20000),
}

func command() *rapid.Generator[Command] {
	return rapid.Custom(func(t *rapid.T) Command {
		return Command{
			Verb:    Verb(rapid.IntRange(0, len(verbs)).Draw(t, "verb")),
			Backend: rapid.OneOf(rapid.Just("web"), rapid.Just(""), hostileName()).Draw(t, "backend"),
			Server:  rapid.OneOf(rapid.Just("app1"), rapid.Just(""), hostileName()).Draw(t, "server"),
			State:   State(rapid.IntRange(0, 4).Draw(t, "state")),
			Health:  Health(rapid.IntRange(0, 4).Draw(t, "health")),
			Weight:  rapid.SampledFrom([]Weight{{}, Absolute(0), Absolute(7), Absolute(256), Absolute(999), Percent(0), Percent(50), Percent(101)}).Draw(t, "weight"),
			Pointer: rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64()).Draw(t, "pointer"),
		}
	})
}

func TestACommandIsRefusedOrIsExactlyOneCommand(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := command().Draw(t, "command")
		// Half of the time only with the arguments that the verb takes, so that it has a chance to be sent.
		if rapid.Bool().Draw(t, "fitting") && c.Verb.known() {
			c = fitting(c)
		}
		line, err := c.Encode()
		if err != nil {
			if !errors.Is(err, ErrName) || line != "" {
				t.Fatalf("%q %v", line, err)
			}
			return
		}
		if strings.ContainsAny(line, "\n\r;\\\x00#<@\"'") {
			t.Fatalf("sent: %q", line)
		}
		back, ok := Decode(line)
		if !ok || back != c {
			t.Fatalf("%+v is sent as %q and read back as %+v", c, line, back)
		}
	})
}

func fitting(c Command) Command {
	rest := c
	for _, word := range strings.Fields(c.Verb.String()) {
		if p, ok := places[word]; ok {
			p.clear(&rest)
		}
	}
	if rest.Backend != "" {
		c.Backend = ""
	}
	if rest.Server != "" {
		c.Server = ""
	}
	if rest.State != 0 {
		c.State = 0
	}
	if rest.Health != 0 {
		c.Health = 0
	}
	if rest.Weight != (Weight{}) {
		c.Weight = Weight{}
	}
	if rest.Pointer != 0 {
		c.Pointer = 0
	}
	return c
}

func FuzzDecode(f *testing.F) {
	for _, v := range Verbs() {
		f.Add(v.String())
	}
	f.Add("set server web/app1 state drain")
	f.Add("set server web/app1 weight 50%")
	f.Add("set server web/app1 weight 007")
	f.Add("shutdown session 0x00ff")
	f.Add("show servers state web;quit")
	f.Fuzz(func(t *testing.T, line string) {
		c, ok := Decode(line)
		if !ok {
			return
		}
		if again, err := c.Encode(); err != nil || again != line {
			t.Errorf("%q is read as %+v and written as %q (%v)", line, c, again, err)
		}
		if strings.ContainsAny(line, "\n;\\\x00#<@") {
			t.Errorf("%q was taken", line)
		}
	})
}

func FuzzEncodeName(f *testing.F) {
	for _, part := range hostileParts {
		f.Add("web", part)
		f.Add(part, "app1")
	}
	f.Fuzz(func(t *testing.T, backend, server string) {
		for _, v := range Verbs() {
			c := fitting(Command{Verb: v, Backend: backend, Server: server, State: Drain, Health: Down, Weight: Absolute(1), Pointer: 1})
			line, err := c.Encode()
			if err != nil {
				continue
			}
			if back, ok := Decode(line); !ok || back != c || strings.Count(line, " ") > 4 {
				t.Errorf("%+v is sent as %q and read back as %+v", c, line, back)
			}
		}
	})
}

func TestWeightOfAnInitialWeight(t *testing.T) {
	weights := map[string]struct {
		weight  Weight
		initial int
		want    int
	}{
		"half of one is none": {Percent(50), 1, 0},
		"half of ten":         {Percent(50), 10, 5},
		"rounded down":        {Percent(99), 10, 9},
		"all":                 {Percent(100), 256, 256},
		"absolute":            {Absolute(7), 100, 7},
		"none":                {Absolute(0), 100, 0},
	}
	for name, w := range weights {
		if got := w.weight.Of(w.initial); got != w.want {
			t.Errorf("%s: %d, want %d", name, got, w.want)
		}
	}
}
