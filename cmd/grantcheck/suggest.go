package main

import (
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"grantcheck/suites"
)

var unknownFlag = regexp.MustCompile(`unknown flag: --([^\s=]+)`)

// suggestFlag names the nearest flag; cobra itself suggests commands only.
func suggestFlag(cmd *cobra.Command, err error) error {
	m := unknownFlag.FindStringSubmatch(err.Error())
	if m == nil {
		return usage("%w", err)
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, "--"+f.Name)
		}
	})
	return usage("unknown flag --%s, see %s --help%s", m[1], cmd.CommandPath(), suites.DidYouMean("--"+m[1], names))
}

// branch is the body of a command that only has commands below it.
func branch(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	return usage("unknown command %q for %q: there are %s%s", args[0], cmd.CommandPath(), strings.Join(names, ", "), suites.DidYouMean(args[0], names))
}
