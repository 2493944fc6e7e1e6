package admin

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// An expectation is what one endpoint answers when it is asked as it should be.
type expectation struct {
	path, body string
	status     int
	mutates    bool
	role       Role // the least that may use it over TCP
}

// expectations has an entry for every endpoint (C8): a new one without its line here fails the test.
var expectations = map[string]expectation{
	"GET /v1/status": {path: "/v1/status", status: 200, role: Read},
	"GET /v1/health": {path: "/v1/health", status: 200, role: Read},
	"GET /v1/events": {path: "/v1/events", status: 200, role: Read},
	"GET /v1/drains/{balancer}/{backend}/{server}": {path: "/v1/drains/edge/web/s0?timeout=10ms", status: 200, role: Read},
	"GET /v1/drains/{service}":                     {path: "/v1/drains/web?timeout=10ms", status: 200, role: Read},
	"GET /v1/drained":                              {path: "/v1/drained?address=10.0.0.5:80", status: 200, role: Ask},
	"POST /v1/orders":                              {path: "/v1/orders", body: `{"target":"edge/web/s0","want":"drain","reason":"deploy"}`, status: 200, mutates: true, role: Operate},
	"POST /v1/freeze":                              {path: "/v1/freeze", body: `{"reason":"storm"}`, status: 200, mutates: true, role: Operate},
	"POST /v1/thaw":                                {path: "/v1/thaw", body: `{}`, status: 200, mutates: true, role: Operate},
	"POST /v1/release":                             {path: "/v1/release", body: `{"all":true}`, status: 200, mutates: true, role: Operate},
}

func TestEveryEndpointAnswersItsMethodAndNoOther(t *testing.T) {
	s := newStage(t)
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
	known := map[string]bool{}
	for _, e := range endpoints {
		name := e.method + " " + e.path
		known[name] = true
		want, ok := expectations[name]
		if !ok {
			t.Errorf("%s has no expectation", name)
			continue
		}
		if want.mutates != (e.method == "POST") {
			t.Errorf("%s: only POST may change anything", name)
		}
		for _, method := range methods {
			if _, other := expectations[method+" "+e.path]; other && method != e.method {
				continue
			}
			status := http.StatusMethodNotAllowed
			if method == e.method {
				status = want.status
			}
			got, answer := s.request(method, want.path, want.body, nil)
			if got.StatusCode != status {
				t.Errorf("%s %s: status %d, want %d: %s", method, e.path, got.StatusCode, status, answer)
			}
			if got.StatusCode == http.StatusMethodNotAllowed && got.Header.Get("Allow") != e.method {
				t.Errorf("%s %s: Allow is %q, want %q", method, e.path, got.Header.Get("Allow"), e.method)
			}
		}
	}
	for name := range expectations {
		if !known[name] {
			t.Errorf("%s is expected and is no endpoint", name)
		}
	}
	if res, _ := s.request("GET", "/v1/nothing", "", nil); res.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown path: status %d", res.StatusCode)
	}
}

func TestNoEndpointAnswersABrowser(t *testing.T) {
	s := newStage(t)
	for name, e := range expectations {
		method, _, _ := strings.Cut(name, " ")
		for _, header := range []string{"Origin", "Sec-Fetch-Site"} {
			last := s.book.Last()
			res, text := s.request(method, e.path, e.body, map[string]string{header: "http://evil.example"})
			if res.StatusCode != http.StatusForbidden || reasonOf(t, text) != Forbidden {
				t.Errorf("%s with %s: status %d: %s", name, header, res.StatusCode, text)
			}
			if s.book.Last() != last {
				t.Errorf("%s with %s was written down", name, header)
			}
		}
	}
}

func TestWrongRequestsAreRefusedBeforeAnythingIsDone(t *testing.T) {
	s := newStage(t)
	long := strings.Repeat("x", maxBody)
	bodies := map[string]string{
		"nothing":           ``,
		"no object":         `[]`,
		"an unknown field":  `{"reason":"x","by":"mallory"}`,
		"two objects":       `{} {}`,
		"half an object":    `{"reason":`,
		"too much":          `{"reason":"` + long + `"}`,
		"a long reason":     `{"reason":"` + strings.Repeat("x", maxReason+1) + `"}`,
		"a second line":     `{"reason":"a\nb"}`,
		"a terminal's code": `{"reason":"\u001b[2J"}`,
		"a turned reason":   `{"reason":"\u202e"}`,
		"a wrong type":      `{"reason":5}`,
	}
	last := s.book.Last()
	for name, body := range bodies {
		res, text := s.request("POST", "/v1/freeze", body, nil)
		if res.StatusCode != http.StatusBadRequest || reasonOf(t, text) != BadRequest {
			t.Errorf("%s: status %d: %s", name, res.StatusCode, text)
		}
		if kind := res.Header.Get("Content-Type"); kind != "application/problem+json" {
			t.Errorf("%s: content type %q", name, kind)
		}
	}
	res, text := s.request("POST", "/v1/freeze", `{}`, map[string]string{"Content-Type": "text/plain"})
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("another content type: status %d: %s", res.StatusCode, text)
	}
	for name, path := range map[string]string{
		"a word for a number":   "/v1/events?after=x",
		"no events":             "/v1/events?limit=0",
		"too many events":       "/v1/events?limit=100001",
		"an unknown parameter":  "/v1/events?since=5",
		"a wrong follow":        "/v1/events?follow=maybe",
		"a wrong timeout":       "/v1/drains/edge/web/s0?timeout=soon",
		"a negative timeout":    "/v1/drains/edge/web/s0?timeout=-1s",
		"an endless timeout":    "/v1/drains/edge/web/s0?timeout=100h",
		"a name with a newline": "/v1/drains/edge/web/s0%0Aquit",
		"a name with a slash":   "/v1/drains/edge/web/s0%2Fs1",
	} {
		if res, text := s.request("GET", path, "", nil); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: status %d: %s", name, res.StatusCode, text)
		}
	}
	if s.book.Last() != last {
		t.Error("something was written down")
	}
}

// request asks without the client, as anything may.
func (s *stage) request(method, path, body string, header map[string]string) (*http.Response, []byte) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, "http://lbmedic"+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := s.client.http.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res, bytes.TrimSpace(text)
}

func reasonOf(t *testing.T, text []byte) Reason {
	t.Helper()
	var p Problem
	if err := json.Unmarshal(text, &p); err != nil {
		t.Errorf("no problem: %s", text)
	}
	return p.Reason
}
