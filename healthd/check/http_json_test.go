package check

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestJSONRules(t *testing.T) {
	const body = `{"status": "UP", "ready": true, "none": null, "version": "5", "lag": 4.5, "big": 1e999, "odd name": {"a.b": 1},
		"checks": [{"name": "db", "lag": 7}, {"name": "mq", "lag": 0}], "db-1": {"status": "DOWN"}}`
	for rule, want := range map[string]string{
		`status = UP`:                  "",
		`status == "UP"`:               "",
		`$.status=UP`:                  "",
		`$["status"] != DOWN`:          "",
		`status = up`:                  `status is "UP", expected up`,
		`status != UP`:                 `status is "UP", expected != UP`,
		`ready = true`:                 "",
		`ready = "true"`:               "ready is true, expected true",
		`none = null`:                  "",
		`none != null`:                 "none is null, expected != null",
		`version = 5`:                  "",
		`version < 6`:                  `version is "5", expected < 6`,
		`lag = 4.50`:                   "",
		`lag = "4.5"`:                  "lag is 4.5, expected 4.5",
		`lag >= 4.5`:                   "",
		`lag > 4.5`:                    "lag is 4.5, expected > 4.5",
		`lag <= 4`:                     "lag is 4.5, expected <= 4",
		`big > 1e300`:                  "",
		`checks[1].lag < 5`:            "",
		`checks[0].lag < 5`:            "checks[0].lag is 7, expected < 5",
		`checks[2].lag < 5`:            "the body has no checks[2].lag",
		`checks = 2`:                   "checks is a list of 2, expected 2",
		`checks != 2`:                  "",
		`["odd name"]["a.b"] = 1`:      "",
		`$["odd name"] = 1`:            `$["odd name"] is an object, expected 1`,
		`db-1.status = UP`:             `db-1.status is "DOWN", expected UP`,
		`status.deeper = 1`:            "the body has no status.deeper",
		`missing != x`:                 "the body has no missing",
		`status = two words here`:      `status is "UP", expected two words here`,
		`checks[0]["lag"] = 7`:         "",
		`$.checks[0].name = "db"`:      "",
		`status = "line\nfeed"`:        `status is "UP", expected line\nfeed`,
		`checks.lag = 7`:               "the body has no checks.lag",
		`status[0] = U`:                "the body has no status[0]",
		`$.checks [0].lag = 7`:         "!has no operator",
		`status`:                       "!has no operator",
		`status =`:                     "!has no value",
		`= UP`:                         "!has no name",
		`$ = UP`:                       "!has an empty path",
		``:                             "!has no name",
		`a..b = 1`:                     "!has no name",
		`a[-1] = 1`:                    "!has a bracket",
		`a[1 = 1`:                      "!has a bracket",
		`a["b = 1`:                     "!quotes do not end",
		`a[""] = 1`:                    "!has a bracket",
		`a[99999999999] = 1`:           "!has a bracket",
		`a < five`:                     "!no number",
		`a < "5"`:                      "!no number",
		`a = "5`:                       "!no quoted string",
		`a` + strings.Repeat(".a", 20): "!more than 16 steps",
		strings.Repeat("a", 600):       "!longer than 512",
	} {
		r, err := parseJSONRule(rule)
		if wrong, ok := strings.CutPrefix(want, "!"); ok {
			if err == nil || !strings.Contains(err.Error(), wrong) {
				t.Errorf("%q is read as %+v, %v; want %q", rule, r, err, wrong)
			}
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		decoded, err := decodeJSON([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if got := r.judge(decoded); got != want {
			t.Errorf("%q: %q, want %q", rule, got, want)
		}
	}
}

func TestJSONBodyIsOneValue(t *testing.T) {
	for body, want := range map[string]string{
		"": "no json", "<html>": "no json", "{} {}": "goes on", "{}x": "goes on", strings.Repeat("[", 60000): "no json", "{\"a\":1} \n": "", "3": "",
	} {
		_, err := decodeJSON([]byte(body))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.20q: %v, want %q", body, err, want)
		}
	}
}

// Whatever a rule and a body are, the answer is short, and one rule and its opposite never hold together.
func FuzzJSONRule(f *testing.F) {
	for _, rule := range []string{`status = UP`, `$.checks[0].lag < 5`, `["a\u0020b"] != "x"`, `a[0][1] >= -1e3`, `$`, `a[`, "\xff = \xff"} {
		f.Add(rule, []byte(`{"status":"UP","checks":[{"lag":1}],"a":[[1,2]],"a b":null}`))
	}
	f.Fuzz(func(t *testing.T, rule string, body []byte) {
		r, err := parseJSONRule(rule)
		if err != nil {
			return
		}
		value, err := decodeJSON(body)
		if err != nil {
			return
		}
		if !json.Valid(body) {
			t.Errorf("%q was read as json", body)
		}
		said := r.judge(value)
		opposite := map[string]string{"=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}[r.operator]
		o := r
		o.operator = opposite
		if said == "" && o.judge(value) == "" {
			t.Errorf("%q and its opposite hold for %q", rule, body)
		}
		if len(said) > 2*maxRule+200 {
			t.Errorf("%d bytes are said of %q", len(said), rule)
		}
	})
}
