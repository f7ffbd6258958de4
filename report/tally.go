package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Tally is the last line of every table: what was judged, of what applies.
type Tally struct {
	Judged, Applies int
	Summary         Summary
	Unjudged        []Unjudged // the most frequent first
}

// Unjudged counts rules that apply and were not judged for one reason.
type Unjudged struct {
	Count int
	Kind  ReasonKind
	Needs string // fixture or effect; "" otherwise
}

// Tally counts the checks. A rule that does not apply counts on neither side.
func (r *Run) Tally() Tally { return r.tally(func(Check) bool { return true }) }

func (r *Run) tally(in func(Check) bool) (t Tally) {
	for _, c := range r.Checks {
		if !in(c) {
			continue
		}
		*t.Summary.of(c.Verdict)++
		if c.Verdict.Judged() {
			t.Judged++
			continue
		}
		u := Unjudged{1, c.ReasonKind, c.Needs}
		switch c.Verdict {
		case Skip:
			if !c.ReasonKind.applies() || c.ReasonKind == "" {
				continue
			}
			if u.Kind == NeedsConsent {
				u.Needs = "" // the effects are told with the unlocks
			}
		default: // blocked, inconclusive, error: the verdict is the reason
			u.Kind, u.Needs = ReasonKind(c.Verdict), ""
		}
		t.Applies++
		if i := slices.IndexFunc(t.Unjudged, func(v Unjudged) bool { return v.Kind == u.Kind && v.Needs == u.Needs }); i >= 0 {
			t.Unjudged[i].Count++
		} else {
			t.Unjudged = append(t.Unjudged, u)
		}
	}
	t.Applies += t.Judged
	slices.SortStableFunc(t.Unjudged, func(a, b Unjudged) int { return b.Count - a.Count })
	return t
}

// String is the line: judged 131 of 140: 129 pass, 2 fail; 6 need a second client, 3 need consent
func (t Tally) String() string {
	var judged, not []string
	for _, v := range []Verdict{Pass, Note, Warn, Fail, Waived} {
		if n := t.Summary.Count(v); n > 0 {
			judged = append(judged, strconv.Itoa(n)+" "+string(v))
		}
	}
	for _, u := range t.Unjudged {
		not = append(not, u.String())
	}
	s := fmt.Sprintf("judged %d of %d", t.Judged, t.Applies)
	if len(judged) > 0 {
		s += ": " + strings.Join(judged, ", ")
	}
	if len(not) > 0 {
		s += "; " + strings.Join(not, ", ")
	}
	return s
}

func (u Unjudged) String() string {
	one := u.Count == 1
	verb := func(single, several string) string {
		if one {
			return fmt.Sprintf("%d %s", u.Count, single)
		}
		return fmt.Sprintf("%d %s", u.Count, several)
	}
	switch u.Kind {
	case NeedsFixture:
		return verb("needs ", "need ") + article(clean(u.Needs))
	case NeedsConsent:
		return verb("needs consent", "need consent")
	case Budget:
		return verb("is over the budget", "are over the budget")
	case Interrupted:
		return verb("was not reached", "were not reached")
	case ReasonKind(Error):
		return verb("error of ours", "errors of ours")
	case ReasonKind(Blocked), ReasonKind(Inconclusive):
		return verb(string(u.Kind), string(u.Kind))
	}
	return verb("skipped: ", "skipped: ") + strings.ReplaceAll(string(u.Kind), "_", " ")
}

// article puts "a" or "an" before a fixture's name unless it has a word like that.
func article(name string) string {
	if name == "" {
		return "a fixture"
	}
	if first, _, ok := strings.Cut(name, " "); ok && slices.Contains([]string{"a", "an", "the", "another", "two", "some"}, first) {
		return name
	}
	if strings.ContainsAny(name[:1], "aeioAEIO") {
		return "an " + name
	}
	return "a " + name
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(int64(n)) + " " + one + "s"
}

func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// percent writes a share of 1 with as many digits as it needs: 50 %, 0.3 %, 99.95 %.
func percent(share float64) string {
	s := strconv.FormatFloat(share*100, 'f', 2, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".") + " %"
}
