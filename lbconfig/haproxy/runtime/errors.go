package runtime

import (
	"errors"
	"fmt"
	"strings"
)

// What can be wrong with a socket, and what to do about it. Every error of this package that has one of these causes
// matches it with errors.Is, and carries the address and the advice in its text.
var (
	ErrName       = errors.New("not a name that may be sent to HAProxy")
	ErrMissing    = errors.New("the socket does not exist")
	ErrRefused    = errors.New("nobody listens on the socket")
	ErrPermission = errors.New("this user may not open the socket")
	ErrNotSocket  = errors.New("not a socket")
	ErrTimeout    = errors.New("no complete answer in time")
	ErrTruncated  = errors.New("the answer ends in the middle")
	ErrNotHAProxy = errors.New("the answer is not HAProxy's")
	ErrTooLarge   = errors.New("the answer is larger than allowed")
	ErrLevel      = errors.New("the socket's level is too low")
	ErrStopping   = errors.New("the worker that answers is stopping")
	ErrGeneration = errors.New("another HAProxy process answers than the one expected")
	ErrUnknown    = errors.New("HAProxy knows no such backend, server or session")
	ErrDisabled   = errors.New("the worker is an old one and takes no changes")
	ErrSaid       = errors.New("HAProxy refused the command")
)

// fault is an error with a cause among the above and the underlying error, if any; its text is one line.
type fault struct {
	cause error
	under error
	text  string
}

func (f *fault) Error() string { return f.text }

func (f *fault) Unwrap() []error {
	if f.under == nil {
		return []error{f.cause}
	}
	return []error{f.cause, f.under}
}

func newFault(cause, under error, format string, args ...any) error {
	return &fault{cause: cause, under: under, text: fmt.Sprintf(format, args...)}
}

// said turns HAProxy's own words into an error.
func said(words string) error {
	for _, known := range knownWords {
		if strings.Contains(words, known.words) {
			return newFault(known.cause, nil, "HAProxy says %q: %s", words, known.advice)
		}
	}
	return newFault(ErrSaid, nil, "HAProxy says %q", words)
}

var knownWords = []struct {
	words, advice string
	cause         error
}{
	{"Permission denied", "add `level admin` to the `stats socket` line", ErrLevel},
	{"No such server", "read its servers again, they have changed", ErrUnknown},
	{"No such backend", "read its backends again, they have changed", ErrUnknown},
	{"Can't find backend", "read its backends again, they have changed", ErrUnknown},
	{"No such session", "it has ended", ErrUnknown},
	{"Proxy is disabled", "the worker is stopping after a reload; ask the new one", ErrDisabled},
	{"Can't find the target PID", "the process has ended", ErrUnknown},
	{"Unknown command", "this version of HAProxy does not have the command", ErrSaid},
}

// quote shows foreign bytes in an error: escaped, and no more than the beginning of them.
func quote(b []byte) string {
	const most = 60
	if len(b) > most {
		return fmt.Sprintf("%q and %d bytes more", b[:most], len(b)-most)
	}
	return fmt.Sprintf("%q", b)
}
