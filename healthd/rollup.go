package healthd

import "fmt"

// Impact says what a check means for its service.
type Impact uint8

// Required is the zero value and the default.
const (
	Required Impact = iota // failing fails the service
	Degrade                // failing warns
	Inform                 // shown, never counted
)

var impactNames = [...]string{Required: "required", Degrade: "degrade", Inform: "inform"}

// String is "required", "degrade" or "inform".
func (i Impact) String() string {
	if int(i) < len(impactNames) {
		return impactNames[i]
	}
	return fmt.Sprintf("impact %d", i)
}

// MarshalText writes the word of String.
func (i Impact) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText reads the word of String.
func (i *Impact) UnmarshalText(text []byte) error {
	for n, name := range impactNames {
		if string(text) == name {
			*i = Impact(n)
			return nil
		}
	}
	return fmt.Errorf("impact %q is none of required, degrade, inform", Line(string(text), 32))
}

// Rollup gives the status of a service from its checks: the gravest of what each check, or each group of them, means for it. An unknown
// one that is not required means nothing, except where none at all is known. A service without checks passes.
func Rollup(checks []Check) Status {
	status, known := Pass, len(checks) == 0
	for p := range parts(checks) {
		known = known || p.status != Unknown
		status = Worse(status, p.impact.means(p.status))
	}
	if !known {
		return Unknown
	}
	return status
}

func (i Impact) means(s Status) Status {
	switch {
	case i == Required:
		return s
	case i == Degrade && (s == Warn || s == Fail):
		return Warn
	default:
		return Pass
	}
}
