//go:build interop

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"grantcheck/report"
	"grantcheck/suites"
	"grantcheck/suites/contract"
	"grantcheck/suites/exchange"
)

const interop = "../../testdata/interop"

// expected is what a server is known to come to: testdata/interop/SERVER/expected.yaml.
type expected struct {
	Runs []struct {
		Contract string
		Edition  string
		Groups   []string
		Pass     int // without the rules that may come to several verdicts
		Skip     int
	}
	Findings []expectedFinding // what is neither pass nor skip
}

type expectedFinding struct {
	Rule    string
	Verdict any      // one, or a list where a race decides
	In      []string // contract/edition; every run unless given
	Why     string
}

func (f expectedFinding) verdicts() []string {
	if list, ok := f.Verdict.([]any); ok {
		var out []string
		for _, v := range list {
			out = append(out, fmt.Sprint(v))
		}
		return out
	}
	return []string{fmt.Sprint(f.Verdict)}
}

// cell is one row of testdata/interop/table.yaml: one probe, and what every server made of it.
type cell struct {
	Probe   string
	Run     string // contract/edition
	Asks    string // the rule that sends the probe
	Step    string // how its exchanges are called; "" where the rule sends nothing
	Judges  string // the rule that judges the answer, where it is another
	Servers map[string]struct{ Came, Verdict string }
}

// TestInterop judges authorization servers that we did not write, and holds that every verdict is
// the known one: testdata/interop has the servers, their contracts and what is known of them. With
// -update it writes the counts; findings are for a person to look up in the clause and write down.
func TestInterop(t *testing.T) {
	var table []cell
	readYAML(t, filepath.Join(interop, "table.yaml"), &table)
	folders, err := filepath.Glob(filepath.Join(interop, "*", "expected.yaml"))
	if err != nil || len(folders) == 0 {
		t.Fatalf("no servers under %s: %v", interop, err)
	}
	for _, f := range folders {
		server := filepath.Base(filepath.Dir(f))
		t.Run(server, func(t *testing.T) {
			var want expected
			readYAML(t, f, &want)
			env := startServer(t, server)
			for _, r := range want.Runs {
				name := r.Contract + "/" + r.Edition
				t.Run(name, func(t *testing.T) {
					run := judgeServer(t, server, r.Contract, r.Edition, r.Groups, env)
					pass, skip := holdVerdicts(t, run, name, want.Findings)
					if *update {
						writeCounts(t, f, r.Contract, r.Edition, pass, skip)
					} else if pass != r.Pass || skip != r.Skip {
						t.Errorf("%d pass and %d skip, known are %d and %d", pass, skip, r.Pass, r.Skip)
					}
					for _, c := range table {
						if known, ok := c.Servers[server]; ok && c.Run == name {
							holdCell(t, run, c, known.Came, known.Verdict)
						}
					}
				})
			}
		})
	}
}

func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = yaml.UnmarshalWithOptions(data, into, yaml.Strict())
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// startServer runs a server while the test lasts and returns its variables. One that cannot be installed is skipped.
func startServer(t *testing.T, server string) *contract.EnvFile {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(address)
	folder := filepath.Join(os.TempDir(), "grantcheck-interop", server)
	var said strings.Builder
	cmd := exec.Command("sh", filepath.Join(interop, "up.sh"), server, port, folder)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for deadline := time.Now().Add(3 * time.Minute); ; {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			break
		}
		select {
		case err := <-ended:
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.ExitCode() == 69 {
				t.Skipf("%s cannot be installed here: %s", server, said.String())
			}
			t.Fatalf("%s ended: %v\n%s", server, err, said.String())
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			_ = cmd.Process.Kill()
			t.Fatalf("%s does not answer\n%s", server, said.String())
		}
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	variables, err := os.ReadFile(filepath.Join(interop, server, "server.env"))
	if err != nil {
		t.Fatal(err)
	}
	more := fmt.Sprintf("\nINTEROP_URL=http://%s\nJWT_KEY_FILE=%s\n", address, filepath.Join(folder, "jwt-key.pem"))
	env, err := contract.ParseEnvFile("server.env", append(variables, more...))
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// hasty is the clock of the machine, except that nobody sleeps longer than it takes a server on the
// same machine to change its mind.
type hasty struct{ suites.SystemClock }

func (c hasty) Sleep(ctx context.Context, d time.Duration) error {
	return c.SystemClock.Sleep(ctx, min(d, 20*time.Millisecond))
}

// judgeServer allows everything but what takes real time to pass.
func judgeServer(t *testing.T, server, name, edition string, groups []string, env *contract.EnvFile) *report.Run {
	t.Helper()
	c, err := openContract(filepath.Join(interop, server, name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	lookup, err := c.Environment(func(string) (string, bool) { return "", false }, env)
	if err != nil {
		t.Fatal(err)
	}
	bound, secrets, err := c.Bind(lookup, contract.BindOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var allow []string
	for _, e := range suites.Effects {
		if e != suites.Slow {
			allow = append(allow, string(e))
		}
	}
	unpaced := 0.0
	run, err := suites.Run(t.Context(), suites.Config{
		Contract: bound, Exchange: exchange.Options{Timeout: 10 * time.Second, Secrets: secrets}, Edition: edition,
		Selection: suites.Selection{Groups: groups}, Allow: allow, Rate: &unpaced, MaxRequests: -1, Plain: true, Clock: hasty{},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(run.Preflight) > 0 {
		t.Fatalf("preflight: %+v", run.Preflight)
	}
	return run
}

// holdVerdicts compares a run with what is known; what differs is told as it would be written down.
func holdVerdicts(t *testing.T, run *report.Run, name string, known []expectedFinding) (pass, skip int) {
	t.Helper()
	want := map[string]expectedFinding{}
	for _, f := range known {
		if len(f.In) == 0 || slices.Contains(f.In, name) {
			want[f.Rule] = f
		}
	}
	for _, c := range run.Checks {
		f, listed := want[c.Rule]
		delete(want, c.Rule)
		switch {
		case listed && slices.Contains(f.verdicts(), string(c.Verdict)):
		case listed:
			t.Errorf("%s: %s, known is %s: %s%s", c.Rule, c.Verdict, strings.Join(f.verdicts(), " or "), c.Message, c.Reason)
		case c.Verdict == report.Pass:
			pass++
		case c.Verdict == report.Skip:
			skip++
		default:
			t.Errorf("new:\n  - {rule: %s, verdict: %s, why: \"%s\"}\n  %s%s", c.Rule, c.Verdict, c.Source, c.Message, c.Reason)
		}
	}
	for _, rule := range slices.Sorted(maps.Keys(want)) {
		t.Errorf("%s is listed, and no rule of the run", rule)
	}
	return pass, skip
}

func writeCounts(t *testing.T, file, name, edition string, pass, skip int) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(fmt.Sprintf(`(\{contract: %s, edition: %s,.*) pass: \d+, skip: \d+`, name, edition))
	data = line.ReplaceAll(data, fmt.Appendf(nil, "$1 pass: %d, skip: %d", pass, skip))
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// holdCell finds a probe among the evidence of its rule, and compares the answer and the verdict.
func holdCell(t *testing.T, run *report.Run, c cell, came, verdict string) {
	t.Helper()
	judges := c.Judges
	if judges == "" {
		judges = c.Asks
	}
	i := slices.IndexFunc(run.Checks, func(check report.Check) bool { return check.Rule == judges })
	if i < 0 {
		t.Errorf("table: %s: no rule %s", c.Probe, judges)
	} else if got := run.Checks[i].Verdict; string(got) != verdict {
		t.Errorf("table: %s: %s came to %s, known is %s", c.Probe, judges, got, verdict)
	}
	var answers []string
	for _, e := range run.Exchanges {
		if c.Step != "" && strings.HasPrefix(e.Purpose, "probe: "+c.Step) {
			answers = append(answers, inOneLine(e.Response))
		}
	}
	if c.Step != "" && !slices.Contains(answers, came) {
		t.Errorf("table: %s: the probe %q was answered %q, known is %q", c.Probe, c.Step, answers, came)
	}
}

// inOneLine says what an answer was: 401 invalid_client W, where W stands for WWW-Authenticate.
func inOneLine(r *report.Response) string {
	if r == nil {
		return "none"
	}
	var body struct {
		Error string `json:"error"`
		Token string `json:"access_token"`
	}
	_ = json.Unmarshal([]byte(r.Body), &body)
	words := []string{fmt.Sprint(r.Status)}
	switch {
	case body.Error != "":
		words = append(words, body.Error)
	case body.Token != "":
		words = append(words, "token")
	}
	if slices.ContainsFunc(r.Headers, func(h report.Header) bool { return strings.EqualFold(h.Name, "WWW-Authenticate") }) {
		words = append(words, "W")
	}
	return strings.Join(words, " ")
}
