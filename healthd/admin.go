package healthd

import (
	"fmt"
	"time"
)

// AdminState is what people and deploys have ordered for a service of this instance.
type AdminState uint8

// Ready is the zero value: nothing was ordered.
const (
	Ready AdminState = iota
	Drain            // finish what is there, take nothing new
	Maint            // out of service
)

var adminNames = [...]string{Ready: "ready", Drain: "drain", Maint: "maint"}

// String is "ready", "drain" or "maint".
func (a AdminState) String() string {
	if int(a) < len(adminNames) {
		return adminNames[a]
	}
	return fmt.Sprintf("admin state %d", a)
}

// ParseAdminState is the reverse of String.
func ParseAdminState(word string) (AdminState, error) {
	for a, name := range adminNames {
		if word == name {
			return AdminState(a), nil
		}
	}
	return Ready, fmt.Errorf("admin state %q is none of ready, drain, maint", Line(word, 32))
}

// MarshalText writes the word of String.
func (a AdminState) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads the word of String.
func (a *AdminState) UnmarshalText(text []byte) (err error) {
	*a, err = ParseAdminState(string(text))
	return err
}

// Admin is an order for one service: what, why, by whom, since when.
type Admin struct {
	State  AdminState `json:"state"`
	Reason string     `json:"reason,omitempty"`
	By     string     `json:"by,omitempty"` // "operator alice", "shutdown": whoever gave the order ends it
	Since  time.Time  `json:"since"`
	Until  time.Time  `json:"until,omitzero"` // when it ends by itself; zero: not before somebody ends it
}
