package emulator

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// script gives the first answers of the token endpoint as told.
type script struct {
	mu    sync.Mutex
	steps []string
}

// parseScript reads a comma-separated list of answers: ok (the usual one), a status,
// an OAuth error code, reset (connection dropped), cut (dropped inside the body), hang
// (no answer for a minute) or slow=2s (the usual one, late).
func parseScript(s string) (*script, error) {
	sc := &script{}
	for step := range strings.SplitSeq(s, ",") {
		step = strings.TrimSpace(step)
		name, arg, timed := strings.Cut(step, "=")
		n, err := strconv.Atoi(step)
		switch {
		case err == nil && n >= 200 && n <= 599:
		case timed && name == "slow":
			if d, err := time.ParseDuration(arg); err != nil || d < 0 {
				return nil, fmt.Errorf("script: %q is not slow=DURATION, as in slow=2s", step)
			}
		case err != nil && !timed && (step == "ok" || step == "reset" || step == "cut" || step == "hang" || strings.Contains(step, "_")):
		default:
			return nil, fmt.Errorf("script: unknown answer %q; there are ok, a status, an error code, reset, cut, hang and slow=DURATION", step)
		}
		sc.steps = append(sc.steps, step)
	}
	return sc, nil
}

// next is the scripted answer to this request, or nil for the usual one.
func (s *script) next(f *flow) *answer {
	s.mu.Lock()
	step := "ok"
	if len(s.steps) > 0 {
		step, s.steps = s.steps[0], s.steps[1:]
	}
	s.mu.Unlock()
	if step == "ok" {
		return nil
	}
	if d, ok := strings.CutPrefix(step, "slow="); ok {
		wait, _ := time.ParseDuration(d)
		f.e.sleep(f.r.Context(), wait)
		return nil
	}
	// The journal wants to know who asked.
	f.run([]stageFunc{{stageReceive, (*flow).receive}, {stageParse, (*flow).parse}})
	a := &answer{Status: http.StatusOK, Body: object{{Name: "scripted", Value: step}}}
	a.set("Content-Type", "application/json")
	noStore(a)
	n, err := strconv.Atoi(step)
	switch {
	case step == "reset":
		a.Drop = dropBefore
	case step == "cut":
		a.Drop = dropInside
	case step == "hang":
		a.Delay = time.Minute
	case err != nil:
		a.Status = http.StatusBadRequest
		if step == "invalid_client" {
			a.Status = http.StatusUnauthorized
		}
		a.Body = object{{Name: "error", Value: step}}
	case n == http.StatusTooManyRequests || n == http.StatusServiceUnavailable:
		a.Status = n
		a.Body = object{{Name: "error", Value: map[bool]string{true: "rate_limited", false: "temporarily_unavailable"}[n == http.StatusTooManyRequests]}}
		a.set("Retry-After", "1")
	default:
		a.Status = n
		if n >= 500 {
			a.Body = object{{Name: "error", Value: "server_error"}}
		} else if n >= 400 {
			a.Body = object{{Name: "error", Value: "invalid_request"}}
		}
	}
	challenge(a)
	return a
}

// ClientReport is what one client did.
type ClientReport struct {
	Client     string
	Requests   int
	Tokens     int
	WhileValid int // tokens fetched for the same grant, scope and user while one was good for another minute
	Throttled  int // answers 429 and 503
	Early      int // requests before the announced Retry-After had passed
	Replayed   int // authorization codes and rotated refresh tokens used again
	Refused    int // other refusals
}

// Faultless says whether the client did nothing a good client would not do.
func (r ClientReport) Faultless() bool { return r.WhileValid == 0 && r.Early == 0 && r.Replayed == 0 }

// journal keeps what each client asked for.
type journal struct {
	mu      sync.Mutex
	clients map[string]*clientLog
}

type clientLog struct {
	ClientReport
	valid map[string]time.Time // until when a token for the same purpose is good
	quiet time.Time            // until when the client was told to wait
	codes map[string]bool
}

func newJournal() *journal { return &journal{clients: map[string]*clientLog{}} }

// note enters one exchange of the token endpoint.
func (j *journal) note(f *flow, a *answer) {
	if f.r.Method == http.MethodOptions {
		return
	}
	name := ""
	if f.client != nil {
		name = f.client.id
	} else if f.form != nil {
		f.present()
		name = f.claimedClient()
	}
	if name == "" {
		host, _, _ := net.SplitHostPort(f.r.RemoteAddr)
		name = "unnamed at " + host
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	c := j.clients[name]
	if c == nil {
		if len(j.clients) >= 10000 {
			return
		}
		c = &clientLog{ClientReport: ClientReport{Client: name}, valid: map[string]time.Time{}, codes: map[string]bool{}}
		j.clients[name] = c
	}
	c.Requests++
	if f.now.Before(c.quiet) {
		c.Early++
	}
	if code := f.form["code"]; code != "" {
		if c.codes[code] {
			c.Replayed++
		}
		if len(c.codes) < 100000 {
			c.codes[code] = true
		}
	}
	if f.refusal != nil && f.refusal.Reason == badRefreshToken && f.refresh != nil {
		c.Replayed++
	}
	switch {
	case f.issue != nil:
		c.Tokens++
		purpose := f.grant.Key + " " + strings.Join(f.scope, " ")
		if u := f.authorization.user; u != nil {
			purpose += " " + u.name
		}
		if f.grant.kind != refreshGrant && f.grant.kind != authorizationCode {
			if f.now.Add(time.Minute).Before(c.valid[purpose]) {
				c.WhileValid++
			}
			c.valid[purpose] = f.issue.Expires
		}
	case a.Status == http.StatusTooManyRequests || a.Status == http.StatusServiceUnavailable:
		c.Throttled++
		if n, err := strconv.Atoi(a.value("Retry-After")); err == nil {
			if until := f.now.Add(time.Duration(n) * time.Second); until.After(c.quiet) {
				c.quiet = until
			}
		}
	default:
		c.Refused++
	}
}

// Journal is what each client did so far, in the order of their names; nil without Options.Journal.
func (e *Emulator) Journal() []ClientReport {
	if e.journal == nil {
		return nil
	}
	e.journal.mu.Lock()
	defer e.journal.mu.Unlock()
	var out []ClientReport
	for _, c := range e.journal.clients {
		out = append(out, c.ClientReport)
	}
	slices.SortFunc(out, func(a, b ClientReport) int { return strings.Compare(a.Client, b.Client) })
	return out
}

// write is the report for a person.
func (j *journal) write(w io.Writer) {
	e := Emulator{journal: j}
	b := bufio.NewWriter(w)
	defer b.Flush()
	faultless := true
	for _, c := range e.Journal() {
		fmt.Fprintf(b, "%s: %d requests, %d tokens\n", c.Client, c.Requests, c.Tokens)
		for _, line := range []struct {
			n    int
			text string
		}{
			{c.WhileValid, "tokens fetched while one was still valid"},
			{c.Throttled, "throttled"},
			{c.Early, "requests before Retry-After had passed"},
			{c.Replayed, "codes or refresh tokens replayed"},
			{c.Refused, "refused otherwise"},
		} {
			if line.n > 0 {
				fmt.Fprintf(b, "  %d %s\n", line.n, line.text)
			}
		}
		faultless = faultless && c.Faultless()
	}
	verdict := "verdict: every client behaved well"
	if !faultless {
		verdict = "verdict: clients misbehaved; see above"
	}
	fmt.Fprintln(b, verdict)
}
