// Package report holds the result of a run and renders it in every form its readers use.
//
// A [Run] is all a report needs: it can be saved, read again, compared and merged without the
// endpoint. Each format is a pure function of a writer and a Run.
package report

import (
	"slices"
	"strings"
	"time"
)

// Schema names the form of a saved run. It changes when a member is renamed; members may be added.
const Schema = "grantcheck.run/1"

// A Verdict is what one rule, finding or threshold came to.
type Verdict string

const (
	Pass         Verdict = "pass"
	Note         Verdict = "note" // passes, with a remark
	Warn         Verdict = "warn"
	Fail         Verdict = "fail"
	Waived       Verdict = "waived"       // would fail or warn; a waiver in force keeps it out of the exit code
	Blocked      Verdict = "blocked"      // a rule it requires did not pass
	Inconclusive Verdict = "inconclusive" // the probe ran but cannot decide
	Skip         Verdict = "skip"         // not applicable, or not allowed; ReasonKind says which
	Error        Verdict = "error"        // our own mistake
)

// Verdicts lists every verdict, the worst first: the order of reports.
var Verdicts = []Verdict{Fail, Warn, Waived, Note, Error, Blocked, Inconclusive, Skip, Pass}

// Judged reports whether v says something about the endpoint.
func (v Verdict) Judged() bool {
	switch v {
	case Pass, Note, Warn, Fail, Waived:
		return true
	}
	return false
}

// severity orders the judged verdicts; 0 for the others.
func (v Verdict) severity() int {
	return 1 + slices.Index([]Verdict{Pass, Note, Warn, Fail}, v)
}

// A Side is one of the two verdicts of a check: against the contract, or against the standards.
type Side string

const (
	SidePass      Side = "pass"
	SideNote      Side = "note"
	SideWarn      Side = "warn"
	SideFail      Side = "fail"
	SideDeviation Side = "deviation" // the contract documents what the standard forbids
	SideSilent    Side = "silent"    // it says nothing about this
)

func (s Side) verdict(strict bool) Verdict {
	switch s {
	case SideDeviation:
		if strict {
			return Fail
		}
		return Warn
	case SideSilent, "":
		return Skip
	}
	return Verdict(s)
}

// Sides says which of the two verdicts decide the exit code.
type Sides string

const (
	BothSides      Sides = "both" // "" means the same
	DocumentedOnly Sides = "documented"
	StandardOnly   Sides = "standard"
)

// Combine makes one verdict of two: the worse of what decide lets count. A deviation counts as a
// warning, as a failure when strict. When nothing that counts was said, the verdict is Skip.
//
// The verdict of a check is always combined from [BothSides]; only the exit code asks for less.
func Combine(documented, standard Side, strict bool, decide Sides) Verdict {
	d, s := documented.verdict(strict), standard.verdict(strict)
	switch decide {
	case DocumentedOnly:
		return d
	case StandardOnly:
		return s
	}
	if d.severity() > s.severity() {
		return d
	}
	return s
}

// A Run is one saved run: `grantcheck check`, `grantcheck load`, or several of them merged.
type Run struct {
	Schema     string            `json:"schema"`
	Tool       Tool              `json:"tool"`
	Contract   Contract          `json:"contract"` // the first, when the run covers several
	Labels     map[string]string `json:"labels"`
	Endpoint   Endpoint          `json:"endpoint"` // the first, when the run covers several
	Started    time.Time         `json:"started"`
	DurationMS float64           `json:"duration_ms"`
	Complete   bool              `json:"complete"` // false when cut short or filtered
	Checks     []Check           `json:"checks"`   // in catalogue order, contract by contract
	Exchanges  []Exchange        `json:"exchanges"`
	Load       *Load             `json:"load,omitempty"`
	Summary    Summary           `json:"summary"`
	ExitCode   int               `json:"exit_code"`

	ExitReason  string        `json:"exit_reason,omitempty"`
	Command     string        `json:"command,omitempty"` // without secrets
	Machine     *Machine      `json:"machine,omitempty"`
	Contracts   []ContractRun `json:"contracts,omitempty"` // only when the run covers several
	Preflight   []Preflight   `json:"preflight,omitempty"` // only what was wrong
	Plan        *Plan         `json:"plan,omitempty"`
	Facts       []Fact        `json:"facts,omitempty"`
	Unlocks     []Unlock      `json:"unlocks,omitempty"`
	Waivers     []WaiverState `json:"waivers,omitempty"`    // every waiver of the contracts
	Incomplete  string        `json:"incomplete,omitempty"` // why Complete is false: filtered, interrupted, shard 3 missing …
	Interrupted bool          `json:"interrupted,omitempty"`
	MergedFrom  []string      `json:"merged_from,omitempty"` // labels or files of the parts
}

type Tool struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	Catalogue string `json:"catalogue"` // version of the rule set
}

type Contract struct {
	Name         string   `json:"name"`
	Title        string   `json:"title"`
	Edition      string   `json:"edition"`
	Strict       bool     `json:"strict"`
	Decide       Sides    `json:"decide,omitempty"` // the contract's `verdicts`
	Pages        []string `json:"pages,omitempty"`
	NotSpecified []string `json:"not_specified,omitempty"`
}

type Endpoint struct {
	URL      string `json:"url"`
	Emulated bool   `json:"emulated"`
}

// A ContractRun is one contract's part of a run that covers several.
type ContractRun struct {
	Contract   Contract `json:"contract"`
	Endpoint   Endpoint `json:"endpoint"`
	DurationMS float64  `json:"duration_ms"`
	Complete   bool     `json:"complete"`
	Summary    Summary  `json:"summary"`
}

// Machine is where the load came from: figures of two machines do not compare.
type Machine struct {
	OS     string  `json:"os"`
	Arch   string  `json:"arch"`
	CPUs   int     `json:"cpus"`
	Go     string  `json:"go"`
	Load1  float64 `json:"load1,omitempty"` // load average of the last minute, at the start
	Memory int64   `json:"memory_bytes,omitempty"`
}

// Preflight is a reason found before any verdict why a contract could not be judged.
type Preflight struct {
	Contract string     `json:"contract,omitempty"`
	Kind     ReasonKind `json:"kind"`    // unreachable, credentials …
	Message  string     `json:"message"` // what was tried and what came
	Remedy   string     `json:"remedy"`  // what to do about it
	Exchange *int       `json:"exchange,omitempty"`
}

// A ReasonKind says why a rule was not judged, from a closed set.
type ReasonKind string

const (
	NotApplicable ReasonKind = "not_applicable" // the contract or the answers give no occasion
	OtherEdition  ReasonKind = "other_edition"
	Filtered      ReasonKind = "filtered"      // left out by --rule or --group
	NeedsFixture  ReasonKind = "needs_fixture" // Needs names it
	NeedsConsent  ReasonKind = "needs_consent" // Needs names the effect
	NeedsLoad     ReasonKind = "needs_load"    // judged by `grantcheck load` only
	Prerequisite  ReasonKind = "prerequisite"  // Needs names the rule that did not pass
	Throttled     ReasonKind = "throttled"
	Unreachable   ReasonKind = "unreachable"
	Credentials   ReasonKind = "credentials" // refused in preflight
	Configuration ReasonKind = "configuration"
	Control       ReasonKind = "control"   // the golden request beside the probe did not succeed
	Ambiguous     ReasonKind = "ambiguous" // the answer can be read both ways
	FewSamples    ReasonKind = "few_samples"
	Budget        ReasonKind = "budget"
	Interrupted   ReasonKind = "interrupted"
	Internal      ReasonKind = "internal"
)

// applies reports whether a rule not judged for this reason was meant to be judged at all.
func (k ReasonKind) applies() bool {
	switch k {
	case NotApplicable, OtherEdition, Filtered, NeedsLoad:
		return false
	}
	return true
}

// A Check is what one rule found about one contract's endpoint.
type Check struct {
	Rule       string  `json:"rule"`
	Title      string  `json:"title"`
	Group      string  `json:"group"`
	Level      string  `json:"level"`  // MUST, SHOULD NOT, …; DOC for documentation, NONE for practice
	Source     string  `json:"source"` // the clause: "RFC 6749 §5.2"
	Verdict    Verdict `json:"verdict"`
	Documented Side    `json:"documented"`
	Standard   Side    `json:"standard"`
	Message    string  `json:"message"`  // one sentence, what is the matter
	Expected   string  `json:"expected"` // in words
	Actual     string  `json:"actual"`
	Reason     string  `json:"reason"` // why it was not judged, or what the contract or a waiver says
	DurationMS float64 `json:"duration_ms"`
	Exchanges  []int   `json:"exchanges"` // indexes into Run.Exchanges, the one that tells first

	ReasonKind  ReasonKind `json:"reason_kind,omitempty"`
	Needs       string     `json:"needs,omitempty"` // the fixture, effect or rule ReasonKind speaks of
	Contract    string     `json:"contract,omitempty"`
	Requirement string     `json:"requirement,omitempty"` // what the clause says, in our words
	Why         string     `json:"why,omitempty"`         // what goes wrong for people
	Posture     string     `json:"posture,omitempty"`     // assert, advise, observe
	Wording     string     `json:"wording,omitempty"`     // keyword, derived, documented, practice
	Waiver      *Waiver    `json:"waiver,omitempty"`
	Places      []string   `json:"places,omitempty"` // where a passive rule saw it, one line each
	Links       []string   `json:"links,omitempty"`
}

// finding is the message where it says more than expected and came do.
func (c Check) finding() string {
	if c.Message == "expected "+c.Expected+", came "+c.Actual {
		return ""
	}
	return c.Message
}

// counted is the verdict as the exit code sees it.
func (c Check) counted(of Contract) Verdict {
	if c.Verdict.severity() == 0 || (c.Documented == "" && c.Standard == "") {
		return c.Verdict
	}
	return Combine(c.Documented, c.Standard, of.Strict, of.Decide)
}

// A Waiver keeps a finding out of the exit code until a day; it never hides it.
type Waiver struct {
	Reason  string `json:"reason"`
	Owner   string `json:"owner,omitempty"`
	Expires string `json:"expires"` // YYYY-MM-DD
	State   string `json:"state"`   // active, idle (its rule passes), expired, unjudged
}

type WaiverState struct {
	Rule     string `json:"rule"`
	Contract string `json:"contract,omitempty"`
	Waiver
}

// A Fact was found in the field, rests on no rule, and never fails.
type Fact struct {
	Name      string `json:"name"`
	Title     string `json:"title"`
	Value     string `json:"value"` // in words
	Source    string `json:"source,omitempty"`
	Why       string `json:"why,omitempty"`
	Contract  string `json:"contract,omitempty"`
	Exchanges []int  `json:"exchanges,omitempty"`
}

// An Unlock is a fixture or a consent that would let more rules be judged.
type Unlock struct {
	Kind     ReasonKind `json:"kind"` // needs_fixture or needs_consent
	Name     string     `json:"name"` // "second client", "--allow burst"
	Contract string     `json:"contract,omitempty"`
	Rules    []string   `json:"rules"`
	How      string     `json:"how,omitempty"` // what to write, and where
}

// A Plan is what a run would cost. Nothing was sent for it.
type Plan struct {
	Requests     int            `json:"requests"`
	Tokens       int            `json:"tokens"`           // minted
	WrongSecrets map[string]int `json:"wrong_secrets"`    // per fixture
	ShortestMS   float64        `json:"shortest_ms"`      // at the pace allowed
	Rules        int            `json:"rules"`            // that would be judged
	Unjudged     int            `json:"unjudged"`         // that apply and would not; Run.Unlocks says what they need
	Limits       []string       `json:"limits,omitempty"` // what of it exceeds the contract's safety
}

// An Exchange is one request and its answer, redacted before it came here.
type Exchange struct {
	Request  Request   `json:"request"`
	Response *Response `json:"response"` // null when none came; Error says why
	TookMS   float64   `json:"took_ms"`
	Curl     string    `json:"curl"` // repeats it; secrets stand as ${NAME}

	Error    string    `json:"error,omitempty"`
	Purpose  string    `json:"purpose,omitempty"` // golden, probe, control …
	Contract string    `json:"contract,omitempty"`
	At       time.Time `json:"at,omitzero"`
}

type Request struct {
	Method  string  `json:"method"`
	URL     string  `json:"url"`
	Headers Headers `json:"headers"`
	Body    string  `json:"body"`
}

type Response struct {
	Status  int     `json:"status"`
	Headers Headers `json:"headers"`
	Body    string  `json:"body"`

	Proto     string `json:"proto,omitempty"`      // HTTP/1.1
	BodyBytes int64  `json:"body_bytes,omitempty"` // as received, when Body was cut
	Truncated bool   `json:"truncated,omitempty"`
}

// Headers are field lines as sent or received: in order, repeated lines kept apart.
type Headers []Header

type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Get returns the first value of a field, "" when there is none.
func (h Headers) Get(name string) string {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// Summary counts checks, and the findings of a load, by verdict.
type Summary struct {
	Pass         int `json:"pass"`
	Note         int `json:"note"`
	Warn         int `json:"warn"`
	Fail         int `json:"fail"`
	Waived       int `json:"waived"`
	Blocked      int `json:"blocked"`
	Inconclusive int `json:"inconclusive"`
	Skip         int `json:"skip"`
	Error        int `json:"error"`
}

func (s *Summary) of(v Verdict) *int {
	switch v {
	case Pass:
		return &s.Pass
	case Note:
		return &s.Note
	case Warn:
		return &s.Warn
	case Fail:
		return &s.Fail
	case Waived:
		return &s.Waived
	case Blocked:
		return &s.Blocked
	case Inconclusive:
		return &s.Inconclusive
	case Skip:
		return &s.Skip
	}
	return &s.Error
}

// Count returns how many came to v.
func (s Summary) Count(v Verdict) int { return *s.of(v) }

// Judged counts the verdicts that say something about the endpoint.
func (s Summary) Judged() int { return s.Pass + s.Note + s.Warn + s.Fail + s.Waived }

// Summarize counts the verdicts anew, for the run and for each of its contracts, and sets the
// state of each waiver from them.
func (r *Run) Summarize() {
	r.Schema = Schema
	r.Summary = r.summaryOf(func(string) bool { return true })
	if r.Load != nil {
		for _, f := range r.Load.Findings {
			*r.Summary.of(f.Verdict)++
		}
	}
	for i := range r.Contracts {
		c := &r.Contracts[i]
		c.Summary = r.summaryOf(func(name string) bool { return name == c.Contract.Name })
	}
}

func (r *Run) summaryOf(in func(contract string) bool) (s Summary) {
	for _, c := range r.Checks {
		if in(c.Contract) {
			*s.of(c.Verdict)++
		}
	}
	return s
}

// contractOf returns the contract a check belongs to.
func (r *Run) contractOf(name string) Contract {
	for _, c := range r.Contracts {
		if c.Contract.Name == name {
			return c.Contract
		}
	}
	return r.Contract
}
