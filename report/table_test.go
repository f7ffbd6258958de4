package report

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/olekukonko/tablewriter/pkg/twwidth"
)

// What may be wider than the terminal: a command line, which is for copying, and the last line, which is one.
var oneLiner = regexp.MustCompile(`^ *(\$ )?curl |^judged |^sent |^would judge `)

func TestTablesKeepToTheWidth(t *testing.T) {
	broad := fixture() // the longest group name, every verdict, counts of three digits
	for i := range broad.Checks {
		broad.Checks[i].Group = "authorization-code"
		broad.Checks[i].Places = []string{strings.Repeat("https://long.example/", 20)}
	}
	for range 3 {
		broad.Checks = append(broad.Checks, broad.Checks...)
	}
	broad.Summarize()
	four := several()
	for _, name := range []string{"talkdesk", "devensoft"} {
		r := fixture()
		r.Contract.Name = name
		m, err := Merge([]*Run{&four, &r}, nil)
		if err != nil {
			t.Fatal(err)
		}
		four = *m
	}
	four.Summarize()
	for name, r := range map[string]Run{"broad": broad, "several": several(), "four": four, "load": loadFixture(60), "soak": soakFixture(), "plan": planFixture(), "unreachable": unreachable()} {
		for _, width := range []int{80, 120} {
			var b bytes.Buffer
			if err := WriteTable(&b, r, Style{Width: width}); err != nil {
				t.Fatal(err)
			}
			for l := range strings.SplitSeq(b.String(), "\n") {
				if twwidth.Width(l) > width && !oneLiner.MatchString(l) {
					t.Errorf("%s: %d columns of %d: %s", name, twwidth.Width(l), width, l)
				}
			}
			lines := strings.Split(strings.TrimSpace(b.String()), "\n")
			if last := lines[len(lines)-1]; last != LastLine(&r) {
				t.Errorf("%s ends in %s", name, last)
			}
		}
	}
}

func TestNoColorUnlessAsked(t *testing.T) {
	var plain, colored bytes.Buffer
	if err := WriteTable(&plain, whole(), Style{Verbose: true}); err != nil {
		t.Fatal(err)
	}
	if err := WriteTable(&colored, whole(), Style{Verbose: true, Color: true}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), "\x1b") {
		t.Error("escape sequences without colour")
	}
	if got := regexp.MustCompile(`\x1b\[\d*m`).ReplaceAllString(colored.String(), ""); got != plain.String() {
		t.Error("colour changes more than the colour")
	}
}
