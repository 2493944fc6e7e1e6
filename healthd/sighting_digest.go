package healthd

import (
	"crypto/sha256"
	"encoding/hex"
)

// Digest stands for a dependency where its address is not to be told: siblings know their own dependencies and find it among them, strangers
// see 128 bits of a SHA-256.
func Digest(dependency string) string {
	sum := sha256.Sum256([]byte(dependency))
	return "sha256-" + hex.EncodeToString(sum[:16])
}
