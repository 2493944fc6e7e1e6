// Package healthd judges the health of the services of one instance. It is pure: outcomes of probes go in, verdicts, a
// rolled-up status and an immutable snapshot come out, and time is a value that the caller gives. Running the probes, keeping the
// snapshot and answering those who ask are the folders below.
package healthd
