//go:build lite

package config

import (
	"strings"
	"testing"
)

// A check of a kind that only the full build has is refused by its name, and the error says what to install.
func TestALiteBuildRefusesAHeavyCheckByName(t *testing.T) {
	_, err := parse("lbmedic.yaml", []byte("health:\n  services:\n    web:\n      checks:\n        orders: {postgres: \"host=127.0.0.1\", lag_warn: 1s, role: primary}\n"), environment(""))
	if err == nil || !strings.Contains(err.Error(), "postgres") || !strings.Contains(err.Error(), "lite build") || strings.Contains(err.Error(), "unknown") {
		t.Errorf("got %v", err)
	}
}
