package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"grantcheck/suites"
	"grantcheck/suites/exchange"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the versions of the tool, of its rule set and of Go",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "grantcheck %s\nrule set %s (%d rules)\n%s %s/%s\n", exchange.Version,
				suites.CatalogueVersion, len(suites.Rules()), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
