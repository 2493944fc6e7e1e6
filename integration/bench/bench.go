// Package bench holds the benchmarks that `make bench` prints: figures of the whole program and its parts, measured
// against the real balancers, as medians of rounds that take turns.
package bench
