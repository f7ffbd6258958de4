package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"grantcheck/suites"
)

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

// perSecond is a flag N/s, N/m or N; nil until it is set.
type perSecond struct{ rate *float64 }

func (p *perSecond) value() *float64 { return p.rate }
func (p *perSecond) Type() string    { return "N/s" }

func (p *perSecond) String() string {
	if p.rate == nil {
		return ""
	}
	return strconv.FormatFloat(*p.rate, 'g', -1, 64) + "/s"
}

func (p *perSecond) Set(s string) error {
	number, unit, _ := strings.Cut(s, "/")
	per := map[string]float64{"": 1, "s": 1, "m": 60, "h": 3600}[unit]
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || per == 0 || !(n >= 0 && n <= 1e9) {
		return fmt.Errorf("want a rate such as 5/s, 30/m or 0")
	}
	n /= per
	p.rate = &n
	return nil
}

// share is a flag 50% or 0.5.
type share float64

func (s *share) Type() string   { return "SHARE" }
func (s *share) String() string { return strconv.FormatFloat(float64(*s)*100, 'f', -1, 64) + "%" }

func (s *share) Set(text string) error {
	number, percent := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(number, 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v >= 0 && v <= 1) {
		return fmt.Errorf("want a share such as 50%% or 0.5")
	}
	*s = share(v)
	return nil
}
