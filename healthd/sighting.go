package healthd

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Sighting is what one instance last saw of a dependency that it shares with its siblings, as it tells them.
type Sighting struct {
	Dependency string        // see Dependency
	Status     Status        // the worse of its verdict and its last outcome; Unknown where that was not measured lately
	Age        time.Duration // since that probe began, when this is said
}

type sightingJSON struct {
	Dependency string  `json:"dependency"`
	Status     Status  `json:"status"`
	Age        lasting `json:"age"`
}

// MarshalJSON writes {"dependency":"redis 10.0.0.9:6379","status":"pass","age":"1.2s"}.
func (s Sighting) MarshalJSON() ([]byte, error) {
	return json.Marshal(sightingJSON{s.Dependency, s.Status, lasting(s.Age)})
}

// Limits of what a sibling may say.
const (
	MaxSightings  = 1000
	maxDependency = 512
)

// ParseSightings reads a JSON array of what MarshalJSON writes. Of a dependency that is told twice the worse counts.
func ParseSightings(text []byte) ([]Sighting, error) {
	var all []sightingJSON
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("what a sibling sees is no list of dependencies: %s", Line(err.Error(), MaxDetail))
	}
	if len(all) > MaxSightings {
		return nil, fmt.Errorf("a sibling sees %d dependencies, more than %d", len(all), MaxSightings)
	}
	seen := make([]Sighting, 0, len(all))
	for _, s := range all {
		if s.Dependency == "" || s.Dependency != Line(s.Dependency, maxDependency) {
			return nil, fmt.Errorf("dependency %q is not one line of at most %d characters", Line(s.Dependency, 80), maxDependency)
		}
		if s.Age < 0 {
			return nil, fmt.Errorf("dependency %q was seen in %s", Line(s.Dependency, 80), time.Duration(-s.Age))
		}
		seen = append(seen, Sighting{s.Dependency, s.Status, time.Duration(s.Age)})
	}
	return eachOnce(seen), nil
}

// Sightings is what this instance tells its siblings at now: one for each shared dependency, by name. It is to be made for each answer, for an age
// that was true a second ago makes an old success look new.
func (s *Snapshot) Sightings(now time.Time) []Sighting {
	seen := []Sighting{}
	for i := range s.Services {
		for j := range s.Services[i].Checks {
			if c := &s.Services[i].Checks[j]; c.Shared {
				seen = append(seen, c.sighting(now))
			}
		}
	}
	return eachOnce(seen)
}

func (c *Check) sighting(now time.Time) Sighting {
	s := Sighting{Dependency: Dependency(c.Kind, c.Target), Age: max(0, now.Sub(c.Verdict.Measured))}
	switch last := c.Verdict.Last; {
	case c.Verdict.Status == Unknown, c.Stale, c.Brought, c.Awaited, c.outdated(now), last.Class == OwnFault:
		s.Age = 0
	default:
		s.Status = Worse(c.Verdict.Status, last.Class.Status())
	}
	return s
}

func eachOnce(seen []Sighting) []Sighting {
	slices.SortFunc(seen, func(a, b Sighting) int {
		return cmp.Or(cmp.Compare(a.Dependency, b.Dependency), cmp.Compare(gravity[b.Status], gravity[a.Status]), cmp.Compare(b.Age, a.Age))
	})
	return slices.CompactFunc(seen, func(a, b Sighting) bool { return a.Dependency == b.Dependency })
}

// Dependency names what a check of this kind and target depends on, the same on every host: "postgres postgres://db:5432/orders". It holds no
// user, no password, and no parameter that sounds like one.
func Dependency(kind, target string) string {
	scheme, rest, isURL := strings.Cut(target, "://")
	if !isURL {
		scheme, rest = "", target
	}
	rest, query, hasQuery := strings.Cut(rest, "?")
	// Whoever reads this splits at the last "@" before the path; a password may hold a slash all the same, and then too much is cut off.
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	if host, path, ok := strings.Cut(rest, "/"); ok {
		rest = strings.ToLower(host) + "/" + path
	} else {
		rest = strings.ToLower(rest)
	}
	if isURL {
		rest = strings.ToLower(scheme) + "://" + rest
	}
	words := strings.FieldsFunc(rest, func(r rune) bool { return r == ' ' })
	words = slices.DeleteFunc(words, secret)
	name := kind + " " + strings.Join(words, " ")
	if hasQuery {
		kept := slices.DeleteFunc(strings.Split(query, "&"), secret)
		name += "?" + strings.Join(kept, "&")
	}
	return Line(name, maxDependency)
}

// secret reports whether the key of key=value sounds like one, however it is escaped.
func secret(pair string) bool {
	key, _, ok := strings.Cut(pair, "=")
	if !ok {
		return false
	}
	if plain, err := url.QueryUnescape(key); err == nil {
		key = plain
	}
	key = strings.ToLower(key)
	return slices.ContainsFunc([]string{"pass", "pwd", "secret", "token", "key", "auth", "cred", "sig", "user"}, func(part string) bool { return strings.Contains(key, part) })
}
