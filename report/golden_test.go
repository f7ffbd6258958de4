package report

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden reports anew; read them before committing")

// TestGolden holds every form that people read to the letter.
func TestGolden(t *testing.T) {
	old, now := fixture(), changedFixture()
	d := Compare(&old, &now, Fail)
	oldLoad, newLoad := loadFixture(60), slowerLoad()
	h := HistoryOf([]*Run{&newLoad, &oldLoad, &old}, []string{"build"})
	plan := planFixture()
	for name, write := range map[string]func(io.Writer) error{
		"check.txt":         func(w io.Writer) error { return WriteTable(w, fixture(), Style{}) },
		"check-verbose.txt": func(w io.Writer) error { return WriteTable(w, fixture(), Style{Verbose: true, Width: 100}) },
		"check-color.txt":   func(w io.Writer) error { return WriteTable(w, fixture(), Style{Color: true}) },
		"several.txt":       func(w io.Writer) error { return WriteTable(w, several(), Style{}) },
		"load.txt":          func(w io.Writer) error { return WriteTable(w, loadFixture(60), Style{}) },
		"load-more.txt":     func(w io.Writer) error { return WriteTable(w, soakFixture(), Style{}) },
		"plan.txt":          func(w io.Writer) error { return WriteTable(w, plan, Style{}) },
		"unreachable.txt":   func(w io.Writer) error { return WriteTable(w, unreachable(), Style{}) },
		"check.json":        func(w io.Writer) error { return WriteJSON(w, fixture()) },
		"load.json":         func(w io.Writer) error { return WriteJSON(w, loadFixture(60)) },
		"check.xml":         func(w io.Writer) error { return WriteJUnit(w, fixture()) },
		"load.xml":          func(w io.Writer) error { return WriteJUnit(w, loadFixture(60)) },
		"unreachable.xml":   func(w io.Writer) error { return WriteJUnit(w, unreachable()) },
		"check.md":          func(w io.Writer) error { return WriteMarkdown(w, fixture()) },
		"several.md":        func(w io.Writer) error { return WriteMarkdown(w, several()) },
		"load.md":           func(w io.Writer) error { return WriteMarkdown(w, loadFixture(60)) },
		"check.github":      func(w io.Writer) error { return WriteGitHub(w, fixture()) },
		"unreachable.github": func(w io.Writer) error {
			return WriteGitHub(w, unreachable())
		},
		"diff.txt":      func(w io.Writer) error { return d.WriteTable(w, Style{}) },
		"diff.md":       func(w io.Writer) error { return d.WriteMarkdown(w) },
		"diff.json":     func(w io.Writer) error { return d.WriteJSON(w) },
		"diff-load.txt": func(w io.Writer) error { return Compare(&oldLoad, &newLoad, Fail).WriteTable(w, Style{}) },
		"trend.txt":     func(w io.Writer) error { return h.WriteTable(w, Style{}) },
		"trend.md":      func(w io.Writer) error { return h.WriteMarkdown(w) },
		"statement.md":  func(w io.Writer) error { return WriteStatement(w, statementFixture()) },
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := write(&got); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("..", "testdata", "report", name)
			if *update {
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("-want +got (-update writes it anew)\n%s", diff)
			}
		})
	}
}
