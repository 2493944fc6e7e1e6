package haproxy

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/internal/child"
)

// Build is what `haproxy -vv` tells about a program.
type Build struct {
	Release  Release
	Text     string          // "2.6.12-1+deb12u3"
	Features map[string]bool // for feature() in .if; nil where it lists none
}

// Version asks a program for its version, for at most five seconds.
func Version(ctx context.Context, program string) (Build, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	res, err := child.Command{Path: program, Args: []string{"-vv"}}.Run(ctx)
	if err != nil {
		return Build{}, fmt.Errorf("ask for the version of haproxy: %w", err)
	}
	b, ok := ParseVersion(string(res.Output))
	if res.Code != 0 || !ok {
		return Build{}, fmt.Errorf("ask %s for its version: exit status %d, %s", program, res.Code, firstLine(string(res.Output)))
	}
	return b, nil
}

// ParseVersion reads the output of `haproxy -v` or `-vv`: "HA-Proxy version 2.2.9-2+deb11u6 2023/12/23 - …" or
// "HAProxy version 3.2.26-1 …", and the line "Feature list : -51DEGREES +ACCEPT4 …".
func ParseVersion(output string) (b Build, ok bool) {
	for line := range strings.Lines(output) {
		fields := strings.Fields(line)
		switch {
		case len(fields) > 2 && (fields[0] == "HAProxy" || fields[0] == "HA-Proxy") && fields[1] == "version" && !ok:
			b.Text = fields[2]
			b.Release, ok = ParseRelease(b.Text)
		case len(fields) > 3 && fields[0] == "Feature" && fields[1] == "list":
			b.Features = map[string]bool{}
			for _, f := range fields[3:] {
				b.Features[f[1:]] = f[0] == '+'
			}
		}
	}
	return b, ok
}
