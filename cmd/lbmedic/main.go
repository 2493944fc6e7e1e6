// Command lbmedic is a health sidecar beside each app and a remediation controller beside each load balancer.
package main

import (
	"fmt"
	"os"
)

// version is set by the linker from git describe.
var version = "dev"

func main() {
	fmt.Fprintln(os.Stdout, "lbmedic "+version)
}
