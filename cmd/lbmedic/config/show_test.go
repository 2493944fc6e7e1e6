package config

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"
)

// What `config show` prints is a configuration, and the same one.
func TestShownConfigurationReadsBackAsItself(t *testing.T) {
	example, err := os.ReadFile("testdata/example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{
		"example":    string(example),
		"off":        "health: {http: off}",
		"default":    Default().YAML(),
		"references": "health: {services: {a: {checks: {b: {tcp: '${env:HOST:-h}:${env:APP_PORT}', rise: '${env:RISE}', shared: true}}}}}",
		"odd text":   "health: {services: {a: {checks: {b: {http: 'http://h/?a=[1]&b={2}, #', expect: \"x: 'y' # \\u00e9\\n- \\\"\"}}}}}",
		"escape":     "health: {services: {a: {checks: {b: {http: 'http://h/', expect: '$${no}'}}}}}",
		"words":      "health: {services: {true: {checks: {null: {http: 'http://h/', expect: true, status: [200, 204-206]}}}}}",
		"consul":     "balancers: {a: {nginx: }}\nconsul:\n",
		"args":       "balancers: {a: {haproxy: {config: [/a, /b], socket: /s, args: ['-dr', '-L', 'x y']}}}",
		"until":      "balancers: {a: {nginx: {}}}\npolicy: {capacity: {min_percent: 0%, no_floor_until: 2026-12-31T18:00:00+01:00}}",
	}
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			first := mustParse(t, text)
			second := mustParse(t, first.YAML())
			third := mustParse(t, string(first.JSON()))
			if second.YAML() != first.YAML() {
				t.Errorf("shown\n%s\nthen\n%s", first.YAML(), second.YAML())
			}
			first.shown, second.shown, third.shown = nil, nil, nil
			if !reflect.DeepEqual(first, second) {
				t.Errorf("read\n%+v\nthen\n%+v", first, second)
			}
			if !reflect.DeepEqual(first, third) {
				t.Errorf("read\n%+v\nthen from JSON\n%+v", first, third)
			}
		})
	}
}

// Every key of the table has a sentence, and is in the JSON Schema with it.
func TestSchemaDescribesEveryKey(t *testing.T) {
	var doc map[string]any
	if err := json.Unmarshal(Schema(), &doc); err != nil {
		t.Fatal(err)
	}
	keys := 0
	var walk func(s *spec, doc map[string]any, path string)
	walk = func(s *spec, doc map[string]any, path string) {
		if s.each != nil {
			walk(s.each, doc["additionalProperties"].(map[string]any), path+".NAME")
		}
		for i := range s.fields {
			f := &s.fields[i]
			keys++
			at := path + "." + f.key
			sub, ok := doc["properties"].(map[string]any)[f.key].(map[string]any)
			if !ok || f.doc == "" || sub["description"] != f.sentence() {
				t.Errorf("%s: described as %q, in the schema %v", at, f.doc, sub)
				continue
			}
			for _, d := range f.def {
				kind := f.scalar
				if f.list != nil {
					kind = f.list.scalar
				}
				if _, wrong, ok := kind.parse(d); !ok {
					t.Errorf("%s: its default %q is refused: %s", at, d, wrong)
				}
			}
			walk(&f.spec, sub, at)
		}
	}
	walk(schema, doc, "")
	if keys < 50 {
		t.Errorf("only %d keys", keys)
	}
}

func TestSidecarURLIsFilledIn(t *testing.T) {
	cases := map[string]struct{ template, address, want string }{
		"by port":   {"http://{address}:7780/health/by-port/{port}", "10.0.0.1", "http://10.0.0.1:7780/health/by-port/8080"},
		"IPv6":      {"http://{address}:7780/", "2001:db8::1", "http://[2001:db8::1]:7780/"},
		"bracketed": {"http://{address}:7780/", "[2001:db8::1]", "http://[2001:db8::1]:7780/"},
		"names":     {"http://{server}.local/{backend}", "", "http://a%2Fb.local/be%20x"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := SidecarURL(c.template).Expand(c.address, "8080", "a/b", "be x"); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestNearestWordIsSuggested(t *testing.T) {
	known := []string{"interval", "timeout", "rise", "fall", "http", "tcp", "min_percent"}
	for word, want := range map[string]string{
		"intervall": "interval", "Interval": "interval", "itnerval": "interval", "timout": "timeout", "htpp": "http",
		"min-percent": "min_percent", "rises": "rise", "postgres": "", "x": "", "": "", "tc": "tcp",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
