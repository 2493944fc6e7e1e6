package check

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/lbmedic/lbmedic/healthd"
)

// minSecret is the length in bytes from which a secret is taken out of details. Where a shorter one is missing tells what it is.
const minSecret = 6

// secrets are what a server was told in confidence and may say back, longest first.
type secrets []string

// newSecrets are those of a check: values of options that are secret, as they are sent and as they are printed, and the user of
// its targets. A part of a text is none where another key says it openly.
func newSecrets(s Settings) secrets {
	var told, parts, open []string
	for _, target := range s.target {
		if s.kind.Target.Secret {
			told = append(told, userSecrets(target)...)
		}
	}
	for _, o := range s.kind.Options {
		for _, text := range s.values[o.Key] {
			switch {
			case !o.Secret:
				open = append(open, strings.ToLower(text))
			case o.Type == URL:
				told = append(told, userSecrets(text)...)
			case o.List: // of Name: value, or NAME=value
				told = append(told, namedSecrets(text)...)
			default:
				told = append(told, text)
				parts = append(parts, textParts(text)...)
			}
		}
	}
	parts = slices.DeleteFunc(parts, func(part string) bool {
		return slices.ContainsFunc(open, func(text string) bool { return strings.Contains(text, strings.ToLower(part)) })
	})
	return orderSecrets(append(told, parts...))
}

// orderSecrets adds how a secret looks in a detail, and sorts.
func orderSecrets(told []string) (s secrets) {
	for _, secret := range told {
		quoted := strconv.Quote(secret)
		for _, look := range []string{secret, healthd.Line(secret, 4*len(secret)), quoted[1 : len(quoted)-1]} {
			if len(look) >= minSecret && len(secret) >= minSecret {
				s = append(s, look)
			}
		}
	}
	slices.SortFunc(s, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(s)
}

var (
	// dsnPassword is a password in a DSN of key=value, whose quotes are those of libpq.
	dsnPassword = regexp.MustCompile(`(?i)(?:password|passwd|pwd)\s*=\s*('(?:[^'\\]|\\.)*'|[^\s&]+)`)
	// secretParameter is the name of a parameter of a URL whose value may be a secret.
	secretParameter = regexp.MustCompile(`(?i)key|token|secret|sig|pass|pwd|auth|cred|code|session|jwt`)
)

// userSecrets are those of a URL or a DSN: user:password@ before the host, a token@ of HTTP or NATS, password=.
func userSecrets(target string) (told []string) {
	scheme, rest, isURL := strings.Cut(target, "://")
	if !isURL {
		rest = target
		for _, m := range dsnPassword.FindAllStringSubmatch(target, -1) {
			plain := strings.TrimSuffix(strings.TrimPrefix(m[1], "'"), "'")
			told = append(told, plain, strings.ReplaceAll(strings.ReplaceAll(plain, `\'`, "'"), `\\`, `\`))
		}
	}
	user := ""
	u, err := url.Parse(target)
	switch at := strings.LastIndexByte(rest, '@'); {
	case isURL && err == nil && u.User == nil: // an @ of its path
	case at >= 0: // a password may hold one
		user = rest[:at]
	}
	name, password, two := strings.Cut(user, ":")
	switch {
	case two:
		told = append(told, password)
		if plain, err := url.PathUnescape(password); isURL && err == nil {
			told = append(told, plain)
			plainName, _ := url.PathUnescape(name)
			told = append(told, base64.StdEncoding.EncodeToString([]byte(plainName+":"+plain)))
		}
	case user != "" && slices.Contains([]string{"http", "https", "nats", "tls"}, scheme):
		told = append(told, user, base64.StdEncoding.EncodeToString([]byte(user+":")))
	}
	if isURL && err == nil {
		for name, values := range u.Query() {
			if secretParameter.MatchString(name) {
				told = append(told, values...)
			}
		}
	}
	return told
}

// namedSecrets are those of a header or a variable: its value, without the scheme before it, and the user and password of Basic.
func namedSecrets(text string) []string {
	value := text
	if i := strings.IndexAny(text, ":="); i >= 0 {
		value = strings.TrimSpace(text[i+1:])
	}
	told := []string{value}
	if scheme, token, ok := strings.Cut(value, " "); ok {
		token = strings.TrimSpace(token)
		told = append(told, token)
		if pair, err := base64.StdEncoding.DecodeString(token); err == nil && strings.EqualFold(scheme, "basic") {
			_, password, _ := strings.Cut(string(pair), ":")
			told = append(told, password)
		}
	}
	return told
}

// textParts are what may come back of a text that is sent: the words of a command, the values of a form or of JSON.
func textParts(text string) []string {
	sent, err := unescape(text)
	if err != nil {
		sent = text
	}
	told := []string{strings.TrimSpace(sent)}
	for _, word := range strings.FieldsFunc(sent, func(r rune) bool { return strings.ContainsRune(" \t\r\n\x00&", r) }) {
		if strings.HasPrefix(word, "HTTP/") {
			continue
		}
		told = append(told, word)
		if _, value, ok := strings.Cut(word, "="); ok {
			told = append(told, value)
		}
	}
	var document any
	if json.Unmarshal([]byte(text), &document) == nil {
		told = append(told, jsonTexts(document)...)
	}
	return told
}

func jsonTexts(document any) (texts []string) {
	switch value := document.(type) {
	case string:
		return []string{value}
	case []any:
		for _, v := range value {
			texts = append(texts, jsonTexts(v)...)
		}
	case map[string]any:
		for _, v := range value {
			texts = append(texts, jsonTexts(v)...)
		}
	}
	return texts
}

// guard is the probe with its details scrubbed.
func (s secrets) guard(p Probe) Probe {
	if len(s) == 0 {
		return p
	}
	return func(ctx context.Context) healthd.Outcome {
		o := p(ctx)
		o.Detail = s.scrub(o.Detail)
		return o
	}
}

// scrub takes the secrets out of a detail, in whatever case, and what is left of one where the detail was cut.
func (s secrets) scrub(text string) string {
	for _, secret := range s {
		for i := 0; i+len(secret) <= len(text); i++ {
			if strings.EqualFold(text[i:i+len(secret)], secret) {
				text = text[:i] + hidden + text[i+len(secret):]
				i += len(hidden) - 1
			}
		}
		text = scrubCut(text, secret)
	}
	return text
}

// hidden stands for a secret.
const hidden = "***"

// scrubCut takes out the beginning of a secret before the mark of a cut.
func scrubCut(text, secret string) string {
	const mark = "..."
	for i := len(text) - len(mark); i > 0; i-- {
		if text[i:i+len(mark)] != mark {
			continue
		}
		for n := min(len(secret)-1, i); n >= 3; n-- {
			if strings.EqualFold(text[i-n:i], secret[:n]) {
				text = text[:i-n] + hidden + text[i:]
				i -= n // the text is no longer than before
				break
			}
		}
	}
	return text
}
