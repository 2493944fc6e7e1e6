package probe

import (
	"os"
	"strings"

	"github.com/lbmedic/lbmedic/healthd"
)

// bootFile is other after each boot of a Linux host, and the same in its containers.
const bootFile = "/proc/sys/kernel/random/boot_id"

// boot names the boot of this host; empty where the kernel does not say.
func boot() string {
	text, err := os.ReadFile(bootFile)
	if err != nil {
		return ""
	}
	return healthd.Line(strings.TrimSpace(string(text)), 64)
}
