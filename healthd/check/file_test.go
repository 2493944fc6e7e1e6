package check

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

func TestFileIsJudged(t *testing.T) {
	dir := t.TempDir()
	at := func(name string, age time.Duration, text string) string {
		path := filepath.Join(dir, name)
		write(t, path, text)
		when := time.Now().Add(-age)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
		return path
	}
	old, young, future := at("old", time.Hour, "heartbeat"), at("young", 0, ""), at("future", -time.Hour, "")
	link := filepath.Join(dir, "link")
	if err := os.Symlink(old, link); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path   string
		o      options
		class  healthd.Class
		detail string
	}{
		"there":                {old, nil, healthd.OK, "old was changed 1h0m0s ago; it has 9 B"},
		"not there":            {filepath.Join(dir, "lost"), nil, healthd.WrongAnswer, "lost is not there"},
		"rightly not there":    {filepath.Join(dir, "lost"), options{"exists": {"false"}}, healthd.OK, "lost is not there"},
		"wrongly there":        {old, options{"exists": {"false"}}, healthd.WrongAnswer, "is there, and should not be"},
		"too old":              {old, options{"max_age": {"30m"}}, healthd.WrongAnswer, "old was changed 1h0m0s ago, fails above 30m0s"},
		"rather old":           {old, options{"max_age": {"2h"}, "warn_age": {"30m"}}, healthd.Degraded, "warns above 30m0s, fails above 2h0m0s"},
		"young enough":         {young, options{"max_age": {"30m"}}, healthd.OK, "young was changed 0s ago"},
		"too young":            {young, options{"min_age": {"30m"}}, healthd.WrongAnswer, "fails below 30m0s"},
		"from the future":      {future, options{"max_age": {"30m"}}, healthd.Degraded, "future was changed 1h0m0s in the future; a clock was set back"},
		"too small":            {young, options{"min_size": {"1KiB"}}, healthd.WrongAnswer, "young has 0 B, fails below 1.0 KiB"},
		"too big":              {old, options{"max_size": {"8"}}, healthd.WrongAnswer, "it has 9 B, fails above 8 B"},
		"of the right size":    {old, options{"min_size": {"9"}, "max_size": {"9"}}, healthd.OK, "9 B"},
		"a link followed":      {link, options{"min_size": {"9"}, "max_size": {"9"}}, healthd.OK, "9 B"},
		"a link not followed":  {link, options{"follow": {"false"}}, healthd.WrongAnswer, "link is a symbolic link, which is not followed"},
		"not to be looked at":  {filepath.Join(old, "below"), nil, healthd.OwnFault, "not a directory"},
		"a link, not followed": {link, options{"follow": {"false"}, "exists": {"false"}}, healthd.WrongAnswer, "is there, and should not be"},
	} {
		t.Run(name, func(t *testing.T) { sees(t, prober(t, "file", []string{c.path}, c.o)(), c.class, c.detail) })
	}
}
