package main

import (
	"fmt"
	"regexp"
	"slices"
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

// choice is a flag with a closed set of values.
type choice struct {
	value *string
	of    []string
}

func (c choice) String() string {
	if c.value == nil {
		return ""
	}
	return *c.value
}
func (c choice) Type() string { return strings.Join(c.of, "|") }

func (c choice) Set(s string) error {
	if !slices.Contains(c.of, s) {
		return fmt.Errorf("it is one of %s%s", strings.Join(c.of, ", "), suites.DidYouMean(s, c.of))
	}
	*c.value = s
	return nil
}

// oneOf adds a flag with a closed set of values, completed.
func oneOf(cmd *cobra.Command, value *string, name, usage string, of ...string) {
	cmd.Flags().Var(choice{value, of}, name, usage)
	complete(cmd, name, of...)
}

// complete has the shell complete the values of a flag.
func complete(cmd *cobra.Command, flag string, values ...string) {
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is not there: a mistake in this program
	}
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
