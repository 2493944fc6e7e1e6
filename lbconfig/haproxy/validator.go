package haproxy

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/internal/child"
	"github.com/lbmedic/lbmedic/lbconfig"
)

// DefaultCheckTimeout is how long `haproxy -c` may take where Validator.Timeout is 0. It resolves names and runs Lua files.
const DefaultCheckTimeout = 30 * time.Second

// Validator asks the real program whether a configuration is valid, with the arguments of the instance that will read it.
type Validator struct {
	Program string        // absolute path of haproxy
	Args    []string      // CommandLine.Check of the running process, or simply "-f", FILE
	Env     []string      // its environment, for "${NAME}"; Process.Environ gives it
	Dir     string        // its working folder; empty means "/"
	Timeout time.Duration // 0 means DefaultCheckTimeout
}

// Validator of an instance: its program with its own arguments, environment and working folder, as a reload would use
// them. proc is "/proc". One whose root is not this process's root cannot be asked from here.
func (i Instance) Validator(proc string) (Validator, error) {
	p := i.Main()
	if p == nil {
		return Validator{}, errors.New("check with the instance's own program: it has no process")
	}
	if p.Exe == "" || p.Root != "/" {
		return Validator{}, fmt.Errorf("check with the program of haproxy %d: it cannot be run from here (program %q below root %q); run lbmedic as root and where haproxy runs",
			p.PID, p.Exe, p.Root)
	}
	environ, err := p.Environ(proc)
	if err != nil {
		return Validator{}, err
	}
	return Validator{Program: p.Exe, Args: p.Command.Check, Env: CheckEnvironment(environ, i.Master != nil), Dir: p.Dir}, nil
}

// Verdict is what is known about a configuration. The zero value is Unknown.
type Verdict int8

// The verdicts.
const (
	Unknown Verdict = iota // the program could not be run to its end, or the files changed meanwhile
	Invalid
	Valid
)

func (v Verdict) String() string { return [...]string{"unknown", "invalid", "valid"}[v] }

// MarshalText makes JSON carry the name.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Report is the outcome of one check.
type Report struct {
	Verdict  Verdict
	Problems []lbconfig.Problem // what the program told, in the order of the files; a valid configuration may have warnings
	Exit     int                // its exit status: 0 valid, 1 refused, 2 no listener; -1 where it was not run
	Paths    []string           // the files that were judged
	Hash     [32]byte           // Files.Hash of them: the verdict is about exactly these bytes
	Output   string             // as printed, at most child.DefaultOutput bytes
}

// Check runs `haproxy -c`. The verdict follows from the exit status alone. The error says why a verdict is Unknown; with
// any other verdict it is nil. Files that are too large, or no regular files, are refused without running the program, which
// would read them to the end. Note that the program executes what lua-load names (Global.Runs).
func (v Validator) Check(ctx context.Context) (Report, error) {
	c := ParseCommandLine(append([]string{v.Program}, v.Args...))
	base := c.Base(v.Dir)
	files, problems := Load(base, c.Files...)
	report := Report{Exit: -1, Paths: files.Paths(), Hash: files.Hash()}
	if unsafe := slices.DeleteFunc(problems, func(p lbconfig.Problem) bool { return p.Rule != "size" && p.Rule != "not-a-file" }); len(unsafe) > 0 {
		report.Verdict, report.Problems = Invalid, unsafe
		return report, nil
	}
	timeout := v.Timeout
	if timeout <= 0 {
		timeout = DefaultCheckTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	res, err := child.Command{Path: v.Program, Args: append([]string{"-c"}, v.Args...), Env: v.Env, Dir: v.Dir}.Run(ctx)
	report.Output = string(res.Output)
	if err != nil {
		return report, fmt.Errorf("check the configuration %s: %w", strings.Join(c.Files, " "), err)
	}
	if res.Signal != "" {
		return report, fmt.Errorf("check the configuration %s: haproxy was ended by %s", strings.Join(c.Files, " "), res.Signal)
	}
	if res.Code == notRun {
		return report, fmt.Errorf("check the configuration %s: %s cannot be run: %s", strings.Join(c.Files, " "), v.Program, firstLine(report.Output))
	}
	if again, _ := Load(base, c.Files...); again.Hash() != report.Hash {
		return report, errors.New("check the configuration: a file changed while it was checked; check it again")
	}
	report.judge(files, base, res.Code)
	return report, nil
}

// notRun is the exit status of a wrapper (env, sh, chroot) that found no program behind it.
const notRun = 127

func (r *Report) judge(files Files, base string, code int) {
	r.Exit = code
	r.Problems = ParseMessages(r.Output)
	for i := range r.Problems { // the program names a file as its arguments do
		if file := r.Problems[i].File; file != "" && !filepath.IsAbs(file) {
			r.Problems[i].File = filepath.Join(base, file)
		}
	}
	files.Locate(r.Problems)
	r.Verdict = Valid
	if code == 0 {
		lbconfig.SortProblems(r.Problems)
		return
	}
	r.Verdict = Invalid
	if worst, ok := lbconfig.Worst(r.Problems); !ok || worst < lbconfig.Error {
		r.Problems = append(r.Problems, lbconfig.Problem{Severity: lbconfig.Error, Rule: Rule,
			Text: fmt.Sprintf("exit status %d: %s", code, complaint(r.Output))})
	}
	for i := range r.Problems {
		if p := &r.Problems[i]; p.File == "" && len(r.Paths) > 0 {
			p.File = r.Paths[0] // so that it prints as file: severity rule: text
		}
	}
	lbconfig.SortProblems(r.Problems)
}

// complaint is a line for output that holds no message.
func complaint(output string) string {
	if strings.Contains(output, "Usage : haproxy") {
		return "haproxy does not take these arguments, or found no configuration file (is the folder empty?)"
	}
	return firstLine(output)
}

func firstLine(output string) string {
	for line := range strings.Lines(output) {
		if line = oneLine(line); line != "" {
			return line[:min(len(line), maxMessage)]
		}
	}
	return "no output"
}
