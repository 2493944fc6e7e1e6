package healthd

import "fmt"

// Status is what is known about a check or a service. The zero value is Unknown.
type Status uint8

// Unknown means nothing was measured yet. It exists inside and as exit code 3; health+json has no word for it.
const (
	Unknown Status = iota
	Pass
	Warn
	Fail
)

var statusNames = [...]string{Unknown: "unknown", Pass: "pass", Warn: "warn", Fail: "fail"}

// String is "unknown", "pass", "warn" or "fail".
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return fmt.Sprintf("status %d", s)
}

// ParseStatus is the reverse of String.
func ParseStatus(word string) (Status, error) {
	for s, name := range statusNames {
		if word == name {
			return Status(s), nil
		}
	}
	return Unknown, fmt.Errorf("status %q is none of unknown, pass, warn, fail", Line(word, 32))
}

// MarshalText writes the word of String.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the word of String.
func (s *Status) UnmarshalText(text []byte) (err error) {
	*s, err = ParseStatus(string(text))
	return err
}

// Worse gives the graver of two statuses. Unknown is graver than Warn, for nobody may rely on it, and milder than Fail, for it accuses nobody.
func Worse(a, b Status) Status {
	if gravity[a] >= gravity[b] {
		return a
	}
	return b
}

var gravity = map[Status]int{Pass: 0, Warn: 1, Unknown: 2, Fail: 3}
