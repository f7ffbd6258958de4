package load

import (
	"fmt"
	"time"

	"grantcheck/report"
)

// findings watches for what only load shows, in bounded memory.
type findings struct {
	who    []Identity
	fresh  bool // the contract promises a new token each time
	proved map[int]bool
	rate   func(time.Duration) float64 // asked for at a moment
	found  map[string]*report.LoadFinding
	bad    struct{ sent, decided int64 } // requests with a wrong secret; those refused or granted
	tokens tokens
	shrunk int64 // tokens handed out again with less left of their life
	again  int64 // and with as much as before, or more
}

func newFindings(who []Identity, fresh bool, rate func(time.Duration) float64) *findings {
	return &findings{who: who, fresh: fresh, proved: map[int]bool{}, rate: rate, found: map[string]*report.LoadFinding{}}
}

func (f *findings) note(s *sample, like report.LoadFinding) {
	g := f.found[like.Name]
	if g == nil {
		like.FirstS, like.RatePerS = s.done.Seconds(), f.rate(s.due)
		g = &like
		f.found[like.Name] = g
	}
	g.Count++
}

func (f *findings) add(s *sample) {
	j := &s.judged
	if s.bad {
		f.bad.sent++
		switch j.Outcome {
		case Token:
			f.bad.decided++
			f.note(s, report.LoadFinding{
				Name: "bad-credential-granted", Title: "A wrong secret got a token under load", Verdict: report.Fail,
				Message: "a request with a deliberately wrong client secret was granted", Expected: "invalid_client",
				Actual: "an access token", Why: "Under load the lock opens instead of staying shut.", Source: "RFC 6749 §3.2.1",
			})
		case Refused:
			f.bad.decided++
		}
		return
	}
	switch {
	case j.Outcome == Refused && (j.Code == "invalid_client" || j.Code == "invalid_grant") && f.proved[s.who]:
		f.note(s, report.LoadFinding{
			Name: "good-credential-refused", Title: "Credentials proved good were refused under load", Verdict: report.Fail,
			Message: "credentials that had been granted a token were refused with " + j.Code, Expected: "a token, or an answer that speaks of the load",
			Actual: fmt.Sprintf("status %d, %s", s.status, j.Code), Why: "Clients take it for a wrong secret: they page their owners, or stop for good.",
			Source: "RFC 6749 §5.2",
		})
	case j.Outcome == Token:
		f.proved[s.who] = true
		f.token(s)
		if j.Form&WrongMediaType != 0 {
			f.form(s, "media type", "application/json", "RFC 6749 §5.1")
		}
		if j.Form&NoNoStore != 0 {
			f.form(s, "Cache-Control", "no-store", "RFC 6749 §5.1")
		}
		if j.Form&NoTokenType != 0 {
			f.form(s, "token_type", "a token type", "RFC 6749 §5.1")
		}
		if j.Form&BadExpiresIn != 0 {
			f.form(s, "expires_in", "a whole number", "RFC 6749 §5.1")
		}
	}
}

func (f *findings) form(s *sample, what, expected, source string) {
	f.note(s, report.LoadFinding{
		Name: "form-" + what, Title: "Answers under load have the right form: " + what, Verdict: report.Warn,
		Message: "token responses came without the right " + what, Expected: expected, Source: source,
	})
}

func (f *findings) token(s *sample) {
	j := &s.judged
	before, known := f.tokens.see(j.Token, s.who, s.done, j.Expires)
	switch {
	case !known:
	case before.who != s.who:
		f.note(s, report.LoadFinding{
			Name: "token-shared", Title: "Two clients were given one token", Verdict: report.Fail,
			Message:  fmt.Sprintf("%s was given the token that %s holds", f.alias(s.who), f.alias(before.who)),
			Expected: "a token of its own for each client", Actual: "one token for two", Why: "Each of them acts with the other's rights.",
		})
	case j.Expires >= 0 && before.expires >= 0 && j.Expires < before.expires || j.Expires == before.expires && s.done-before.at < 2*time.Second && !f.fresh:
		f.shrunk++ // within the second, expires_in may read the same
	default:
		f.again++
	}
}

func (f *findings) alias(who int) string {
	if who < len(f.who) {
		return f.who[who].Alias
	}
	return "client"
}

// report lists what was found; sent and rate say how often.
func (f *findings) report(sent int64) (out []report.LoadFinding, facts []report.Fact) {
	if n := f.again + f.shrunk; n > 0 {
		facts = append(facts, report.Fact{
			Name: "token-reissued", Title: "Live tokens are handed out again",
			Value: fmt.Sprintf("%d of %d answers (%.1f %%) brought a token that was still alive", n, sent, 100*float64(n)/float64(max(1, sent))),
			Why:   "A leaked token lives on in every copy; revoking one revokes all.",
		})
	}
	if f.fresh && f.again+f.shrunk > 0 || f.again > 0 {
		g := report.LoadFinding{
			Name: "token-reissued", Title: "A token handed out again says how long it still lives", Verdict: report.Warn,
			Message: "tokens were handed out again and expires_in did not shrink", Expected: "expires_in less by the time since", Actual: "expires_in as before",
			Why: "Clients use the token after its end.", Source: "RFC 6749 §5.1", Count: f.again,
		}
		if f.fresh {
			g.Message, g.Expected, g.Actual, g.Count = "tokens were handed out again although the contract promises fresh ones", "a new token", "a known token", f.again+f.shrunk
			g.Verdict = report.Fail
		}
		out = append(out, g)
	}
	for _, name := range []string{
		"bad-credential-granted", "good-credential-refused", "token-shared",
		"form-media type", "form-Cache-Control", "form-token_type", "form-expires_in",
	} {
		if g := f.found[name]; g != nil {
			out = append(out, *g)
		}
	}
	if f.bad.sent > 0 && f.found["bad-credential-granted"] == nil {
		g := report.LoadFinding{
			Name: "bad-credential-granted", Title: "A wrong secret gets no token under load", Verdict: report.Pass,
			Message: fmt.Sprintf("%d of %d requests with a wrong secret were answered, none with a token", f.bad.decided, f.bad.sent), Count: 0,
		}
		if f.bad.decided < 10 {
			g.Verdict, g.Message = report.Inconclusive, fmt.Sprintf("only %d requests with a wrong secret were answered; it takes 10", f.bad.decided)
		}
		out = append(out, g)
	}
	for i := range out {
		out[i].Share = float64(out[i].Count) / float64(max(1, sent))
	}
	return out, facts
}

// tokens remembers the latest tokens by their digests: a table of fixed size in which the older
// of two that want one place gives way.
type tokens struct{ table []seen }

type seen struct {
	digest  uint64
	at      time.Duration
	expires int64
	who     int
}

const tokenTable = 1 << 17 // 5 MB

// see remembers a token, and returns what was known of it.
func (t *tokens) see(digest uint64, who int, at time.Duration, expires int64) (before seen, known bool) {
	if t.table == nil {
		t.table = make([]seen, tokenTable)
	}
	oldest := -1
	for i := range 4 {
		at := int((digest + uint64(i)) % tokenTable)
		e := &t.table[at]
		if e.digest == digest {
			before, known = *e, true
			oldest = at
			break
		}
		if oldest < 0 || e.at < t.table[oldest].at {
			oldest = at
		}
	}
	t.table[oldest] = seen{digest, at, expires, who}
	return before, known
}
