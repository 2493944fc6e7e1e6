package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// Kind is one kind of check: what follows its name in the config, its other keys, and how a probe is made of them.
type Kind struct {
	Doc         string         // one line, lower case: what passes
	Target      Option         // what follows the kind's name; it has no Key of its own
	Options     []Option       // its other keys, beside those that every check has
	Measurement string         // what the outcome's value, or the time it took, is called in health+json
	Impact      healthd.Impact // where the config names none
	Example     string         // a check as the config has it, in one line of YAML: {http: …}; docs/checks.md shows it and a test runs it

	// New makes the probe. It reads files that the settings name, and connects to nothing. It reports every mistake at once,
	// those of one key as a KeyError.
	New func(s Settings) (Probe, error)
}

// Probe makes one probe and says what it met; it ends when ctx does. It is never called twice at the same time, so it may keep what
// one probe leaves for the next.
type Probe func(ctx context.Context) healthd.Outcome

// Option is one key of a check in the config.
type Option struct {
	Key      string
	Doc      string // one line, lower case
	Type     Type
	Words    []string // what a Word may be
	Min, Max float64  // of an Int, a Number, a Percent, or of a Duration in seconds; both 0: no bounds beside the type's own
	Default  []string // what holds where the key is missing, as it would be written
	List     bool     // several may be given; a single one stands for a list of one
	Secret   bool     // it may hold a password: never printed, and taken out of the details of outcomes
}

// Type is what an option's text means.
type Type uint8

// The types of options, each written as people write it.
const (
	Text        Type = iota // 1 to 4096 bytes
	Word                    // one of Words
	Bool                    // true or false
	Int                     // a whole number
	Number                  // 1, 0.5
	Percent                 // 85% or 85
	Duration                // 250ms
	Path                    // an absolute path
	HostPort                // 127.0.0.1:6379, [::1]:6379
	Host                    // a name or an address, without a port
	URL                     // http://… or https://…
	StatusCodes             // 200 or 200-399
)

// KeyError is a mistake in one key of a check; Key is empty for the target.
type KeyError struct {
	Key string
	Err error
}

func (e KeyError) Error() string {
	if e.Key == "" {
		return e.Err.Error()
	}
	return e.Key + ": " + e.Err.Error()
}

// Unwrap gives the mistake itself.
func (e KeyError) Unwrap() error { return e.Err }

// Settings are what the config says of one check of a kind, with the defaults filled in. Reading a key that the kind does not
// have is a defect of the kind and panics.
type Settings struct {
	kind   *Kind
	target []string
	values map[string][]string
}

// New makes a probe of a kind: target and options as the config has them, in words. Unknown keys, values that are not of their type, and what
// the kind itself refuses are reported together.
func New(kind string, target []string, options map[string][]string) (Probe, error) {
	k, err := Find(kind)
	if err != nil {
		return nil, err
	}
	s := Settings{kind: &k, target: target, values: map[string][]string{}}
	var errs []error
	if len(target) == 0 || !k.Target.List && len(target) > 1 {
		errs = append(errs, KeyError{Err: fmt.Errorf("a check of kind %s needs one target, not %d", kind, len(target))})
	}
	for _, text := range target {
		errs = append(errs, k.Target.parse(text))
	}
	for key, values := range options {
		i := slices.IndexFunc(k.Options, func(o Option) bool { return o.Key == key })
		if i < 0 {
			errs = append(errs, KeyError{key, fmt.Errorf("is no key of a check of kind %s", kind)})
			continue
		}
		s.values[key] = values
		for _, text := range values {
			errs = append(errs, k.Options[i].parse(text))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for _, o := range k.Options {
		if _, given := s.values[o.Key]; !given {
			s.values[o.Key] = o.Default
		}
	}
	probe, err := k.New(s)
	if err != nil {
		return nil, err
	}
	return newSecrets(s).guard(probe), nil
}

func (o Option) parse(text string) error {
	var err error
	var number float64
	switch o.Type {
	case Word:
		if !slices.Contains(o.Words, text) {
			err = fmt.Errorf("%q is none of %s", healthd.Line(text, 40), strings.Join(o.Words, ", "))
		}
	case Bool:
		if text != "true" && text != "false" { // what Settings.Bool reads
			err = fmt.Errorf("%q is neither true nor false", healthd.Line(text, 40))
		}
	case Int:
		var n int64
		n, err = strconv.ParseInt(text, 10, 64)
		number = float64(n)
	case Number:
		number, err = strconv.ParseFloat(text, 64)
	case Percent:
		number, err = strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	case Duration:
		var d time.Duration
		d, err = time.ParseDuration(text)
		number = d.Seconds()
	case StatusCodes:
		_, err = ParseStatusRange(text)
	}
	if err == nil && (o.Min != 0 || o.Max != 0) && !(number >= o.Min && number <= o.Max) {
		err = fmt.Errorf("%s is out of range; from %g to %g", healthd.Line(text, 40), o.Min, o.Max)
	}
	if err != nil {
		return KeyError{o.Key, err}
	}
	return nil
}

// Target is what follows the kind's name; of a list, the first.
func (s Settings) Target() string { return s.target[0] }

// Targets is the whole list that follows the kind's name.
func (s Settings) Targets() []string { return s.target }

// Texts is the list of a key; nil where there is none.
func (s Settings) Texts(key string) []string {
	if !slices.ContainsFunc(s.kind.Options, func(o Option) bool { return o.Key == key }) {
		panic("check: a kind reads " + key + ", which is none of its keys")
	}
	return s.values[key]
}

// Has reports whether a key is given or has a default.
func (s Settings) Has(key string) bool { return len(s.Texts(key)) > 0 }

// Text is the value of a key; empty where there is none.
func (s Settings) Text(key string) string {
	if all := s.Texts(key); len(all) > 0 {
		return all[0]
	}
	return ""
}

// Bool is the value of a key; false where there is none.
func (s Settings) Bool(key string) bool { return s.Text(key) == "true" }

// Int is the value of a key; 0 where there is none.
func (s Settings) Int(key string) int {
	n, _ := strconv.Atoi(s.Text(key)) // New has read it before
	return n
}

// Number is the value of a key that is a number or a percentage; 0 where there is none.
func (s Settings) Number(key string) float64 {
	n, _ := strconv.ParseFloat(strings.TrimSuffix(s.Text(key), "%"), 64) // New has read it before
	return n
}

// Duration is the value of a key; 0 where there is none.
func (s Settings) Duration(key string) time.Duration {
	d, _ := time.ParseDuration(s.Text(key)) // New has read it before
	return d
}
