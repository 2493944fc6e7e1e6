//go:build lite

package check

// heavyKinds are not in a lite build.
var heavyKinds map[string]Kind

// absent names the kinds that this build lacks.
var absent = []string{"kafka", "mongodb", "mysql", "postgres", "rabbitmq"}
