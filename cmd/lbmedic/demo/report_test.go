package demo

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata anew")

func TestTheSummaryForPeople(t *testing.T) {
	for name, spoil := range map[string]func(*History){
		"kept":   func(*History) {},
		"broken": func(h *History) { h.Counts[Deploy] = counted(300, 2, 1, map[string]int{"app2 v2": 60}) },
	} {
		h := asPromised()
		spoil(h)
		r := newReport(h)
		r.HAProxy, r.Looks, r.Gap, r.Figures.Story = "2.6.12", 700, 14, 7123
		var out bytes.Buffer
		if err := r.Print(&out, false); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", name+".txt")
		if *update {
			if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if out.String() != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, out.String(), want)
		}
		out.Reset()
		if err := r.Print(&out, true); err != nil || strings.Count(out.String(), "\x1b[0m") < len(promises) {
			t.Errorf("on a terminal it has colours: %q, %v", out.String(), err)
		}
	}
}

func TestTheSummaryForMachines(t *testing.T) {
	text, err := json.Marshal(newReport(asPromised()))
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Kept    bool `json:"kept"`
		Figures struct {
			Remove float64 `json:"remove_ms"`
		} `json:"figures"`
		Phases []struct {
			Phase string `json:"phase"`
			Sent  int    `json:"sent"`
			Lost  *int   `json:"lost"`
		} `json:"phases"`
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if !r.Kept || r.Figures.Remove != 10 || len(r.Phases) != len(phases) || r.Phases[4].Phase != "deploy" || r.Phases[4].Sent != 300 || r.Phases[4].Lost == nil {
		t.Errorf("%s", text)
	}
}
