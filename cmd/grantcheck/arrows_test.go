package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestArrows holds which package may know which: cmd → suites, load → exchange,
// contract → report. The emulator shares no code with what judges it but the contract.
func TestArrows(t *testing.T) {
	allowed := map[string][]string{
		"grantcheck/report":          {},
		"grantcheck/suites/contract": {},
		"grantcheck/suites/emulator": {"grantcheck/suites/contract"},
		"grantcheck/suites/exchange": {"grantcheck/suites/contract", "grantcheck/report"},
		"grantcheck/suites":          {"grantcheck/suites/exchange", "grantcheck/suites/contract", "grantcheck/report"},
		"grantcheck/load":            {"grantcheck/suites/exchange", "grantcheck/suites/contract", "grantcheck/report"},
		"grantcheck/cmd/grantcheck": {
			"grantcheck/suites", "grantcheck/load", "grantcheck/suites/emulator",
			"grantcheck/suites/exchange", "grantcheck/suites/contract", "grantcheck/report",
		},
	}
	seen := 0
	for _, line := range strings.Split(goList(t, "-f", `{{.ImportPath}} {{join .Deps " "}}`, "grantcheck/..."), "\n") {
		deps := strings.Fields(line)
		if len(deps) == 0 {
			continue
		}
		may, known := allowed[deps[0]]
		if !known {
			t.Errorf("package %s has no place in ARCHITECTURE", deps[0])
			continue
		}
		seen++
		for _, d := range deps[1:] {
			if strings.HasPrefix(d, "grantcheck/") && !slices.Contains(may, d) {
				t.Errorf("%s must not know %s", deps[0], d)
			}
		}
	}
	if seen != len(allowed) {
		t.Errorf("%d of %d packages found", seen, len(allowed))
	}
}

func goList(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return string(out)
}

// TestRooms holds each third-party package in its one room: files whose path
// matches may import it, and nothing else does. Tests have rooms of their own.
func TestRooms(t *testing.T) {
	rooms := []struct{ pkg, production, tests string }{
		{"github.com/onsi/ginkgo/v2", `^suites/ginkgo\.go$`, `^suites/`},
		{"github.com/onsi/gomega", `^suites/[^/]+\.go$`, `^suites/`},
		{"github.com/tsenart/vegeta/v12", `^load/(attack|save)\.go$`, `^load/`},
		{"github.com/HdrHistogram/hdrhistogram-go", `^(load|report)/[^/]+\.go$`, `^(load|report)/`},
		{"github.com/prometheus/client_golang", `^load/[^/]+\.go$`, `^load/`},
		{"github.com/olekukonko/tablewriter", `^report/[^/]+\.go$`, `^report/`},
		{"github.com/guptarohit/asciigraph", `^(report|load)/[^/]+\.go$`, `^(report|load)/`},
		{"github.com/goccy/go-yaml", `^(suites/contract/|load/profile)[^/]*\.go$`, `^(suites/contract|load|cmd)/`},
		{"github.com/invopop/jsonschema", `^suites/contract/[^/]+\.go$`, `^suites/contract/`},
		{"github.com/santhosh-tekuri/jsonschema/v6", `^suites/contract/[^/]+\.go$`, `^suites/contract/`},
		{"github.com/go-jose/go-jose/v4", `^suites/(exchange/)?[^/]+\.go$`, `^suites/`},
		{"github.com/spf13/", `^cmd/grantcheck/[^/]+\.go$`, `^cmd/`},
		{"golang.org/x/term", `^(cmd/grantcheck|load)/[^/]+\.go$`, `^cmd/`},
		{"golang.org/x/net", `^suites/exchange/[^/]+\.go$`, `.`},
		{"golang.org/x/sync", `.`, `.`},
		{"golang.org/x/text", `.`, `.`},
		{"golang.org/x/time", `.`, `.`},
		{"golang.org/x/oauth2", `^$`, `.`},
		{"github.com/google/go-cmp", `^$`, `.`},
		{"github.com/rogpeppe/go-internal", `^$`, `^cmd/`},
	}
	files := 0
	for path, imports := range importsOf(t, "../..") {
		files++
		for _, imp := range imports {
			first, _, _ := strings.Cut(imp, "/")
			if first == "grantcheck" || !strings.Contains(first, ".") {
				continue
			}
			i := slices.IndexFunc(rooms, func(r struct{ pkg, production, tests string }) bool { return strings.HasPrefix(imp, r.pkg) })
			if i < 0 {
				t.Errorf("%s imports %s, which has no room", path, imp)
				continue
			}
			room := rooms[i].production
			if strings.HasSuffix(path, "_test.go") {
				room = rooms[i].tests
			}
			if !regexp.MustCompile(room).MatchString(path) {
				t.Errorf("%s imports %s, whose room is %s", path, imp, room)
			}
		}
	}
	if files < 50 {
		t.Errorf("only %d files looked at", files)
	}
}

// importsOf lists the imports of every Go file of this module below a directory, by path.
func importsOf(t *testing.T, root string) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		rel = filepath.ToSlash(rel)
		if d.IsDir() && rel != "." {
			_, err := os.Stat(filepath.Join(path, "go.mod")) // a module of its own
			if err == nil || strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" {
				return filepath.SkipDir
			}
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		out[rel] = []string{}
		for _, i := range f.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			out[rel] = append(out[rel], name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
