package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTwoVerdictsMakeOne(t *testing.T) {
	for _, c := range []struct {
		documented, standard Side
		strict               bool
		decide               Sides
		want                 Verdict
	}{
		{SidePass, SidePass, false, BothSides, Pass},
		{SidePass, SideNote, false, BothSides, Note},
		{SideSilent, SideWarn, false, BothSides, Warn},
		{SideSilent, SideFail, false, BothSides, Fail},
		{SidePass, SideDeviation, false, BothSides, Warn},
		{SidePass, SideDeviation, true, BothSides, Fail},
		{SideFail, SidePass, false, BothSides, Fail},
		{SideFail, SideSilent, false, BothSides, Fail},
		{SideWarn, SidePass, false, BothSides, Warn},
		{SideWarn, SideFail, false, BothSides, Fail},
		{SideFail, SideDeviation, false, BothSides, Fail},
		{SidePass, SideSilent, false, "", Pass},
		{SideSilent, SideSilent, false, BothSides, Skip},
		{SidePass, SideFail, false, DocumentedOnly, Pass},
		{SideFail, SidePass, false, StandardOnly, Pass},
		{SideSilent, SideFail, false, DocumentedOnly, Skip},
		{SidePass, SideDeviation, true, DocumentedOnly, Pass},
	} {
		if got := Combine(c.documented, c.standard, c.strict, c.decide); got != c.want {
			t.Errorf("documented %s, standard %s, strict %v, %s decide: %s, want %s", c.documented, c.standard, c.strict, c.decide, got, c.want)
		}
	}
}

func TestLastLineSaysWhatWasJudged(t *testing.T) {
	var r Run
	add := func(n int, c Check) {
		for range n {
			r.Checks = append(r.Checks, c)
		}
	}
	add(129, Check{Verdict: Pass})
	add(2, Check{Verdict: Fail})
	add(6, Check{Verdict: Skip, ReasonKind: NeedsFixture, Needs: "second client"})
	add(2, Check{Verdict: Skip, ReasonKind: NeedsConsent, Needs: "burst"})
	add(1, Check{Verdict: Skip, ReasonKind: NeedsConsent, Needs: "lockout"})
	add(60, Check{Verdict: Skip, ReasonKind: NotApplicable})
	add(9, Check{Verdict: Skip, ReasonKind: OtherEdition})
	want := "judged 131 of 140: 129 pass, 2 fail; 6 need a second client, 3 need consent"
	if got := LastLine(&r); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestExitCode(t *testing.T) {
	run := func(change func(*Run)) *Run {
		r := &Run{Complete: true}
		for range 10 {
			r.Checks = append(r.Checks, Check{Rule: "a.b", Verdict: Pass, Documented: SideSilent, Standard: SidePass})
		}
		change(r)
		r.Summarize()
		return r
	}
	set := func(v Verdict, s Side) func(*Run) {
		return func(r *Run) { r.Checks[0].Rule, r.Checks[0].Verdict, r.Checks[0].Standard = "c.d", v, s }
	}
	unjudged := func(n int, kind ReasonKind) func(*Run) {
		return func(r *Run) {
			for i := range n {
				r.Checks[i] = Check{Rule: "c.d", Verdict: Skip, ReasonKind: kind}
			}
		}
	}
	load := func(l Load) func(*Run) { return func(r *Run) { r.Checks, r.Load = nil, &l } }
	for name, c := range map[string]struct {
		run    *Run
		gate   Gate
		code   int
		reason string // part of it
	}{
		"all pass":                      {run(func(*Run) {}), Gate{MinJudged: .5}, 0, ""},
		"a failure":                     {run(set(Fail, SideFail)), Gate{}, 1, "1 rule did not hold: c.d"},
		"a warning":                     {run(set(Warn, SideWarn)), Gate{}, 0, ""},
		"a warning that counts":         {run(set(Warn, SideWarn)), Gate{FailOn: Warn}, 1, "c.d"},
		"a remark that counts":          {run(set(Note, SideNote)), Gate{FailOn: Note}, 1, "c.d"},
		"a failure when remarks count":  {run(set(Fail, SideFail)), Gate{FailOn: Note}, 1, "c.d"},
		"a waived failure":              {run(set(Waived, SideFail)), Gate{FailOn: Note}, 0, ""},
		"the side that does not decide": {run(func(r *Run) { set(Fail, SideFail)(r); r.Contract.Decide = DocumentedOnly }), Gate{}, 0, "leaves out"},
		"an error of ours":              {run(set(Error, SideSilent)), Gate{}, 4, "our own error"},
		"nothing judged":                {run(unjudged(10, NeedsFixture)), Gate{}, 4, "nothing was judged"},
		"nothing applies":               {run(unjudged(10, NotApplicable)), Gate{}, 4, "nothing was judged"},
		"too little judged":             {run(unjudged(6, NeedsConsent)), Gate{MinJudged: .5}, 4, "4 of 10"},
		"enough of what applies":        {run(unjudged(6, NotApplicable)), Gate{MinJudged: 1}, 0, ""},
		"a failure among little":        {run(func(r *Run) { unjudged(9, NeedsConsent)(r); r.Checks[9].Verdict, r.Checks[9].Standard = Fail, SideFail }), Gate{MinJudged: .5}, 1, "a.b"},
		"interrupted":                   {run(func(r *Run) { set(Fail, SideFail)(r); r.Interrupted = true }), Gate{}, 130, "interrupted"},
		"preflight":                     {run(func(r *Run) { r.Preflight = []Preflight{{Message: "connection refused"}} }), Gate{}, 4, "connection refused"},
		"one of two contracts unjudged": {run(func(r *Run) {
			r.Contracts = []ContractRun{{Contract: Contract{Name: "x"}}, {Contract: Contract{Name: "y"}}}
			for i := range r.Checks {
				r.Checks[i].Contract = "x"
			}
		}), Gate{}, 4, "nothing was judged of y"},
		"threshold met":             {run(load(Load{Sent: 1, Answered: 1, Thresholds: []ThresholdResult{{Verdict: Pass}}})), Gate{MinJudged: .5}, 0, ""},
		"threshold missed":          {run(load(Load{Sent: 1, Answered: 1, Thresholds: []ThresholdResult{{Expression: "p99 < 1us", Verdict: Fail}}})), Gate{}, 3, "p99 < 1us"},
		"threshold inconclusive":    {run(load(Load{Sent: 1, Answered: 1, Thresholds: []ThresholdResult{{Expression: "p99 < 1us", Verdict: Inconclusive}}})), Gate{}, 4, "p99 < 1us"},
		"no threshold":              {run(load(Load{Sent: 1, Answered: 1})), Gate{MinJudged: .5}, 0, ""},
		"nothing answered":          {run(load(Load{Sent: 7})), Gate{}, 4, "not one of 7 requests"},
		"a shard":                   {run(load(Load{Sent: 1, Answered: 1, Shard: &Shard{1, 2, "", 0}, Thresholds: []ThresholdResult{{Verdict: Inconclusive}}})), Gate{}, 0, ""},
		"a load finding":            {run(load(Load{Sent: 1, Answered: 1, Findings: []LoadFinding{{Name: "load.x", Verdict: Fail}}})), Gate{}, 1, "load.x"},
		"a failure of the baseline": {run(set(Fail, SideFail)), Gate{Baseline: run(set(Fail, SideFail))}, 0, "in the baseline"},
		"a new failure":             {run(set(Fail, SideFail)), Gate{Baseline: run(set(Pass, SidePass))}, 1, "newly failing against the baseline: c.d"},
		"no longer checked":         {run(set(Blocked, SideSilent)), Gate{Baseline: run(set(Pass, SidePass))}, 1, "no longer checked, but was in the baseline: c.d"},
		"a plan":                    {run(func(r *Run) { r.Checks, r.Plan = nil, &Plan{} }), Gate{MinJudged: .5}, 0, ""},
	} {
		c.run.Decide(c.gate)
		if c.run.ExitCode != c.code || !strings.Contains(c.run.ExitReason, c.reason) || (c.reason == "") != (c.run.ExitReason == "") {
			t.Errorf("%s: exit %d (%s), want %d (%s)", name, c.run.ExitCode, c.run.ExitReason, c.code, c.reason)
		}
	}
}

func TestASavedRunReadsBackTheSame(t *testing.T) {
	for _, r := range []Run{fixture(), several(), loadFixture(5), soakFixture(), planFixture(), unreachable()} {
		var saved, again bytes.Buffer
		if err := WriteJSON(&saved, r); err != nil {
			t.Fatal(err)
		}
		read, err := ReadJSON(bytes.NewReader(saved.Bytes()), "r.json")
		if err != nil {
			t.Fatal(err)
		}
		if err := WriteJSON(&again, *read); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(saved.String(), again.String()); diff != "" {
			t.Error(diff)
		}
		// What is made of the file is what was made of the run, in every form.
		for _, f := range Formats {
			var now, later bytes.Buffer
			errNow, errLater := f.Write(&now, r, Style{}), f.Write(&later, *read, Style{})
			if now.String() != later.String() || (errNow == nil) != (errLater == nil) {
				t.Errorf("%s differs once saved and read:\n%s", f.Name, cmp.Diff(now.String(), later.String()))
			}
		}
	}
}

// The members that scripts rely on, spelt as documented.
func TestTheMembersOfASavedRun(t *testing.T) {
	r := whole()
	var b bytes.Buffer
	if err := WriteJSON(&b, r); err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(b.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	for path, members := range map[string]string{
		"":                          "schema tool contract labels endpoint started duration_ms complete checks exchanges load summary exit_code",
		"tool":                      "name version catalogue",
		"contract":                  "name title edition strict",
		"endpoint":                  "url emulated",
		"checks.0":                  "rule title group level source verdict documented standard message expected actual reason duration_ms exchanges",
		"exchanges.0":               "request response took_ms curl",
		"exchanges.0.request":       "method url headers body",
		"exchanges.0.response":      "status headers body",
		"load":                      "profile planned sent answered outcomes latency generator throttle thresholds series",
		"load.outcomes":             "token throttled refused malformed server_error timeout connection",
		"load.latency.service":      "count mean_ms p50_ms p90_ms p95_ms p99_ms p999_ms max_ms",
		"load.latency.response":     "count mean_ms p50_ms p90_ms p95_ms p99_ms p999_ms max_ms",
		"load.generator":            "healthy lag reason",
		"load.throttle":             "limited rate_per_s burst window window_s scope retry_after recovery_ms requests_used",
		"load.throttle.retry_after": "present syntax_ok honest early_accepts late_refusals",
		"load.thresholds.0":         "expression observed verdict",
		"load.series.0":             "t_s planned sent token throttled other p50_ms p99_ms",
		"summary":                   "pass note warn fail waived blocked inconclusive skip error",
	} {
		at := any(v)
		for _, step := range strings.Split(path, ".") {
			switch x := at.(type) {
			case map[string]any:
				if step != "" {
					at = x[step]
				}
			case []any:
				at = x[0]
			}
		}
		object, ok := at.(map[string]any)
		if !ok {
			t.Errorf("%s is %T", path, at)
			continue
		}
		for _, m := range strings.Fields(members) {
			if _, ok := object[m]; !ok {
				t.Errorf("%s has no %q", path, m)
			}
		}
	}
}

func TestWhatIsNoSavedRunIsSaid(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"not JSON":       {"judged 3 of 3", "r.json is not a saved run: line 1: invalid character 'j'"},
		"cut short":      {"{\n\"schema\": \"grantcheck.run/1\",", "line 2: unexpected end of JSON input"},
		"other JSON":     {`{"a": 1}`, `it has no "schema"`},
		"another schema": {`{"schema": "grantcheck.run/2"}`, `has schema "grantcheck.run/2", this grantcheck reads "grantcheck.run/1"`},
		"wrong type":     {"{\"schema\": \"grantcheck.run/1\",\n\"exit_code\": \"x\"}", "line 2: json: cannot unmarshal string"},
		"cut exchanges":  {`{"schema": "grantcheck.run/1", "checks": [{"rule": "a.b", "exchanges": [3]}]}`, "check a.b speaks of exchange 3 of 0"},
	} {
		_, err := ReadJSON(strings.NewReader(c.in), "r.json")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestNoFormatChangesTheRun(t *testing.T) {
	for _, f := range Formats {
		r := whole()
		r.Complete, r.Summary.Error = true, 0
		if err := f.Write(new(bytes.Buffer), r, Style{Verbose: true}); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
		want := whole()
		want.Summary.Error = 0
		if diff := cmp.Diff(want, r); diff != "" {
			t.Errorf("%s: %s", f.Name, diff)
		}
	}
}

func TestAnUnknownFormatNamesThemAll(t *testing.T) {
	_, err := FindFormat("pdf")
	if err == nil || !strings.Contains(err.Error(), `unknown format "pdf"; there are table, json, junit`) {
		t.Error(err)
	}
}

func TestAStatementOnlyOfACompleteRun(t *testing.T) {
	for name, change := range map[string]func(*Run){
		"filtered": func(r *Run) { r.Complete = false },
		"load":     func(r *Run) { r.Checks = nil },
		"error":    func(r *Run) { r.Checks[0].Verdict = Error; r.Summarize() },
	} {
		r := statementFixture()
		change(&r)
		if err := WriteStatement(new(bytes.Buffer), r); err == nil || !strings.HasPrefix(err.Error(), "no statement: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
