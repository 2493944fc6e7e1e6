package serve

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// problem is an answer about the request itself, as RFC 9457 has it.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

func refuse(w http.ResponseWriter, status int, detail string) {
	text, err := json.Marshal(problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail})
	if err != nil { // of strings and a number: cannot be
		text = fmt.Appendf(nil, `{"status":%d}`, status)
	}
	h := w.Header()
	h["Content-Type"] = problemType
	h["Content-Length"] = []string{strconv.Itoa(len(text))}
	w.WriteHeader(status)
	_, _ = w.Write(text) // a caller that has gone misses nothing
}
