package main

import (
	"os"
	"path/filepath"
	"testing"

	"grantcheck/report"
	"grantcheck/suites/exchange"
)

func TestRatesAndShares(t *testing.T) {
	for text, want := range map[string]float64{"5/s": 5, "30/m": 0.5, "7200/h": 2, "0": 0, "2.5": 2.5} {
		var p perSecond
		if err := p.Set(text); err != nil || *p.value() != want {
			t.Errorf("--rate %s is %v (%v), want %v", text, p.String(), err, want)
		}
	}
	for _, text := range []string{"", "fast", "-1/s", "5/d", "NaN", "1e12"} {
		if err := new(perSecond).Set(text); err == nil {
			t.Errorf("--rate %q is taken", text)
		}
	}
	for text, want := range map[string]share{"50%": 0.5, "0.25": 0.25, "100%": 1, "0": 0} {
		var s share
		if err := s.Set(text); err != nil || s != want {
			t.Errorf("--min-judged %s is %v (%v), want %v", text, s, err, want)
		}
	}
	for _, text := range []string{"", "101%", "-1", "half", "NaN"} {
		if err := new(share).Set(text); err == nil {
			t.Errorf("--min-judged %q is taken", text)
		}
	}
}

func TestCommandLineHoldsNoSecret(t *testing.T) {
	s := &subject{exchange: exchange.Options{Secrets: map[string]string{"PW": "hunter2"}}}
	got := commandLine([]string{
		"check", "acme.yaml", "--proxy", "http://me:s3cret@proxy:3128", "--proxy=http://me:s3cret@proxy:3128",
		"--label", "note=it is hunter2", "--label=at=https://a:b@c/",
	}, []*subject{s})
	want := "grantcheck check acme.yaml --proxy http://me:xxxxx@proxy:3128 --proxy=http://me:xxxxx@proxy:3128 " +
		"--label 'note=it is ${PW}' --label=at=https://a:xxxxx@c/"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A report replaces what was there whole or not at all; the summary of a workflow step is added to.
func TestSave(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "run.json")
	for _, text := range []string{"first", "second"} {
		if err := writable(file); err != nil {
			t.Fatal(err)
		}
		if err := save(file, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	holds(t, file, "second")

	link := filepath.Join(dir, "link.json")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if err := save(link, []byte("through the link")); err != nil {
		t.Fatal(err)
	}
	holds(t, file, "through the link")

	summary := filepath.Join(dir, "summary.md")
	t.Setenv("GITHUB_STEP_SUMMARY", summary)
	for _, text := range []string{"one ", "two"} {
		if err := save(summary, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	holds(t, summary, "one two")

	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("%d files in the directory (%v), want 3", len(entries), err)
	}
	if err := writable(dir); err == nil {
		t.Error("a directory is taken for a file")
	}
}

func holds(t *testing.T, file, want string) {
	t.Helper()
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Errorf("%s holds %q (%v), want %q", file, got, err, want)
	}
}

func TestOutputs(t *testing.T) {
	to, err := outputs([]string{"json=" + filepath.Join(t.TempDir(), "a.json")}, report.FindFormat, "table")
	if err != nil || len(to) != 2 || to[0].format.Name != "table" || to[0].file != "" {
		t.Errorf("a file beside the default: %v, %v", to, err)
	}
	if to, err = outputs([]string{"github", "table"}, report.FindFormat, "table"); err != nil || len(to) != 2 {
		t.Errorf("what people read may stand together on stdout: %v", err)
	}
	for _, specs := range [][]string{{"json", "table"}, {"json="}, {"xml"}, {"json=/nowhere/at/all.json"}} {
		if _, err := outputs(specs, report.FindFormat, "table"); err == nil {
			t.Errorf("-o %v is taken", specs)
		}
	}
}
