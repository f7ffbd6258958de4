package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"grantcheck/load"
	"grantcheck/report"
)

func newReport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Show, compare and merge saved runs",
		Long:  "Work with runs saved by -o json=FILE. Nothing is sent; \"-\" reads a run from stdin.",
		RunE:  branch,
	}
	cmd.AddCommand(newReportShow(), newReportDiff(), newReportMerge(), newReportTrend(), newReportStatement())
	return cmd
}

func completeRuns(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return []cobra.Completion{"json"}, cobra.ShellCompDirectiveFilterFileExt
}

func newReportShow() *cobra.Command {
	var specs *[]string
	verbose := false
	cmd := &cobra.Command{
		Use:               "show RUN.json",
		Short:             "Render a saved run again, in any form",
		Example:           "  grantcheck report show run.json -o html=run.html",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := readRun(cmd, args[0])
			if err != nil {
				return err
			}
			to, err := outputs(*specs, report.FindFormat, deflt(*specs))
			if err != nil {
				return err
			}
			return writeRun(cmd, to, run, verbose)
		},
	}
	specs = outputFlag(cmd, report.FormatNames()...)
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "the exchanges of what did not pass")
	return cmd
}

// deflt is the form of commands that make nothing but what was asked for.
func deflt(specs []string) string {
	if len(specs) > 0 {
		return ""
	}
	return "table"
}

// A form is one way to write a comparison or a history.
type form[T any] struct {
	name  string
	write func(T, io.Writer, report.Style) error
}

func finder[T any](forms []form[T]) (find func(string) (form[T], error), names []string) {
	for _, f := range forms {
		names = append(names, f.name)
	}
	return func(name string) (form[T], error) {
		for _, f := range forms {
			if f.name == name {
				return f, nil
			}
		}
		return form[T]{}, fmt.Errorf("unknown format %q; there are %s", name, strings.Join(names, ", "))
	}, names
}

func newReportDiff() *cobra.Command {
	find, names := finder([]form[*report.Diff]{
		{"table", (*report.Diff).WriteTable},
		{"markdown", func(d *report.Diff, w io.Writer, _ report.Style) error { return d.WriteMarkdown(w) }},
		{"json", func(d *report.Diff, w io.Writer, _ report.Style) error { return d.WriteJSON(w) }},
	})
	var specs *[]string
	failOn := string(report.Fail)
	cmd := &cobra.Command{
		Use:   "diff OLD.json NEW.json",
		Short: "What newly fails, was fixed, or is no longer checked",
		Long: `Compare two saved runs: what newly fails, what was fixed, what is no longer checked, and what changed
with the rule set rather than the endpoint. Exit 1 when something newly fails or is no longer checked.`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			to, err := outputs(*specs, find, deflt(*specs))
			if err != nil {
				return err
			}
			old, err := readRun(cmd, args[0])
			if err != nil {
				return err
			}
			now, err := readRun(cmd, args[1])
			if err != nil {
				return err
			}
			d := report.Compare(old, now, report.Verdict(failOn))
			err = write(cmd, to, false, func(f form[*report.Diff], w io.Writer, s report.Style) error { return f.write(d, w, s) })
			if err == nil && d.ExitCode != report.ExitOK {
				err = exit{code: d.ExitCode, error: fmt.Errorf("%s", d.Line())}
			}
			return err
		},
	}
	specs = outputFlag(cmd, names...)
	oneOf(cmd, &failOn, "fail-on", "the mildest verdict that counts as failing", "fail", "warn", "note")
	return cmd
}

func newReportMerge() *cobra.Command {
	var specs *[]string
	failOn, minJudged := string(report.Fail), share(report.DefaultMinJudged)
	cmd := &cobra.Command{
		Use:   "merge RUN.json…",
		Short: "Make one run of the shards of a load, or of several contracts",
		Long: `Make one run of several: the shards of one load, joined exactly, or runs of several contracts.
The exit code is that of the whole.`,
		Example:           "  grantcheck report merge shard-*.json -o json=whole.json",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			to, err := outputs(*specs, report.FindFormat, "table")
			if err != nil {
				return err
			}
			var runs []*report.Run
			for _, file := range args {
				run, err := readRun(cmd, file)
				if err != nil {
					return err
				}
				runs = append(runs, run)
			}
			run, err := report.Merge(runs, args)
			if err != nil {
				return usage("%w", err)
			}
			run.MergedFrom = args
			if run.Load != nil && run.Load.Shards != nil {
				if err := load.JudgeMerged(run.Load); err != nil {
					return usage("%w", err)
				}
			}
			run.Summarize()
			run.Decide(report.Gate{FailOn: report.Verdict(failOn), MinJudged: float64(minJudged)})
			if err := writeRun(cmd, to, run, false); err != nil {
				return err
			}
			return ended(run, to)
		},
	}
	specs = outputFlag(cmd, report.FormatNames()...)
	oneOf(cmd, &failOn, "fail-on", "the mildest verdict that makes exit 1", "fail", "warn", "note")
	cmd.Flags().Var(&minJudged, "min-judged", "share of what applies that must have been judged for exit 0")
	return cmd
}

func newReportTrend() *cobra.Command {
	find, names := finder([]form[report.History]{
		{"table", report.History.WriteTable},
		{"markdown", func(h report.History, w io.Writer, _ report.Style) error { return h.WriteMarkdown(w) }},
		{"json", func(h report.History, w io.Writer, _ report.Style) error { return h.WriteJSON(w) }},
	})
	var specs *[]string
	var labels []string
	cmd := &cobra.Command{
		Use:               "trend RUN.json…",
		Short:             "Put many runs side by side",
		Example:           "  grantcheck report trend nightly-*.json --label build",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			to, err := outputs(*specs, find, deflt(*specs))
			if err != nil {
				return err
			}
			var runs []*report.Run
			for _, file := range args {
				run, err := readRun(cmd, file)
				if err != nil {
					return err
				}
				runs = append(runs, run)
			}
			h := report.HistoryOf(runs, labels)
			return write(cmd, to, false, func(f form[report.History], w io.Writer, s report.Style) error { return f.write(h, w, s) })
		},
	}
	specs = outputFlag(cmd, names...)
	cmd.Flags().StringArrayVar(&labels, "label", nil, "call each run by this label `KEY` (repeatable; default all labels)")
	return cmd
}

func newReportStatement() *cobra.Command {
	return &cobra.Command{
		Use:   "statement RUN.json",
		Short: "Write a conformance statement to publish",
		Long: `Write what a vendor can publish, as Markdown: only of a complete, unfiltered run.
The label "implementation" names what was judged: check --label implementation='Acme ID 4.2'.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := readRun(cmd, args[0])
			if err != nil {
				return err
			}
			var b strings.Builder
			if err := report.WriteStatement(&b, *run); err != nil {
				return usage("%s: %w", args[0], err)
			}
			_, err = io.WriteString(cmd.OutOrStdout(), b.String())
			return err
		},
	}
}
