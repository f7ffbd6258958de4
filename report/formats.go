package report

import (
	"fmt"
	"io"
	"strings"
)

// A Format is one form of a report.
type Format struct {
	Name  string // as in -o NAME=FILE
	About string // half a sentence for the help text
	Write func(io.Writer, Run, Style) error
}

// Formats lists the forms of a run in the order of the help text.
var Formats = []Format{
	{"table", "tables for a terminal, failures first", WriteTable},
	{"json", "the whole run: every other form can be made of it", plain(WriteJSON)},
	{"junit", "JUnit XML for a CI server", plain(WriteJUnit)},
	{"markdown", "for a job summary or a merge request", plain(WriteMarkdown)},
	{"html", "one self-contained page to send to a colleague", plain(WriteHTML)},
	{"github", "workflow annotations", plain(WriteGitHub)},
	{"statement", "a conformance statement to publish; only of a complete run", plain(WriteStatement)},
}

func plain(write func(io.Writer, Run) error) func(io.Writer, Run, Style) error {
	return func(w io.Writer, r Run, _ Style) error { return write(w, r) }
}

// FormatNames lists the names, for help texts and completion.
func FormatNames() (out []string) {
	for _, f := range Formats {
		out = append(out, f.Name)
	}
	return out
}

// FindFormat returns the format of a name; the error names them all.
func FindFormat(name string) (Format, error) {
	for _, f := range Formats {
		if f.Name == name {
			return f, nil
		}
	}
	return Format{}, fmt.Errorf("unknown format %q; there are %s", name, strings.Join(FormatNames(), ", "))
}
