package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
)

func newConfigCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "check and show lbmedic's own configuration",
		Args:  cobra.ArbitraryArgs,
		RunE:  needsSubcommand,
	}
	cmd.AddCommand(newConfigCheckCommand(a), newConfigShowCommand(a), newConfigSchemaCommand(a))
	return cmd
}

func newConfigCheckCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "check [FILE|-]",
		Aliases: []string{"validate"},
		Short:   "report every mistake at once, with file:line:col",
		Long:    "Reports every mistake in the configuration at once, with file:line:col.\nExit status 0: valid; 1: it has mistakes or cannot be read.",
		Args:    argsBetween(0, 1, "one FILE, or - for standard input"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, c, err := a.namedConfig(cmd.Context(), args)
			var mistakes config.Errors
			if err != nil && !errors.As(err, &mistakes) {
				return err
			}
			if a.json() {
				return errors.Join(a.printJSON(verdictOf(name, c, mistakes)), a.silently(err))
			}
			if err != nil {
				return err
			}
			v := verdictOf(name, c, nil)
			for _, note := range v.Notes {
				if err := a.say("%s: note: %s", name, plain(note)); err != nil {
					return err
				}
			}
			return a.say("%s: valid: %s, %s, %s", name,
				count(v.Services, "service"), count(v.Checks, "check"), count(v.Balancers, "balancer"))
		},
	}
}

// silently is an error that JSON has told already.
func (a *app) silently(err error) error {
	if err == nil {
		return nil
	}
	return exitWith(exitLocal)
}

// namedConfig reads the configuration that the arguments name: a file, - for standard input, or the usual file.
func (a *app) namedConfig(ctx context.Context, args []string) (name string, c *config.Config, err error) {
	name = a.configFile
	if len(args) == 1 {
		name = args[0]
	}
	if name == "-" {
		c, err = a.stdinConfig(ctx)
		return "<stdin>", c, err
	}
	c, err = config.Load(name)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w; name the file, or - for standard input", err)
	}
	return name, c, err
}

// stdinConfig reads standard input and gives up when ctx is done: somebody may be sitting before a terminal that waits.
func (a *app) stdinConfig(ctx context.Context) (*config.Config, error) {
	type answer struct {
		c   *config.Config
		err error
	}
	read := make(chan answer, 1)
	go func() {
		c, err := config.Read("<stdin>", a.stdin)
		read <- answer{c, err}
	}()
	select {
	case r := <-read:
		return r.c, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// verdict is what config check prints as JSON.
type verdict struct {
	File      string        `json:"file"`
	Valid     bool          `json:"valid"`
	Services  int           `json:"services"`
	Checks    int           `json:"checks"`
	Balancers int           `json:"balancers"`
	Notes     []string      `json:"notes,omitempty"`
	Errors    config.Errors `json:"errors,omitempty"`
}

func verdictOf(name string, c *config.Config, mistakes config.Errors) verdict {
	v := verdict{File: name, Valid: c != nil, Errors: mistakes}
	if c == nil {
		return v
	}
	v.Balancers, v.Notes = len(c.Balancers), c.Notes()
	if c.Health != nil {
		v.Services = len(c.Health.Services)
		for _, s := range c.Health.Services {
			v.Checks += len(s.Checks)
		}
	}
	return v
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func newConfigShowCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "show [FILE|-]",
		Short: "print the configuration with all defaults; what ${…} stands for is not printed",
		Args:  argsBetween(0, 1, "one FILE, or - for standard input"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.loadConfig()
			if len(args) == 1 {
				_, c, err = a.namedConfig(cmd.Context(), args)
			}
			if err != nil {
				return err
			}
			if a.json() {
				_, err = a.stdout.Write(c.JSON())
				return err
			}
			if c.File == "" {
				fmt.Fprintf(a.stderr, "lbmedic: %s does not exist: this is the built-in configuration\n", a.configFile)
			}
			_, err = fmt.Fprint(a.stdout, c.YAML())
			return err
		},
	}
}

func newConfigSchemaCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "print the JSON Schema of the configuration, for editors",
		Args:  argsBetween(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			_, err := a.stdout.Write(config.Schema())
			return err
		},
	}
}
