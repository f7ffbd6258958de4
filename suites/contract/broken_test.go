package contract

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const broken = "../../testdata/contracts/broken"

var strict = Options{
	KnownRules: []string{"headers.pragma-no-cache", "response.scope-syntax", "password.invalid-grant-code"},
	Now:        func() time.Time { return time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC) },
}

// Every file under broken has mistakes; beside it stands what the user is told.
// UPDATE=1 go test -run BrokenContracts rewrites the texts: read them before they are kept.
func TestBrokenContracts(t *testing.T) {
	files, _ := filepath.Glob(broken + "/*.yaml")
	if len(files) < 25 {
		t.Fatalf("%d files", len(files))
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".yaml"), func(t *testing.T) {
			_, err := LoadWith(f, strict)
			if err == nil {
				t.Fatal("accepted")
			}
			got := strings.ReplaceAll(err.Error(), broken+"/", "")
			golden := strings.TrimSuffix(f, ".yaml") + ".txt"
			if os.Getenv("UPDATE") != "" {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
			for _, s := range []string{"hunter2", "correct-horse", "tok-12345", "s3same", "MIIEvQ", "with more", "user:pw"} {
				if strings.Contains(got, s) {
					t.Errorf("tells the secret %q", s)
				}
			}
		})
	}
}
