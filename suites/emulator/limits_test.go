package emulator

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestParseLimit(t *testing.T) {
	for s, want := range map[string]Limit{
		"60/1m":    {Requests: 60, Per: time.Minute},
		"20/1s:40": {Requests: 20, Per: time.Second, Burst: 40},
		"5/s":      {Requests: 5, Per: time.Second},
	} {
		if got, err := ParseLimit(s); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %+v %v", s, got, err)
		}
	}
	for _, s := range []string{"", "60", "0/1s", "x/1s", "5/0s", "5/1s:0", "5/1s:x", "-1/1s"} {
		if got, err := ParseLimit(s); err == nil {
			t.Errorf("%q gives %+v", s, got)
		}
	}
}

// Retry-After never lies: a second before it the client is still refused, then it is served.
func TestLimits(t *testing.T) {
	for _, kind := range []string{"bucket", "fixed", "sliding"} {
		for _, by := range []string{"client", "address", "endpoint"} {
			t.Run(kind+" by "+by, func(t *testing.T) {
				clock := newClock()
				e := start(t, "standard", Options{Now: clock.now, Limits: []Limit{{Requests: 3, Per: 30 * time.Second, Kind: kind, By: by, Headers: true}}})
				q := request{form: form("grant_type", "client_credentials"), basic: e.primary()}
				for i := range 3 {
					got := e.ask(t, q)
					got.is(t, "within the limit", 200, "")
					if r := got.header.Get("RateLimit"); !strings.Contains(r, fmt.Sprintf(";r=%d;t=", 2-i)) {
						t.Errorf("RateLimit %s", r)
					}
				}
				got := e.ask(t, q)
				got.is(t, "over the limit", 429, "")
				var wait int
				fmt.Sscan(got.header.Get("Retry-After"), &wait)
				if wait < 1 || wait > 30 {
					t.Fatalf("Retry-After %q", got.header.Get("Retry-After"))
				}
				second, _ := e.Contract().ClientNamed("second")
				other := e.ask(t, request{form: form("grant_type", "client_credentials"), basic: [2]string{second.ID, second.Secret}})
				if want := map[string]int{"client": 200}[by]; want != 0 && other.status != want || want == 0 && other.status != 429 {
					t.Errorf("another client: %d", other.status)
				}
				if kind != "fixed" || wait > 1 {
					clock.add(time.Duration(wait-1) * time.Second)
					e.ask(t, q).is(t, "too early", 429, "")
					clock.add(time.Second)
				} else {
					clock.add(time.Duration(wait) * time.Second)
				}
				e.ask(t, q).is(t, "in time", 200, "")
			})
		}
	}
}

func TestBurstThenSustainedRate(t *testing.T) {
	clock := newClock()
	e := start(t, "standard", Options{Now: clock.now, Limits: []Limit{{Requests: 2, Per: time.Second, Burst: 5}}})
	served := func(n int) (ok int) {
		for range n {
			if e.ask(t, request{form: form("grant_type", "client_credentials"), basic: e.primary()}).status == 200 {
				ok++
			}
		}
		return ok
	}
	if n := served(10); n != 5 {
		t.Errorf("burst of %d", n)
	}
	clock.add(2 * time.Second)
	if n := served(10); n != 4 {
		t.Errorf("%d in two seconds", n)
	}
}

func TestGuessesMeetResistance(t *testing.T) {
	clock := newClock()
	e := start(t, "standard", Options{Now: clock.now})
	c, _ := e.Contract().ClientNamed("sacrificial")
	status := 0
	for range 30 {
		status = e.ask(t, request{form: form("grant_type", "client_credentials"), basic: [2]string{c.ID, "guess"}}).status
		if status == 429 {
			break
		}
	}
	if status != 429 {
		t.Errorf("30 wrong secrets: %d", status)
	}
	clock.add(6 * time.Second)
	e.ask(t, request{form: form("grant_type", "client_credentials"), basic: [2]string{c.ID, c.Secret}}).is(t, "after the pause", 200, "")
}

func TestScript(t *testing.T) {
	e := start(t, "standard", Options{Script: "429, 503, invalid_grant, 302, ok"})
	q := request{form: form("grant_type", "client_credentials"), basic: e.primary()}
	for _, want := range []int{429, 503, 400, 302, 200, 200} {
		if got := e.ask(t, q); got.status != want || want == 429 && got.header.Get("Retry-After") != "1" {
			t.Errorf("%d, want %d", got.status, want)
		}
	}
	for _, s := range []string{"nonsense", "99", "slow=x", "ok,,ok"} {
		if _, err := parseScript(s); err == nil {
			t.Errorf("script %q was taken", s)
		}
	}
}

func TestJournal(t *testing.T) {
	clock := newClock()
	var out bytes.Buffer
	e := start(t, "standard", Options{Now: clock.now, Journal: &out, Script: "429"})
	q := request{form: form("grant_type", "client_credentials"), basic: e.primary()}
	e.ask(t, q).is(t, "scripted", 429, "rate_limited")
	e.ask(t, q).is(t, "early", 200, "")
	e.ask(t, q).is(t, "while valid", 200, "")
	clock.add(2 * time.Hour)
	e.ask(t, q).is(t, "after expiry", 200, "")
	code := e.freshCode(t, codeWith(e))
	e.exchangeCode(t, code)
	e.exchangeCode(t, code)
	got := e.Journal()
	want := ClientReport{Client: e.primary()[0], Requests: 6, Tokens: 4, WhileValid: 1, Throttled: 1, Early: 2, Replayed: 1, Refused: 1}
	if len(got) != 1 || got[0] != want {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	e.Close()
	for _, line := range []string{"1 tokens fetched while one was still valid", "2 requests before Retry-After", "1 codes or refresh tokens replayed", "verdict: clients misbehaved"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("journal lacks %q:\n%s", line, out.String())
		}
	}
}
