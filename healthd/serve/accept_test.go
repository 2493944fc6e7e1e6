package serve

import (
	"strings"
	"testing"
)

func TestAcceptChoosesTheShape(t *testing.T) {
	const health, spring, spring2, plainJSON, text = "application/health+json", "application/vnd.spring-boot.actuator.v3+json",
		"application/vnd.spring-boot.actuator.v2+json", "application/json", "text/plain"
	for accept, want := range map[string]string{
		"":                                   health,
		"*/*":                                health,
		"application/*":                      health,
		"image/png":                          health, // never 406: whoever checks health must get an answer
		"text/plain":                         text,
		"TEXT/Plain ; charset=utf-8":         text,
		"text/*":                             text,
		"application/json":                   plainJSON,
		"application/json, text/plain, */*":  health, // equals: ours to choose
		"text/plain, text/*, */*":            health, // Consul's
		"text/plain, */*;q=0.9":              text,
		"text/plain;q=0.5, */*;q=0.1":        text,
		"application/json;q=0.2, text/*;q=1": text,
		"text/plain;q=0, */*":                health,
		"*/*, application/health+json;q=0":   spring,
		"application/vnd.spring-boot.actuator.v3+json, application/vnd.spring-boot.actuator.v2+json, application/json": spring,
		"application/vnd.spring-boot.actuator.v2+json":                                                                 spring2,
		"application/*;q=0.1, application/json;q=0.9, text/plain;q=0.95":                                               text,
		"text/plain;q=1.5":         health, // no q: the range does not count
		"text/plain;q=":            health,
		"text/plain;q=0.1234":      health,
		"text/plain;level=1;q=0.3": text,
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": health, // a browser's
		strings.Repeat("a/b,", maxRanges) + "text/plain":                  health,
		strings.Repeat("a", maxAccept) + ",text/plain":                    health,
		";,/;q=,*": health,
	} {
		if got := negotiate([]string{accept}, healthOffers).media; got != want {
			t.Errorf("%q: %s, want %s", accept, got, want)
		}
	}
	if got := negotiate([]string{"image/png", "text/plain;q=0.1"}, healthOffers).media; got != text {
		t.Errorf("in two lines: %s", got)
	}
}

func FuzzAccept(f *testing.F) {
	for _, seed := range []string{"", "*/*", "text/plain;q=0.5, */*;q=0.1", "application/json;q=1.000", ";q=0", "a/b;q=0.0001,,,", "text/plain;q=1.001", "\x00/\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		got := negotiate([]string{accept}, healthOffers)
		for i := range healthOffers {
			if q, _ := quality([]string{accept}, healthOffers[i].media); q < 0 || q > 1000 {
				t.Errorf("%q: the quality of %s is %d", accept, healthOffers[i].media, q)
			}
		}
		again := negotiate([]string{accept + " "}, healthOffers)
		if len(accept) < maxAccept && got != again {
			t.Errorf("%q: %s, and with a blank behind it %s", accept, got.media, again.media)
		}
	})
}
