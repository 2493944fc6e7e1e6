package admin

import "time"

// Reading is what became of the last look at the configuration file of this lbmedic.
type Reading struct {
	File  string    `json:"file,omitempty"`  // empty: the built-in configuration
	At    time.Time `json:"at"`              // when the one in force was taken
	Wrong string    `json:"wrong,omitempty"` // why the file as it is now was not taken, in one line; empty: it was
}
