package main

import "github.com/spf13/cobra"

// newHelpCommand is cobra's help, but a topic that does not exist is a usage error and not a success.
func newHelpCommand(*app) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND…]",
		Short: "explain a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return needsSubcommand(found, rest)
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	}
}
