package config

import (
	"regexp"
	"strings"

	"github.com/lbmedic/lbmedic/healthd/check"
)

// mask stands for a secret.
const mask = "xxxxx"

var (
	// secretPart is a value in a DSN of key=value.
	secretPart = regexp.MustCompile(`(?i)((?:pass|passwd|password|pwd|secret|token|sslpassword)\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^\s&;]+)`)
	// secretQuery is a parameter of a URL whose name says that its value is a secret.
	secretQuery = regexp.MustCompile(`(?i)([?&][^=&#]*(?:key|token|secret|sig|pass|pwd|auth|cred|code|session|jwt)[^=&#]*=)[^&#]*`)
	// urlUser is what stands before the host of a URL: user:password, or one word, which may be a token.
	urlUser = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*://)(?:([^:@/?#]*):[^/?#]*|[^/?#]*)@`)
	// dsnUser is user:password@ in what is no URL, as in the DSN of MySQL.
	dsnUser = regexp.MustCompile(`^([^:@/]*):.*@`)
	// named is NAME: value or NAME=value.
	named = regexp.MustCompile(`^([A-Za-z0-9_-]+(?::\s*|=)).*$`)
)

// WithoutSecret is the target of a check for people and for siblings: no password in it, and of a program not what it is told.
func WithoutSecret(kind string, target []string) string {
	if kind == "exec" {
		target = target[:1]
	}
	return hideSecret(strings.Join(target, " "))
}

// hideSecret hides passwords in a URL, a DSN, or a text with password=….
func hideSecret(text string) string {
	switch {
	case urlUser.MatchString(text):
		text = urlUser.ReplaceAllStringFunc(text, func(user string) string {
			m := urlUser.FindStringSubmatch(user)
			if m[2] == "" {
				return m[1] + mask + "@"
			}
			return m[1] + m[2] + ":" + mask + "@"
		})
	case !strings.Contains(text, "://"):
		text = dsnUser.ReplaceAllString(text, "$1:"+mask+"@")
	}
	return secretPart.ReplaceAllString(secretQuery.ReplaceAllString(text, "${1}"+mask), "${1}"+mask)
}

// hideValue hides the value of a header or a variable and leaves its name.
func hideValue(text string) string {
	if named.MatchString(text) {
		return named.ReplaceAllString(text, "${1}"+mask)
	}
	return mask
}

// bearerToken is what a header can carry, and long enough that nobody guesses it.
var bearerToken = &scalar{
	noun:  "a token of 16 to 256 letters, digits and -._~+/=",
	json:  map[string]any{"type": "string", "pattern": `^[A-Za-z0-9._~+/=-]{16,256}$`},
	parse: func(text string) (any, string, bool) { return text, "", tokenGrammar.MatchString(text) },
	show:  func(string) string { return mask },
}

var tokenGrammar = regexp.MustCompile(`^[A-Za-z0-9._~+/=-]{16,256}$`)

// secretScalar is one whose value config show does not print, or only the part that tells nothing, and that does not take what config show
// prints instead.
func secretScalar(plain *scalar, o check.Option) *scalar {
	hidden := *plain
	switch {
	case o.Key == "" || o.Type == check.URL:
		hidden.show = hideSecret
	case o.List:
		hidden.show = hideValue
	default:
		hidden.show = func(string) string { return mask }
	}
	hidden.parse = func(text string) (any, string, bool) {
		if strings.Contains(text, mask) {
			return nil, "has " + mask + " in it, which is what config show prints for a secret; write the secret, or ${file:/path}", false
		}
		return plain.parse(text)
	}
	return &hidden
}
