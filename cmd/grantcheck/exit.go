package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"grantcheck/report"
)

// exits is the table of exit codes.
var exits = []struct {
	code    int
	meaning string
}{
	{report.ExitOK, "nothing failed, every threshold met"},
	{report.ExitFail, "the endpoint fell short of a rule"},
	{report.ExitUsage, "the command, the contract or a threshold could not be understood: nothing was sent"},
	{report.ExitThreshold, "a load threshold was not met"},
	{report.ExitUnjudged, "nothing could be judged: unreachable, credentials refused, all inconclusive, or our own error"},
	{report.ExitInterrupted, "interrupted; the report of what was done is written all the same"},
}

func exitTable() string {
	var b strings.Builder
	b.WriteString("Exit codes:")
	for _, e := range exits {
		fmt.Fprintf(&b, "\n  %3d  %s", e.code, e.meaning)
	}
	return b.String()
}

// exit is an error that knows its exit code. What comes without one, from
// reading the command line, is exit 2.
type exit struct {
	code int
	error
	annotated bool // a report in the form github has told it already
}

func (e exit) Unwrap() error { return e.error }

// usage is a mistake of whoever called: nothing was sent.
func usage(format string, args ...any) error {
	return exit{code: report.ExitUsage, error: fmt.Errorf(format, args...)}
}

// broken is an error of ours, or of the machine, after something was sent.
func broken(format string, args ...any) error {
	return exit{code: report.ExitUnjudged, error: fmt.Errorf(format, args...)}
}

// tell ends a command: the reason for an exit code other than 0 is the last
// line on stderr, and an annotation where -o github was asked for.
func tell(stdout, stderr io.Writer, args []string, err error) int {
	if err == nil {
		return report.ExitOK
	}
	e := exit{code: report.ExitUsage, error: err}
	errors.As(err, &e)
	text := strings.TrimRight(e.Error(), "\n")
	first, rest, several := strings.Cut(text, "\n")
	if several {
		fmt.Fprintf(stderr, "%s\n%s\n\n", first, rest)
	}
	first = strings.TrimSuffix(first, ":")
	fmt.Fprintf(stderr, "exit %d: %s\n", e.code, first)
	if !e.annotated && wantsAnnotations(args) {
		report.AnnotateExit(stdout, e.code, text)
	}
	return e.code
}

// wantsAnnotations finds -o github in a command line that may not have been understood.
func wantsAnnotations(args []string) bool {
	return slices.ContainsFunc(args, func(a string) bool {
		return a == "github" || a == "-ogithub" || a == "-o=github" || a == "--output=github"
	})
}
