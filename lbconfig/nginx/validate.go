package nginx

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/internal/child"
	"github.com/lbmedic/lbmedic/lbconfig"
)

// Verdict is what the real program holds of a configuration. The zero value is Unknown.
type Verdict int8

// The verdicts.
const (
	Unknown Verdict = iota // the program could not be run to its end: never taken for valid
	Valid                  // exit status 0
	Invalid                // another exit status
)

var verdictNames = [...]string{"unknown", "valid", "invalid"}

func (v Verdict) String() string { return verdictNames[v] }

// MarshalText makes JSON carry the name.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Report is the outcome of a validation.
type Report struct {
	Verdict  Verdict
	Problems []lbconfig.Problem // what the program said, warnings of a valid configuration included
	Why      string             // why the verdict is Unknown; else empty
}

// DefaultDeadline is how long `nginx -t` may take where Validator.Deadline is 0. It resolves every upstream's name.
const DefaultDeadline = 20 * time.Second

// Validator runs `nginx -t` with the arguments of the instance whose configuration it is. Without them nginx would read
// other files.
type Validator struct {
	Program  string // absolute path of the nginx that runs
	Prefix   string // -p; empty leaves it to the build
	Conf     string // -c; empty leaves it to the build
	Globals  string // -g
	ErrorLog string // -e, from nginx 1.19.5
	Deadline time.Duration
}

// Check has the real program judge the configuration as it stands on disk. The exit status alone decides.
//
// Valid does not mean that a reload will succeed: a port that another process holds passes -t with status 0, and only the
// reload finds out (seen on 1.18, 1.22, 1.26 and 1.30). Nor is -t without effect: it opens and creates log files and
// temporary folders, and it runs the modules that the configuration loads.
func (v Validator) Check(ctx context.Context) Report {
	deadline := v.Deadline
	if deadline <= 0 {
		deadline = DefaultDeadline
	}
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	args := []string{"-t", "-q"}
	for _, a := range [][2]string{{"-p", v.Prefix}, {"-c", v.Conf}, {"-e", v.ErrorLog}, {"-g", v.Globals}} {
		if a[1] != "" {
			args = append(args, a[0], a[1])
		}
	}
	res, err := child.Command{Path: v.Program, Args: args}.Run(ctx)
	report := Report{Problems: ParseMessages(string(res.Output), v.sources())}
	switch {
	case err != nil:
		report.Why = oneLine(err.Error())
	case res.Signal != "":
		report.Why = fmt.Sprintf("%s -t was ended by signal: %s", v.Program, res.Signal)
	case res.Code == 0:
		report.Verdict = Valid
	case res.Code == 126 || res.Code == 127 || len(report.Problems) == 0 && !strings.Contains(string(res.Output), "nginx"):
		// It ended, but nothing shows that it was nginx: a missing library, a wrapper, a wrong program.
		report.Why = oneLine(fmt.Sprintf("%s -t ended with status %d without a word of nginx: %s", v.Program, res.Code, res.Output))
	default:
		report.Verdict = Invalid
		if worst, ok := lbconfig.Worst(report.Problems); !ok || worst < lbconfig.Error {
			report.Problems = append(report.Problems, lbconfig.Problem{File: v.Conf, Severity: lbconfig.Error, Rule: RuleNginx,
				Text: oneLine(strings.TrimSpace(string(res.Output)))})
		}
	}
	return report
}

// sources reads the files that messages speak of, each once, for the columns.
func (v Validator) sources() func(string) *lbconfig.Source {
	read := map[string]*lbconfig.Source{}
	return func(path string) *lbconfig.Source {
		if src, ok := read[path]; ok || len(read) >= maxProblems {
			return src
		}
		var src *lbconfig.Source
		if data, _, err := (Disk{}).Read(path); err == nil { // without the file there is no column
			src = lbconfig.NewSource(path, data)
		}
		read[path] = src
		return src
	}
}
