package check

import "time"

// windowParts is in how many parts a window is counted: what is older than the window is forgotten part by part.
const windowParts = 12

// window counts events over the time just past.
type window struct {
	length time.Duration
	parts  [windowParts]int
	part   int64 // the number of the newest part, counted from the epoch
}

func newWindow(length time.Duration) *window { return &window{length: length} }

// add counts n events at now, and gives how many a minute there were. The rate is that of the whole window from its first moment on: a
// single event after the start is no flood.
func (w *window) add(now time.Time, n int) (perMinute float64) {
	return w.total(now, n) / w.length.Minutes()
}

// total counts n events at now, and gives how many there were.
func (w *window) total(now time.Time, n int) float64 {
	part := now.UnixNano() / int64(w.length/windowParts)
	// A clock that was set back or far ahead begins anew.
	if gap := part - w.part; gap < 0 || gap >= windowParts {
		w.parts = [windowParts]int{}
	} else {
		for i := range gap {
			w.parts[(w.part+1+i)%windowParts] = 0
		}
	}
	w.part = part
	w.parts[part%windowParts] += n
	sum := 0
	for _, p := range w.parts {
		sum += p
	}
	return float64(sum)
}
