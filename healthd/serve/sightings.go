package serve

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// asksForSightings reports whether a request about health is a sibling's: /health?shared or /health/SERVICE?shared.
func asksForSightings(r *http.Request) bool {
	return r.URL.RawQuery == "shared" || strings.HasPrefix(r.URL.RawQuery, "shared&")
}

// sightings tells a sibling what this instance sees of the dependencies that both may share, of all services, by digests: a stranger learns how
// many there are and how many fail, not where they are. It is made for each answer, since it says how old each probe is.
func sightings(w http.ResponseWriter, r *http.Request, b *book) {
	seen := b.snapshot.Sightings(time.Now())
	seen = seen[:min(len(seen), healthd.MaxSightings)]
	for i := range seen {
		seen[i].Dependency = healthd.Digest(seen[i].Dependency)
	}
	text, err := json.Marshal(seen)
	if err != nil { // of strings and numbers: cannot be
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	send(w, r, http.StatusOK, jsonType, fixed(string(text)+"\n"))
}
