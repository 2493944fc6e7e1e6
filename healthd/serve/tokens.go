package serve

import (
	"crypto/sha256"
	"crypto/subtle"
	"strings"
)

// maxToken bounds what is looked at, in bytes.
const maxToken = 1 << 10

// Tokens are the secrets whose holders are told details. Several are valid at once, so that they can be rotated. The zero value is held by nobody.
type Tokens struct{ sums [][sha256.Size]byte }

// NewTokens keeps the tokens' digests. An empty token is left out: nobody could tell its holder from a stranger.
func NewTokens(tokens []string) Tokens {
	var t Tokens
	for _, token := range tokens {
		if token != "" {
			t.sums = append(t.sums, sha256.Sum256([]byte(token)))
		}
	}
	return t
}

// Held reports whether the values of an Authorization header are one `Bearer TOKEN` with a token of these (RFC 6750). How long it takes says
// nothing about a token: digests are compared, each with all of them.
func (t Tokens) Held(authorization []string) bool {
	if len(authorization) != 1 || len(authorization[0]) > maxToken || len(t.sums) == 0 {
		return false
	}
	scheme, token, _ := strings.Cut(authorization[0], " ")
	if !strings.EqualFold(scheme, "bearer") {
		return false
	}
	sum := sha256.Sum256([]byte(strings.TrimLeft(token, " ")))
	held := 0
	for i := range t.sums {
		held |= subtle.ConstantTimeCompare(sum[:], t.sums[i][:])
	}
	return held == 1
}
