package serve

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// BenchmarkAnswer is what one request costs beyond net/http; integration/bench holds whole servers against each other.
func BenchmarkAnswer(b *testing.B) {
	h := NewHTTP(HTTPSettings{Source: frozen{states(b)["pass"]}, Tokens: []string{token}})
	for name, c := range map[string]struct{ path, accept, authorization string }{
		"health":               {"/health", "", ""},
		"service":              {"/health/web", "*/*", ""},
		"service with a token": {"/health/web", "", "Bearer " + token},
		"consul":               {"/health/web?warn=429", "text/plain, text/*, */*", ""},
		"spring":               {"/actuator/health", "application/vnd.spring-boot.actuator.v3+json, application/json", ""},
		"readyz":               {"/readyz", "", ""},
		"readyz excluding":     {"/readyz?exclude=web/disk", "", ""},
	} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest("GET", c.path, nil)
			for header, value := range map[string]string{"Accept": c.accept, "Authorization": c.authorization} {
				if value != "" {
					r.Header.Set(header, value)
				}
			}
			w := discard{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}

// BenchmarkChange is what a change of the state costs where every shape is asked for, at 10 and at 1,000 checks.
func BenchmarkChange(b *testing.B) {
	for name, size := range map[string][2]int{"10 checks": {1, 10}, "1000 checks": {10, 100}} {
		b.Run(name, func(b *testing.B) {
			s := crowd(size[0], size[1])
			before := bind(s, nil)
			for shape := range shapes {
				before.whole.sheet(shape, insider)
				before.services[s.Services[0].Name].sheet(shape, insider)
			}
			b.ReportAllocs()
			for b.Loop() {
				bind(s, before)
			}
		})
	}
}
