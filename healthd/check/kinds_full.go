//go:build !lite

package check

// heavyKinds are those whose drivers are most of the program's size.
var heavyKinds = map[string]Kind{
	"kafka":    kafkaKind,
	"mongodb":  mongodbKind,
	"mysql":    mysqlKind,
	"postgres": postgresKind,
	"rabbitmq": rabbitmqKind,
}

// absent names the kinds that this build lacks.
var absent []string
