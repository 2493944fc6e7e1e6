package serve

import (
	"net/http"
	"strconv"
)

// Values of headers, shared by all answers and never written to.
var (
	noStore    = []string{"no-store"}
	retryAfter = []string{"5"}
	getOrHead  = []string{"GET, HEAD"}
)

// Bodies that no state changes.
var (
	okText           = fixed("ok")
	livezVerbose     = fixed("[+]ping ok\nlivez check passed\n")
	healthyText      = fixed("lbmedic is healthy.\n")
	readyText        = fixed("lbmedic is ready.\n")
	notReadyText     = fixed("lbmedic is not ready.\n")
	actuatorUp       = fixed(`{"status":"UP"}` + "\n")
	microprofileUp   = fixed(`{"status":"UP","checks":[]}` + "\n")
	microprofileDown = fixed(`{"status":"DOWN","checks":[]}` + "\n")
)

func fixed(text string) *sheet { return &sheet{[]byte(text), []string{strconv.Itoa(len(text))}} }

// counted is up to where net/http counts a body itself, in bytes, for less than a header of ours costs.
const counted = 2 << 10

// send writes a prepared answer. It allocates nothing for the body.
func send(w http.ResponseWriter, r *http.Request, code int, media []string, s *sheet) {
	header := w.Header()
	header["Content-Type"] = media
	if len(s.text) > counted || r.Method == http.MethodHead {
		header["Content-Length"] = s.length
	}
	if code == http.StatusServiceUnavailable {
		header["Retry-After"] = retryAfter
	}
	w.WriteHeader(code)
	if r.Method != http.MethodHead {
		_, _ = w.Write(s.text) // a caller that has gone misses nothing
	}
}
