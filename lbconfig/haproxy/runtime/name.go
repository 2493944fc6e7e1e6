package runtime

import "fmt"

// MaxName is the longest name of a backend or server that is sent, in bytes.
const MaxName = 128

// CheckName says whether a backend's or server's name may be sent: 1 to 128 bytes of A-Z a-z 0-9 _ . : and -, which is
// what HAProxy itself allows in names. A newline or ; would start a second command, NUL and blanks would hide
// the rest, \ escapes, # starts an id, << a payload, @ another process.
func CheckName(name string) error {
	if name == "" {
		return newFault(ErrName, nil, "the name is empty")
	}
	for i := range len(name) {
		if !nameByte(name[i]) {
			return newFault(ErrName, nil, "the name %s has byte %s at offset %d; only A-Z a-z 0-9 _ . : and - may be sent",
				quote([]byte(name)), showByte(name[i]), i)
		}
	}
	if len(name) > MaxName {
		return newFault(ErrName, nil, "the name %s is %d bytes long; at most %d may be sent", quote([]byte(name)), len(name), MaxName)
	}
	return nil
}

func nameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '.' || c == ':' || c == '-'
}

func showByte(c byte) string {
	if c > ' ' && c < 0x7f {
		return fmt.Sprintf("%q", rune(c))
	}
	return fmt.Sprintf("0x%02x", c)
}
