package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
)

const (
	defaultConfigFile = "/etc/lbmedic/lbmedic.yaml"
	defaultSocket     = "/run/lbmedic/admin.sock"
)

// An app is what every command is given: where to read and write, and the flags that all of them share.
// Flags win over LBMEDIC_* variables, and these over defaults.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	letSignals     func() // gives signals up to a command that takes them itself

	output     outputFormat
	noColor    bool
	quiet      bool
	configFile string
	configFlag *pflag.Flag
}

// outputFormat is the value of -o.
type outputFormat string

const (
	outputTable outputFormat = "table" // the default
	outputJSON  outputFormat = "json"
)

func (o *outputFormat) String() string {
	if *o == "" {
		return string(outputTable)
	}
	return string(*o)
}

// Set refuses what is neither table nor json.
func (o *outputFormat) Set(text string) error {
	if text != string(outputTable) && text != string(outputJSON) {
		return errors.New("table and json are known")
	}
	*o = outputFormat(text)
	return nil
}

// Type is what --help calls the value.
func (o *outputFormat) Type() string { return "table|json" }

// json says whether the output is for a program.
func (a *app) json() bool { return a.output == outputJSON }

// readEnvironment takes what LBMEDIC_* variables say; flags are read after it and win.
func (a *app) readEnvironment() error {
	if text := a.getenv("LBMEDIC_OUTPUT"); text != "" {
		if err := a.output.Set(text); err != nil {
			return usageError("LBMEDIC_OUTPUT=%s: %s", text, err)
		}
	}
	if path := a.getenv("LBMEDIC_CONFIG"); path != "" {
		a.configFile = path
	}
	return nil
}

// loadConfig reads the configuration. Where no file was named and the usual one does not exist, it is the built-in one.
func (a *app) loadConfig() (*config.Config, error) {
	c, err := config.Load(a.configFile)
	named := a.configFlag.Changed || a.getenv("LBMEDIC_CONFIG") != ""
	if errors.Is(err, fs.ErrNotExist) && !named {
		return config.Default(), nil
	}
	return c, err
}

// socketFlag adds --socket to a command that talks to the daemon.
func (a *app) socketFlag(cmd *cobra.Command) *string {
	path := defaultSocket
	if named := a.getenv("LBMEDIC_SOCKET"); named != "" {
		path = named
	}
	return cmd.Flags().String("socket", path, "unix socket of the daemon (LBMEDIC_SOCKET)")
}

// colour says whether stdout is a terminal whose reader wants colours.
func (a *app) colour() bool {
	return !a.noColor && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb" && isTerminal(a.stdout)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// say writes a line for people to stdout, unless --quiet or JSON was asked for.
func (a *app) say(format string, args ...any) error {
	if a.quiet || a.json() {
		return nil
	}
	_, err := fmt.Fprintf(a.stdout, format+"\n", args...)
	return err
}
