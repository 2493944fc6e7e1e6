package integration

import (
	"encoding/csv"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// hasocket asks HAProxy itself what state it has its servers in. It shares no code with the program under test.
type hasocket string

// seen is one server of backend web as HAProxy reports it.
type seen struct {
	Status   string // "UP", "DOWN", "DRAIN", "MAINT", "UP 1/2", …
	Admin    int    // srv_admin_state; -1: there is no such server
	Checks   bool   // its checks are switched on
	Weight   int
	Sessions int
}

// say sends one line and returns the whole answer, or nothing where HAProxy does not answer.
func (h hasocket) say(line string) string {
	c, err := net.DialTimeout("unix", string(h), time.Second)
	if err != nil {
		return ""
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return ""
	}
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		return ""
	}
	reply, err := io.ReadAll(c)
	if err != nil {
		return ""
	}
	return string(reply)
}

// must sends a command whose success is silence.
func (h hasocket) must(t *testing.T, line string) {
	t.Helper()
	if reply := h.say(line); reply != "\n" {
		t.Fatalf("%s: HAProxy says %q", line, reply)
	}
}

// pid is the process that answers; 0: none.
func (h hasocket) pid() int {
	for line := range strings.Lines(h.say("show info")) {
		if value, ok := strings.CutPrefix(line, "Pid: "); ok {
			pid, _ := strconv.Atoi(strings.TrimSpace(value))
			return pid
		}
	}
	return 0
}

// checkEnabled is CHK_ST_ENABLED in srv_check_state.
const checkEnabled = 4

// server reads one server of backend web.
func (h hasocket) server(name string) seen {
	s := seen{Admin: -1}
	var columns []string
	for line := range strings.Lines(h.say("show servers state web")) {
		fields := strings.Fields(strings.TrimPrefix(line, "# "))
		switch {
		case strings.HasPrefix(line, "# "):
			columns = fields
		case len(fields) == len(columns) && column(columns, fields, "srv_name") == name:
			s.Admin, _ = strconv.Atoi(column(columns, fields, "srv_admin_state"))
			s.Weight, _ = strconv.Atoi(column(columns, fields, "srv_uweight"))
			state, _ := strconv.Atoi(column(columns, fields, "srv_check_state"))
			s.Checks = state&checkEnabled != 0
		}
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(h.say("show stat"), "# "))).ReadAll()
	if err != nil || len(rows) == 0 {
		return seen{Admin: -1}
	}
	for _, row := range rows[1:] {
		if column(rows[0], row, "pxname") == "web" && column(rows[0], row, "svname") == name {
			s.Status = column(rows[0], row, "status")
			s.Sessions, _ = strconv.Atoi(column(rows[0], row, "scur"))
		}
	}
	return s
}

func column(names, row []string, name string) string {
	for i, n := range names {
		if n == name && i < len(row) {
			return row[i]
		}
	}
	return ""
}

// up reports whether a server is in service, with its checks on and nobody's flag on it.
func (s seen) up() bool { return s.Status == "UP" && s.Admin == 0 && s.Checks }

// forced reports whether it is out by forced health, as automation does it.
func (s seen) forced() bool { return s.Status == "DOWN" && s.Admin == 0 && !s.Checks }
