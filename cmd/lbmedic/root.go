package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
)

// commands are all commands. A new one is a file with its function and a line here.
var commands = []func(*app) *cobra.Command{
	newRunCommand,
	newStatusCommand,
	newDrainCommand,
	newMaintCommand,
	newReadyCommand,
	newCheckCommand,
	newLintCommand,
	newEventsCommand,
	newFreezeCommand,
	newThawCommand,
	newReleaseCommand,
	newConfigCommand,
	newDemoCommand,
	newVersionCommand,
}

// run is the whole program: it returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := untilSignal(ctx)
	stop = sync.OnceFunc(stop)
	defer stop()
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, getenv: os.Getenv, letSignals: stop}
	root := newRootCommand(a)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := a.readEnvironment(); err != nil {
		return a.exit(ctx, err)
	}
	return a.exit(ctx, root.ExecuteContext(ctx))
}

func newRootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:           "lbmedic",
		Short:         "keeps the backends behind HAProxy and nginx in service",
		Version:       version,
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          needsSubcommand,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.configFile, "config", defaultConfigFile, "configuration (LBMEDIC_CONFIG)")
	flags.VarP(&a.output, "output", "o", "table or json (LBMEDIC_OUTPUT)")
	flags.BoolVar(&a.noColor, "no-color", false, "no colours, as with NO_COLOR or TERM=dumb")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "print nothing but errors and what was asked for")
	a.configFlag = flags.Lookup("config")
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(newHelpCommand(a))
	for _, command := range commands {
		root.AddCommand(command(a))
	}
	return root
}

// needsSubcommand runs where a command was named that only holds others: without arguments the root helps, the others
// say what is missing; with one it is a word that we do not know.
func needsSubcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 && !cmd.HasParent() {
		return cmd.Help()
	}
	var known []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			known = append(known, sub.Name())
		}
	}
	if len(args) == 0 {
		return usageError("%s needs one of %s; see %s --help", cmd.CommandPath(), strings.Join(known, ", "), cmd.CommandPath())
	}
	for _, sub := range cmd.Commands() {
		known = append(known, sub.Aliases...)
	}
	return usageError("unknown command %q%s", args[0], seeHelp(cmd, "", config.Nearest(args[0], known)))
}

// flagError names the nearest flag.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return usageError("%s%s", err, seeHelp(cmd, "", ""))
	}
	name := unknown.GetSpecifiedName()
	if unknown.GetSpecifiedShortnames() != "" {
		return usageError("unknown flag -%s%s", name, seeHelp(cmd, "", ""))
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	cmd.InheritedFlags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	return usageError("unknown flag --%s%s", name, seeHelp(cmd, "--", config.Nearest(name, known)))
}

// seeHelp is the end of a usage error: the word that was meant, if one is near, and where to look.
func seeHelp(cmd *cobra.Command, prefix, near string) string {
	help := fmt.Sprintf("; see %s --help", cmd.CommandPath())
	if near != "" {
		return fmt.Sprintf("; did you mean %s%s?", prefix, near) + strings.Replace(help, ";", "", 1)
	}
	return help
}

// argsBetween takes that many arguments; names are theirs, for the message.
func argsBetween(least, most int, names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usageError("%s needs %s%s", cmd.CommandPath(), names, seeHelp(cmd, "", ""))
		case len(args) > most && most == 0:
			return usageError("%s takes no arguments, not %q%s", cmd.CommandPath(), args[0], seeHelp(cmd, "", ""))
		case len(args) > most:
			return usageError("%s takes %s, and no %q%s", cmd.CommandPath(), names, args[most], seeHelp(cmd, "", ""))
		}
		return nil
	}
}
