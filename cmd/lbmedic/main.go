// Command lbmedic is a health sidecar beside each app and a remediation controller beside each load balancer.
package main

import (
	"context"
	"os"
)

// version is set by the linker from git describe.
var version = "dev"

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
