package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/lbmedic/lbmedic/healthd"
)

// Limits of a jsonRule, far above what anybody writes.
const (
	maxRule      = 512 // bytes
	maxRuleSteps = 16
	maxRuleIndex = 65535
)

// ruleOperators are tried in this order, so that <= is not read as <.
var ruleOperators = []string{"<=", ">=", "!=", "==", "<", ">", "="}

// jsonRule is one thing that a JSON body must say, such as `checks[0].lag < 5`.
type jsonRule struct {
	path     string // as it was written, for people
	steps    []jsonStep
	operator string
	want     string  // the text of the value, without the quotes around it
	quoted   bool    // only a JSON string equals it
	number   float64 // of want, where it is one and not quoted; else NaN
}

// jsonStep goes into an object by name, or into an array by index where name is empty.
type jsonStep struct {
	name  string
	index int
}

// parseJSONRule reads PATH OPERATOR VALUE. A path begins at the whole body, with or without $, and goes on by .name, ["any name"] and
// [index]; operators are = != < <= > >=; a value is a number, true, false, null, a "quoted" string, or any other text as it stands.
func parseJSONRule(text string) (jsonRule, error) {
	if len(text) > maxRule {
		return jsonRule{}, fmt.Errorf("%q is longer than %d bytes", healthd.Line(text, 40), maxRule)
	}
	bad := func(what string) (jsonRule, error) {
		return jsonRule{}, fmt.Errorf("%q %s; write it like checks[0].lag < 5", healthd.Line(text, 80), what)
	}
	steps, rest, err := jsonSteps(strings.TrimLeft(text, " "))
	if err != nil {
		return bad(err.Error())
	}
	r := jsonRule{path: strings.TrimSpace(text[:len(text)-len(rest)]), steps: steps, number: math.NaN()}
	rest = strings.TrimLeft(rest, " ")
	for _, operator := range ruleOperators {
		if value, ok := strings.CutPrefix(rest, operator); ok {
			r.operator, r.want = operator, strings.TrimSpace(value)
			break
		}
	}
	if r.operator == "==" {
		r.operator = "="
	}
	switch {
	case r.operator == "":
		return bad("has no operator after its path")
	case r.want == "":
		return bad("has no value after its operator")
	case r.want[0] == '"':
		r.quoted = true
		if err := json.Unmarshal([]byte(r.want), &r.want); err != nil {
			return bad("has a value that is no quoted string")
		}
	default:
		if n, err := strconv.ParseFloat(r.want, 64); err == nil && !math.IsInf(n, 0) {
			r.number = n
		}
	}
	if r.operator[0] == '<' || r.operator[0] == '>' {
		if math.IsNaN(r.number) {
			return bad("compares with what is no number")
		}
	}
	return r, nil
}

// jsonSteps reads a path and gives what follows it.
func jsonSteps(text string) (steps []jsonStep, rest string, err error) {
	text, rooted := strings.CutPrefix(text, "$")
	for first := !rooted; ; first = false {
		var step jsonStep
		switch {
		case strings.HasPrefix(text, "["):
			step, text, err = bracketStep(text[1:])
		case first || strings.HasPrefix(text, "."):
			step.name, text = cutName(strings.TrimPrefix(text, "."))
			if step.name == "" {
				err = errors.New("has no name where its path needs one")
			}
		case len(steps) == 0:
			return nil, "", errors.New("has an empty path")
		default:
			return steps, text, nil
		}
		if err != nil {
			return nil, "", err
		}
		if steps = append(steps, step); len(steps) > maxRuleSteps {
			return nil, "", fmt.Errorf("has a path of more than %d steps", maxRuleSteps)
		}
	}
}

// cutName takes letters, digits, _ and - off the front.
func cutName(text string) (name, rest string) {
	end := strings.IndexFunc(text, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-')
	})
	if end < 0 {
		end = len(text)
	}
	return text[:end], text[end:]
}

// bracketStep reads what follows an opening bracket, up to the closing one.
func bracketStep(text string) (jsonStep, string, error) {
	if strings.HasPrefix(text, `"`) {
		quoted, err := strconv.QuotedPrefix(text)
		if err != nil {
			return jsonStep{}, "", errors.New("has a name in its path whose quotes do not end")
		}
		rest, closed := strings.CutPrefix(text[len(quoted):], "]")
		var name string
		if err := json.Unmarshal([]byte(quoted), &name); err != nil || name == "" || !closed {
			return jsonStep{}, "", errors.New(`has a bracket in its path that is no ["name"]`)
		}
		return jsonStep{name: name}, rest, nil
	}
	digits, rest, closed := strings.Cut(text, "]")
	index, err := strconv.ParseUint(digits, 10, 31)
	if err != nil || !closed || index > maxRuleIndex {
		return jsonStep{}, "", fmt.Errorf("has a bracket in its path that is neither [0] to [%d] nor [\"name\"]", maxRuleIndex)
	}
	return jsonStep{index: int(index)}, rest, nil
}

// decodeJSON reads a body that is one JSON value and nothing else. Numbers keep their text.
func decodeJSON(body []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, errors.New("the body is no json")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the body goes on after its json")
	}
	return value, nil
}

// judge says what is wrong with a decoded body; empty: nothing.
func (r jsonRule) judge(body any) string {
	at := body
	for _, step := range r.steps {
		var ok bool
		if at, ok = step.into(at); !ok {
			return "the body has no " + r.path
		}
	}
	if r.holds(at) {
		return ""
	}
	expected := r.want
	if r.operator != "=" {
		expected = r.operator + " " + expected
	}
	return fmt.Sprintf("%s is %s, expected %s", r.path, jsonWords(at), healthd.Line(expected, 60))
}

func (s jsonStep) into(value any) (any, bool) {
	switch v := value.(type) {
	case map[string]any:
		inner, ok := v[s.name]
		return inner, ok && s.name != ""
	case []any:
		if s.name == "" && s.index < len(v) {
			return v[s.index], true
		}
	}
	return nil, false
}

func (r jsonRule) holds(value any) bool {
	n, isNumber := value.(json.Number)
	have, err := strconv.ParseFloat(string(n), 64) // beyond its range it is an infinity, which compares as it should
	isNumber = isNumber && (err == nil || errors.Is(err, strconv.ErrRange))
	switch r.operator {
	case "<":
		return isNumber && have < r.number
	case "<=":
		return isNumber && have <= r.number
	case ">":
		return isNumber && have > r.number
	case ">=":
		return isNumber && have >= r.number
	}
	var equal bool
	switch v := value.(type) {
	case string:
		equal = v == r.want
	case json.Number:
		equal = !r.quoted && (have == r.number || string(v) == r.want)
	case bool:
		equal = !r.quoted && strconv.FormatBool(v) == r.want
	case nil:
		equal = !r.quoted && r.want == "null"
	}
	return equal == (r.operator == "=")
}

// jsonWords is a value for people: a scalar as it stands, and of the others only what they are.
func jsonWords(value any) string {
	switch v := value.(type) {
	case string:
		return fmt.Sprintf("%q", healthd.Line(v, 60))
	case json.Number:
		return healthd.Line(v.String(), 60)
	case bool:
		return strconv.FormatBool(v)
	case nil:
		return "null"
	case []any:
		return fmt.Sprintf("a list of %d", len(v))
	}
	return "an object"
}
