package check

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/lbmedic/lbmedic/healthd"
)

// maxBulk bounds one bulk string; INFO of one section is about 2 KB.
const maxBulk = 64 << 10

// respError is an error as the server said it: "NOAUTH Authentication required."
type respError string

func (e respError) Error() string { return string(e) }

// respCommand writes a command as an array of bulk strings, which no byte in an argument can break out of.
func respCommand(words ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b.String()
}

// readRESP reads a simple string, a bulk string, or an error, which are all that the commands here are answered with.
func readRESP(r *bufio.Reader) (string, error) {
	line, err := readLine(r)
	if err != nil {
		return "", err
	}
	if line == "" {
		return "", errors.New("it said an empty line")
	}
	switch rest := line[1:]; line[0] {
	case '+':
		return rest, nil
	case '-':
		return "", respError(rest)
	case '$':
		size, err := strconv.ParseUint(rest, 10, 31)
		if err != nil || size > maxBulk {
			return "", fmt.Errorf("a string of %q bytes, more than %d", healthd.Line(rest, 20), maxBulk)
		}
		text := make([]byte, size+2)
		if _, err := io.ReadFull(r, text); errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			return "", errors.New("the connection was closed within an answer")
		} else if err != nil {
			return "", err
		}
		body, ok := strings.CutSuffix(string(text), "\r\n")
		if !ok {
			return "", errors.New("a string longer than it was said to be")
		}
		return body, nil
	}
	return "", fmt.Errorf("it said %q", healthd.Line(line, 80))
}

// redisInfo holds the fields of INFO.
type redisInfo map[string]string

func (i redisInfo) read(text string) {
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); ok {
			i[key] = value
		}
	}
}

// memory is the used part of maxmemory in percent; false where there is no limit.
func (i redisInfo) memory() (float64, bool) {
	used, err := strconv.ParseFloat(i["used_memory"], 64)
	limit, err2 := strconv.ParseFloat(i["maxmemory"], 64)
	if err != nil || err2 != nil || !(limit > 0) || !(used >= 0) {
		return 0, false
	}
	return used / limit * 100, true
}

// linkDown says how a replica lost its primary. During a first sync there is no time since when.
func (i redisInfo) linkDown() string {
	if i["master_sync_in_progress"] == "1" {
		return "role replica, syncing with its primary"
	}
	text := "role replica, its link to the primary is down"
	if since, err := strconv.ParseInt(i["master_link_down_since_seconds"], 10, 64); err == nil && since > 0 {
		text += fmt.Sprintf(" for %d s", since)
	}
	return text
}
