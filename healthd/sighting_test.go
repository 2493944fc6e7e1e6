package healthd

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestDependencyHasNoSecretAndIsTheSameEverywhere(t *testing.T) {
	for target, want := range map[string]string{
		"10.0.0.9:6379":                                "10.0.0.9:6379",
		"DB.Example.org:5432":                          "db.example.org:5432",
		"http://Auth.example.org:80/Check?db=1":        "http://auth.example.org:80/Check?db=1",
		"https://u:secret@h/x?token=secret&a=1":        "https://h/x?a=1",
		"postgres://app:s%40cret@DB:5432/Orders":       "postgres://db:5432/Orders",
		"postgres://app:xxxxx@db/orders":               "postgres://db/orders",
		"postgres://app:secret@a:1,b:2/orders?x=1":     "postgres://a:1,b:2/orders?x=1",
		"app:sec@ret@tcp(db:3306)/orders?timeout=1s":   "tcp(db:3306)/orders?timeout=1s",
		"host=db user=app password=secret dbname=shop": "host=db dbname=shop",
		"amqp://guest:se/cret@mq:5672/":                "mq:5672/",
		"redis://:secret@10.0.0.9/0":                   "redis://10.0.0.9/0",
		"http://h/?pass%77ord=secret":                  "http://h/?",
	} {
		got := Dependency("kind", target)
		if got = strings.TrimPrefix(got, "kind "); !strings.HasSuffix(got, want) || strings.Contains(got, "cret") {
			t.Errorf("%s: got %q, want %q", target, got, want)
		}
	}
	if Dependency("tcp", "a:1") == Dependency("redis", "a:1") {
		t.Error("two kinds are one dependency")
	}
}

func TestSightingsTellTheSharedOnesOnly(t *testing.T) {
	fresh := stack()
	for i := range fresh.Services {
		for j := range fresh.Services[i].Checks {
			c := &fresh.Services[i].Checks[j]
			c.Shared, c.Target = c.Name == "app", "Db:5432" // two kinds of them
		}
	}
	fresh.Services[0].Checks[0].Kind = "http" // api's; web's app is an http check too
	s := Restart(fresh, nil, t0)
	tell := func(now time.Time) string {
		text, err := json.Marshal(s.Sightings(now))
		if err != nil {
			t.Fatal(err)
		}
		read, err := ParseSightings(text)
		if err != nil || !reflect.DeepEqual(read, s.Sightings(now)) {
			t.Errorf("%s was read as %+v, %v", text, read, err)
		}
		return string(text)
	}
	if got, want := tell(t0), `[{"dependency":"http db:5432","status":"unknown","age":"0s"}]`; got != want {
		t.Errorf("at the start: %s, want %s", got, want)
	}
	s = after(after(s, "web", "app", "."), "api", "app", "..")
	if got, want := tell(s.At.Add(1500*time.Millisecond)), `[{"dependency":"http db:5432","status":"pass","age":"3.5s"}]`; got != want {
		t.Errorf("both pass: %s, want the older of them, %s", got, want)
	}
	s = after(s, "web", "app", "x")
	if got, want := tell(s.At), `[{"dependency":"http db:5432","status":"fail","age":"0s"}]`; got != want {
		t.Errorf("one failed just now: %s, want %s", got, want)
	}
	s = after(s, "web", "app", ".?")
	if got, want := tell(s.At), `[{"dependency":"http db:5432","status":"unknown","age":"0s"}]`; got != want {
		t.Errorf("one could not be measured: %s, want %s", got, want)
	}
	s = Restart(fresh, after(s, "web", "app", "."), s.At)
	if got, want := tell(s.At), `[{"dependency":"http db:5432","status":"unknown","age":"0s"}]`; got != want {
		t.Errorf("what was brought over a restart: %s, want %s", got, want)
	}
	if text, err := json.Marshal((&Snapshot{}).Sightings(t0)); err != nil || string(text) != "[]" {
		t.Errorf("nothing shared: %s, %v", text, err)
	}
}

func FuzzParseSightings(f *testing.F) {
	for _, seed := range []string{
		`[{"dependency":"redis 10.0.0.9:6379","status":"pass","age":"1.2s"},{"dependency":"redis 10.0.0.9:6379","status":"fail","age":"0s"}]`,
		`[{"dependency":"a\nb","status":"pass","age":"1s"}]`, `[{"dependency":"a","status":"good"}]`, `[{"dependency":"a","status":"pass","age":"-1s"}]`,
		`[{"dependency":"a","status":"pass","age":9223372036854775807}]`, `null`, `{}`, `[null]`, `[`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		seen, err := ParseSightings(text)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n\x1b") {
				t.Errorf("error %q", err)
			}
			return
		}
		for i, s := range seen {
			if s.Age < 0 || s.Dependency == "" || s.Dependency != Line(s.Dependency, maxDependency) || i > 0 && seen[i-1].Dependency >= s.Dependency {
				t.Errorf("%s was read as %+v", text, seen)
			}
		}
		again, err := json.Marshal(seen)
		if err != nil {
			t.Fatal(err)
		}
		if read, err := ParseSightings(again); err != nil || !reflect.DeepEqual(read, seen) {
			t.Errorf("%s was read as %+v, %v", again, read, err)
		}
	})
}
