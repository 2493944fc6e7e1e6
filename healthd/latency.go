package healthd

import "time"

// Latency is how long the last results took, those that were no own fault: at most RingSize of them. The zero value knows nothing.
type Latency struct {
	N             int           `json:"n"` // how many results it rests on
	P50, P95, P99 time.Duration `json:",omitempty"`
}

// RingSize is how many results a Latency rests on at most.
const RingSize = 128
