package suites

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"grantcheck/suites/contract"
	"grantcheck/suites/exchange"
)

// throttlingRules is the group throttling of the catalogue.
var throttlingRules = []Rule{
	{
		ID:    "throttle.status-429",
		Title: "Over-limit requests are answered with 429",
		Group: "throttling",
		Level: May, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 6585 §4",
		Editions: AllEditions,
		Summary:  "429 is the status for too many requests in a given time; no clause makes limiting mandatory here.",
		Why:      "Clients cannot tell being too fast from being broken, and make it worse.",
		Applies:  Applies{When: "explicit opt-in; a limit is documented or discovered"},
		Requires: []string{"request.form-accepted"},
		Probe:    "Burst of golden requests above the limit.",
		Expect:   "Requests beyond the limit get 429 (or the documented status), none gets 5xx other than 503 and no connection is dropped.",
		Tolerates: []string{
			"503 with Retry-After; no limiting at all when none is documented.",
		},
		Fault:   "Over-limit requests get 500.",
		Effects: []Effect{Burst, MintsMany},
		Alone:   true,
		Check: func(c *Case) {
			over, sent := c.overLimit()
			if len(over) == 0 && c.limitOf() != nil {
				c.Inconclusive("the page documents a limit, and %d requests in a burst did not meet it", sent)
			}
			lost := 0
			for _, s := range over {
				lost += boolRank(s.Err != nil)
			}
			if lost == len(over) && lost > 0 && lost < 3 { // a network loses one now and then
				c.look(over[0])
				c.Inconclusive("%d of %d requests of the burst were lost (%s); whether they were limited cannot be told", lost, sent, over[0].ErrKind)
			}
			c.Each(over, fmt.Sprintf("no limit is documented, and none was met within %d requests", sent), func(s *Sample) {
				if s.ErrKind == exchange.ErrTimeout {
					c.Inconclusive("a request of the burst timed out; whether it was limited cannot be told")
				}
				c.Expect(s).To(satisfy("status 429, or what the page documents, for requests beyond the limit", func(s *Sample) (string, bool) {
					return s.Came(), s.Err == nil && (s.Answer.Throttled() || s.Status == 503)
				}))
			})
		},
	},
	{
		ID:    "throttle.body-explains",
		Title: "A 429 body explains the condition",
		Group: "throttling",
		Level: Should, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "RFC 6585 §4",
		Editions: AllEditions,
		Summary:  "The representation should include details of the condition.",
		Why:      "Clients cannot tell being too fast from being broken, and make it worse.",
		Requires: []string{"throttle.status-429"},
		Probe:    "Any 429 of the run.",
		Expect:   "Non-empty body; JSON with error or problem details preferred.",
		Tolerates: []string{
			"HTML or plain text from a gateway.",
		},
		Fault:   "Empty 429 body.",
		Effects: []Effect{Burst},
		Passive: true,
		Alone:   true,
		Check: func(c *Case) {
			c.Each(tooMany(c), no429, func(s *Sample) {
				c.Expect(s).To(satisfy("a body that explains the 429", func(s *Sample) (string, bool) {
					return "429 with an empty body", len(bytes.TrimSpace(s.Body)) > 0
				}))
			})
		},
	},
	{
		ID:    "throttle.retry-after-syntax",
		Title: "Retry-After, when present, is seconds or an HTTP date",
		Group: "throttling",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 9110 §10.2.3, §5.6.7",
		Editions: AllEditions,
		Summary:  "The field is a non-negative integer of seconds or an HTTP date.",
		Why:      "Clients cannot tell being too fast from being broken, and make it worse.",
		Applies:  Applies{When: "Retry-After seen on any response"},
		Probe:    "Any response with Retry-After.",
		Expect:   "Matches delay-seconds or one of the HTTP-date forms; only one field line.",
		Tolerates: []string{
			"Dates in obsolete formats (note); absence.",
		},
		Fault:   "Retry-After: 1.5",
		Passive: true,
		Check: func(c *Case) {
			c.Each(withField(c, "Retry-After"), "no answer carries Retry-After", func(s *Sample) {
				lines := s.Header.Values("Retry-After")
				c.Expect(s).To(satisfy("one Retry-After with whole seconds or an HTTP date", func(*Sample) (string, bool) {
					came := exchange.Printable(strings.Join(lines, " and "), 80)
					if len(lines) != 1 {
						return "two lines: " + came, false
					}
					_, err := exchange.ParseRetryAfter(lines[0], s.Sent)
					return "Retry-After: " + came, err == nil
				}))
				if _, err := time.Parse(http.TimeFormat, lines[0]); err != nil && !digits.MatchString(lines[0]) {
					c.Note("Retry-After carries a date in an obsolete form")
				}
			})
		},
	},
	{
		ID:    "throttle.retry-after-present",
		Title: "A 429 tells how long to wait",
		Group: "throttling",
		Level: May, Wording: Keyword, Binds: "server", Posture: Observe,
		Source:   "RFC 6585 §4",
		Editions: AllEditions,
		Summary:  "Retry-After is optional on 429.",
		Why:      "Clients cannot tell being too fast from being broken, and make it worse.",
		Requires: []string{"throttle.status-429"},
		Probe:    "Any 429.",
		Expect:   "Retry-After present.",
		Tolerates: []string{
			"Absence.",
		},
		Fault:   "No Retry-After.",
		Effects: []Effect{Burst},
		Passive: true,
		Alone:   true,
		Check: func(c *Case) {
			c.Each(tooMany(c), no429, func(s *Sample) {
				c.Expect(s).To(satisfy("Retry-After on a 429", func(s *Sample) (string, bool) { return "none", s.Header.Get("Retry-After") != "" }))
			})
		},
	},
	{
		ID:    "throttle.retry-after-honest",
		Title: "A request after Retry-After has passed is served",
		Group: "throttling",
		Level: Should, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 6585 §4; RFC 9110 §10.2.3",
		Editions: AllEditions,
		Summary:  "The field says how long to wait before a follow-up request.",
		Why:      "Clients cannot tell being too fast from being broken, and make it worse.",
		Requires: []string{"throttle.retry-after-syntax"},
		Probe:    "After a 429 with Retry-After of at most 120 s, wait that long plus 1 s, send one golden request.",
		Expect:   "ok, or 429 with a new Retry-After at most twice in a row.",
		Tolerates: []string{
			"Other traffic sharing the quota; jitter; sliding windows.",
		},
		Fault:   "Retry-After always says 1 while the block lasts an hour.",
		Effects: []Effect{Burst, Slow},
		Alone:   true,
		Check: func(c *Case) {
			over, sent := c.overLimit()
			over = slices.DeleteFunc(over, func(s *Sample) bool {
				after, ok := s.RetryAfter()
				return !s.Answer.Throttled() || !ok || after > 2*time.Minute
			})
			if len(over) == 0 {
				c.NotApplicable("no answer asked to wait two minutes at most (%d requests sent)", sent)
			}
			s := over[len(over)-1]
			for refused := 0; ; refused++ {
				after, ok := s.RetryAfter()
				c.Expect(s).To(satisfy("a request served once Retry-After has passed", func(s *Sample) (string, bool) {
					if !ok {
						return s.Came() + " again, without Retry-After", false
					}
					return fmt.Sprintf("%s, %d times in a row", s.Came(), refused), refused <= 2
				}))
				if wait := s.Sent.Add(s.Took + after + time.Second).Sub(c.Now()); wait > 0 {
					c.Wait(wait, "Retry-After to pass")
				}
				s = c.Try(Step(c.goldenLike(s), "after the time that Retry-After gave"), AsIs(), Positive())
				if !s.Answer.Throttled() {
					break
				}
			}
			c.decided(s, probe{})
			c.Expect(s).To(BeTokenResponse())
		},
	},
	{
		ID:    "throttle.not-cacheable",
		Title: "A 429 is not marked storable",
		Group: "throttling",
		Level: MustNot, Wording: Keyword, Binds: "both", Posture: Advise,
		Source:   "RFC 6585 §4",
		Editions: AllEditions,
		Summary:  "The ban binds caches; a server that marks a 429 as cacheable invites them to break it.",
		Why:      "A cached refusal locks out clients that did nothing wrong.",
		Requires: []string{"throttle.status-429"},
		Probe:    "Any 429.",
		Expect:   "No Cache-Control: public and no positive max-age or s-maxage.",
		Tolerates: []string{
			"Absence of Cache-Control.",
		},
		Fault:   "429 with Cache-Control: public, max-age=600.",
		Effects: []Effect{Burst},
		Passive: true,
		Alone:   true,
		Check: func(c *Case) {
			c.Each(tooMany(c), no429, func(s *Sample) { c.Expect(s).To(beUnshared()) })
		},
	},
	{
		ID:    "throttle.ratelimit-syntax",
		Title: "RateLimit, when present, is a list of named items with r",
		Group: "throttling",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "draft-ietf-httpapi-ratelimit-headers-10 §4",
		Editions: AllEditions,
		Summary:  "The field is a structured-field List whose items carry a required non-negative integer r and optional integer t.",
		Why:      "Clients that pace themselves by these fields are misled.",
		Applies:  Applies{When: "RateLimit field present"},
		Probe:    "Any response with RateLimit.",
		Expect:   "Parses as a List; each item has integer r of at least 0; t, if present, integer of at least 0.",
		Tolerates: []string{
			"Older drafts used three fields (RateLimit-Limit, -Remaining, -Reset) or a dictionary form: recognized and reported as an older draft, not failed; unknown parameters.",
			"An optional pk byte sequence; parameters in any order.",
		},
		Fault:   "RateLimit: limit=100, remaining=abc",
		Passive: true,
		Check: func(c *Case) {
			answers := append(withField(c, "RateLimit"), withField(c, "RateLimit-Remaining")...)
			c.Each(answers, "no answer carries RateLimit", func(s *Sample) {
				text := strings.Join(s.Header.Values("RateLimit"), ", ")
				if text == "" || olderRateLimit.MatchString(text) {
					c.Note("the endpoint sends the RateLimit fields of an older draft")
					return
				}
				c.Expect(s).To(satisfy("RateLimit as a list of named items, each with a whole number r, and t if it is there", func(*Sample) (string, bool) {
					items, err := parseItems(text)
					ok := err == nil && len(items) > 0
					for _, item := range items {
						ok = ok && item.kind != "integer" && item.count("r", 0, true) && item.count("t", 0, false)
					}
					return "RateLimit: " + exchange.Printable(text, 120), ok
				}))
			})
		},
	},
	{
		ID:    "throttle.ratelimit-policy-syntax",
		Title: "RateLimit-Policy, when present, names quotas with q",
		Group: "throttling",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "draft-ietf-httpapi-ratelimit-headers-10 §3",
		Editions: AllEditions,
		Summary:  "Items are strings with a required non-negative integer q and an optional positive integer w.",
		Why:      "Clients that pace themselves by these fields are misled.",
		Applies:  Applies{When: "RateLimit-Policy field present"},
		Probe:    "Any response with RateLimit-Policy.",
		Expect:   "Parses as a non-empty List of String items; integer q of at least 0; w, if present, of at least 1.",
		Tolerates: []string{
			"Older draft form with a bare integer item (note).",
		},
		Fault:   "q=-5",
		Passive: true,
		Check: func(c *Case) {
			c.Each(withField(c, "RateLimit-Policy"), "no answer carries RateLimit-Policy", func(s *Sample) {
				text := strings.Join(s.Header.Values("RateLimit-Policy"), ", ")
				items, err := parseItems(text)
				ok, older := err == nil && len(items) > 0, false
				for _, item := range items {
					if item.kind == "integer" && item.whole(item.text, 0) {
						older = true
						continue
					}
					ok = ok && item.kind == "string" && item.count("q", 0, true) && item.count("w", 1, false)
				}
				c.Expect(s).To(satisfy("RateLimit-Policy as a list of strings, each with a whole number q, and w from 1 if it is there", func(*Sample) (string, bool) {
					return "RateLimit-Policy: " + exchange.Printable(text, 120), ok
				}))
				if older {
					c.Note("RateLimit-Policy has the form of an older draft")
				}
			})
		},
	},
	{
		ID:    "throttle.ratelimit-retry-after-agree",
		Title: "Retry-After is not earlier than the RateLimit reset",
		Group: "throttling",
		Level: ShouldNot, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "draft-ietf-httpapi-ratelimit-headers-10 §6",
		Editions: AllEditions,
		Summary:  "If both are sent, Retry-After should not point before the reset.",
		Why:      "Clients that pace themselves by these fields are misled.",
		Applies:  Applies{When: "both fields present"},
		Requires: []string{"throttle.retry-after-syntax", "throttle.ratelimit-syntax"},
		Probe:    "Any such response.",
		Expect:   "Retry-After seconds at least the smallest t of an exhausted item, minus 1 s.",
		Fault:    "Retry-After: 1 with t=60 and r=0.",
		Passive:  true,
		Check: func(c *Case) {
			answers := slices.DeleteFunc(withField(c, "RateLimit"), func(s *Sample) bool {
				_, exhausted := resetOf(s)
				_, asked := s.RetryAfter()
				return !exhausted || !asked
			})
			c.Each(answers, "no answer carries Retry-After beside a spent RateLimit with its reset", func(s *Sample) {
				reset, _ := resetOf(s)
				after, _ := s.RetryAfter()
				c.Expect(s).To(satisfy("Retry-After no earlier than the reset of RateLimit", func(s *Sample) (string, bool) {
					return fmt.Sprintf("Retry-After: %s beside a reset in %d seconds", exchange.Printable(s.Header.Get("Retry-After"), 40), int(reset.Seconds())), after >= reset-time.Second
				}))
			})
		},
	},
	{
		ID:    "throttle.fails-closed",
		Title: "Overload never turns a bad credential into a token",
		Group: "throttling",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §3.2.1",
		Editions: AllEditions,
		Summary:  "Client authentication is required at any load.",
		Why:      "Under load the lock opens instead of staying shut.",
		Applies:  Applies{When: "explicit opt-in"},
		Requires: []string{"client-auth.wrong-secret-refused"},
		Probe:    "During a load phase mix 1 percent wrong-secret requests.",
		Expect:   "None of them is ok, and at least ten of them got an answer other than 429, 5xx or a timeout; fewer is inconclusive.",
		Tolerates: []string{
			"429, 503 and timeouts as such.",
		},
		Fault:   "Authentication backend timeout is treated as success.",
		Effects: []Effect{BadClientCredentials, Burst},
		Alone:   true,
		Check: func(c *Case) {
			if consumes(c.Golden().Grant()) {
				c.NeedsLoad()
			}
			c.Probe(Step(c.Victim(), "before the load"), Positive()) // waits where an earlier probe used a quota up
			var wrong []*Sample
			for range 4 {
				batch := make([]exchange.Request, 25)
				for i := range batch {
					if batch[i] = Step(c.Golden(), "load"); i%8 == 4 {
						victim := c.Victim()
						_, secret := victim.Credentials()
						batch[i] = Step(victim.Secret(c.Target().RandomLike(secret)), "a wrong secret under load")
					}
				}
				for i, s := range c.Together(batch, Provokes("wrong_secret")) {
					if s.Provoked = nil; i%8 == 4 {
						s.Provoked = []string{"wrong_secret"}
						wrong = append(wrong, s)
					}
				}
			}
			real := 0
			for _, s := range wrong {
				c.Expect(s).To(satisfy("no token for a wrong secret at any load", func(s *Sample) (string, bool) { return s.Came(), !s.Answer.OK() }))
				if s.Answer.Refused() {
					real++
				}
			}
			if real < 10 {
				c.Inconclusive("%d of %d wrong secrets got an answer that was neither a limit, a fault nor a timeout; ten are needed", real, len(wrong))
			}
		},
	},
	{
		ID:    "throttle.client-guessing-limited",
		Title: "Repeated wrong client secrets meet resistance",
		Group: "throttling",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Observe,
		Source:   "RFC 6749 §2.3.1",
		Editions: AllEditions,
		Summary:  "Endpoints that take client passwords have to be protected against brute force.",
		Why:      "Attackers can try secrets until one fits.",
		Applies:  Applies{Auth: []string{"basic", "post"}, When: "explicit opt-in with a sacrificial client"},
		Requires: []string{"request.form-accepted"},
		Probe:    "N wrong secrets (default 30) for the sacrificial client, then the right one.",
		Expect:   "Observable change within N: 429, delay or lock.",
		Tolerates: []string{
			"Alerting or secrets beyond guessing range are invisible: observation only.",
		},
		Fault:    "No reaction.",
		Effects:  []Effect{BadClientCredentials, LockoutRisk, Burst},
		Alone:    true,
		Provokes: []string{"wrong_secret"},
		Check: func(c *Case) {
			c.Fixture("sacrificial")
			if consumes(c.run.golden.grant) {
				c.NotApplicable("the golden request uses up a code or a refresh token each time")
			}
			if s := c.Probe(Step(c.GoldenAs("sacrificial", ""), "the right secret first"), Positive()); !s.Answer.OK() {
				c.look(s)
				c.Blocked("the sacrificial client gets no token with its right secret: %s", s.Came())
			}
			const guesses = 30
			var tries []*Sample
			for i := range guesses {
				req := c.GoldenAs("sacrificial", "")
				_, secret := req.Credentials()
				guess := Step(req.Secret(c.Target().RandomLike(secret)), "guess %d", i+1)
				if i == 0 {
					tries = append(tries, c.Probe(guess)) // a limit that other probes have met is no reaction to guessing
					continue
				}
				s := c.Try(guess, AsIs())
				if s.Answer.OK() {
					c.look(s)
					c.Blocked("a wrong secret was accepted; client-auth.wrong-secret-refused judges that")
				}
				tries = append(tries, s)
				first := tries[0]
				if s.Status != first.Status || s.Code() != first.Code() || s.Err != nil || s.Answer.Throttled() || slower(tries) {
					reaction := s.Came()
					if s.Status == first.Status && s.Code() == first.Code() {
						reaction = "slower answers"
					}
					c.Fact("client-guessing", "Reaction to repeated wrong client secrets", fmt.Sprintf("%s at attempt %d", reaction, i+1), s)
					return
				}
			}
			last := c.Try(Step(c.GoldenAs("sacrificial", ""), "the right secret last"), AsIs()) // of a locked client it is as good as a wrong one
			if !last.Answer.OK() {
				c.Fact("client-guessing", "Reaction to repeated wrong client secrets", fmt.Sprintf("the client is locked after %d", guesses), last)
				return
			}
			c.Violate(last, fmt.Sprintf("a limit, a delay or a lock within %d wrong secrets", guesses), "the same answer to each, and a token for the right one")
		},
	},
}

const no429 = "no 429 was seen"

// olderRateLimit is the dictionary form of the drafts before the present one.
var olderRateLimit = regexp.MustCompile(`^\s*(?:limit|remaining|reset)=\d+(?:\s*,\s*[a-z]+=\d+)*\s*$`)

// tooMany returns every 429 of the token endpoint.
func tooMany(c *Case) []*Sample {
	return c.Answers(func(s *Sample) bool { return s.Status == 429 && s.Endpoint == tokenEndpoint })
}

// withField returns every answer of the run with a header field.
func withField(c *Case, field string) []*Sample {
	return c.Answers(func(s *Sample) bool { return len(s.Header.Values(field)) > 0 })
}

// limitOf returns the documented limit that golden requests run into, nil when the page documents none.
func (c *Case) limitOf() *contract.RateLimit {
	for i := range c.Contract().RateLimits {
		if l := &c.Contract().RateLimits[i]; l.Documented && l.Counts != "failures" {
			return l
		}
	}
	return nil
}

// maxBurst bounds the requests of one burst; a load run sends more.
const maxBurst = 200

// limitedGolden is the golden request that a limit counts: of its grant, and of the sacrificial
// client where there is one, so that nobody else is throttled.
func (c *Case) limitedGolden(l *contract.RateLimit) exchange.Request {
	p := c.run.golden
	if l != nil && len(l.Grants) > 0 {
		if g, ok := c.Contract().Grant(l.Grants[0]); ok {
			p = c.run.pairFor(exchange.GrantType(g), "")
		}
	}
	if p.grant == nil {
		c.Blocked("there is no golden request")
	}
	if consumes(p.grant) {
		c.NeedsLoad()
	}
	if c.Target().ClientNamed("sacrificial") != nil {
		return c.GoldenAs("sacrificial", exchange.GrantType(p.grant))
	}
	return c.goldenOf(p, "")
}

// goldenLike is the golden request of the client and grant that an answer was for.
func (c *Case) goldenLike(s *Sample) exchange.Request {
	return c.GoldenAs(s.client, exchange.GrantType(c.GrantOf(s)))
}

// overLimit returns the answers of the run that came in place of tokens while golden requests were
// sent too fast. Without any it sends a burst above the documented limit, or of sixty requests.
func (c *Case) overLimit() (over []*Sample, sent int) {
	c.run.mu.Lock()
	for _, s := range c.run.samples {
		if slices.Contains(s.Provoked, "rate_limited") {
			if sent++; !s.Answer.OK() {
				over = append(over, s)
			}
		}
	}
	c.run.mu.Unlock()
	l := c.limitOf()
	n := 60
	if l != nil && l.Limit > 0 {
		if n = min(maxBurst, max(2*l.Limit, l.Limit+10)); l.Limit+max(l.Limit/10, 5) > maxBurst {
			c.NeedsLoad()
		}
	}
	if len(over) > 0 || sent >= n {
		return over, sent
	}
	first := c.Try(Step(c.limitedGolden(l), "before the burst"), Positive()) // waits where an earlier probe used the quota up
	if first.Answer.Throttled() {
		return []*Sample{first}, 1 // the quota lasts longer than a run can wait: this is the answer beyond it
	}
	c.decided(first, probe{})
	for sent = 0; sent < n && len(over) == 0; {
		batch := make([]exchange.Request, min(20, n-sent))
		for i := range batch {
			batch[i] = Step(c.limitedGolden(l), "burst")
		}
		sent += len(batch)
		for _, s := range c.Together(batch, Provokes("rate_limited")) {
			if !s.Answer.OK() {
				over = append(over, s)
			}
		}
	}
	if len(over) > 0 && over[len(over)-1].Err == nil { // one more, on its own: what a single client sees
		if s := c.Try(Step(c.limitedGolden(l), "burst"), AsIs(), Provokes("rate_limited")); !s.Answer.OK() {
			over = append(over, s)
		}
	}
	return over, sent
}

// slower reports that answers have become much slower than they were at first.
func slower(samples []*Sample) bool {
	if len(samples) < 10 {
		return false
	}
	median := func(part []*Sample) time.Duration {
		times := make([]time.Duration, len(part))
		for i, s := range part {
			times[i] = s.Took
		}
		slices.Sort(times)
		return times[len(times)/2]
	}
	return median(samples[len(samples)-5:]) > 2*median(samples[:5])+500*time.Millisecond
}

// resetOf returns the smallest t of the spent items in RateLimit; ok is false without one.
func resetOf(s *Sample) (reset time.Duration, ok bool) {
	items, err := parseItems(strings.Join(s.Header.Values("RateLimit"), ", "))
	if err != nil {
		return 0, false
	}
	for _, item := range items {
		if item.params["r"].text != "0" || item.params["t"].kind != "integer" {
			continue
		}
		if n, err := strconv.Atoi(item.params["t"].text); err == nil && (!ok || time.Duration(n)*time.Second < reset) {
			reset, ok = time.Duration(n)*time.Second, true
		}
	}
	return reset, ok
}

// An item is one member of a structured-field List (RFC 9651 §3.1) with its parameters.
type item struct {
	bare
	params map[string]bare
}

// bare is a bare item: integer, decimal, string, token, bytes, boolean, date or display.
type bare struct{ kind, text string }

// whole reports an integer that is not below least.
func (item) whole(text string, least int64) bool {
	n, err := strconv.ParseInt(text, 10, 64)
	return err == nil && n >= least
}

// count reports a parameter that is a whole number not below least, or that is not there and need not be.
func (i item) count(name string, least int64, needed bool) bool {
	p, ok := i.params[name]
	if !ok {
		return !needed
	}
	return p.kind == "integer" && i.whole(p.text, least)
}

var (
	bareItems = []struct {
		kind    string
		pattern *regexp.Regexp
	}{
		{"string", regexp.MustCompile(`^"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"`)},
		{"decimal", regexp.MustCompile(`^-?\d{1,12}\.\d{1,3}`)},
		{"integer", regexp.MustCompile(`^-?\d{1,15}`)},
		{"bytes", regexp.MustCompile(`^:[A-Za-z0-9+/=]*:`)},
		{"boolean", regexp.MustCompile(`^\?[01]`)},
		{"date", regexp.MustCompile(`^@-?\d{1,15}`)},
		{"display", regexp.MustCompile(`^%"[^"]*"`)},
		{"token", regexp.MustCompile("^[A-Za-z*][A-Za-z0-9:/!#$%&'*+.^_`|~-]*")},
	}
	paramKey = regexp.MustCompile(`^; *([a-z*][a-z0-9_.*-]*)(=?)`)
)

// parseItems reads a structured-field List of items; inner lists are an error.
func parseItems(text string) (items []item, err error) {
	read := func() (b bare, ok bool) {
		for _, k := range bareItems {
			if m := k.pattern.FindString(text); m != "" {
				text = text[len(m):]
				return bare{k.kind, strings.Trim(m, `"`)}, true
			}
		}
		return b, false
	}
	bad := func() ([]item, error) {
		return items, fmt.Errorf("no structured-field list at %q", exchange.Printable(text, 40))
	}
	text = strings.Trim(text, " ")
	for text != "" {
		b, ok := read()
		if !ok {
			return bad()
		}
		it := item{b, map[string]bare{}}
		for {
			m := paramKey.FindStringSubmatch(text)
			if m == nil {
				break
			}
			text = text[len(m[0]):]
			value := bare{"boolean", "?1"}
			if m[2] != "" {
				if value, ok = read(); !ok {
					return bad()
				}
			}
			it.params[m[1]] = value
		}
		items = append(items, it)
		if text = strings.TrimLeft(text, " \t"); text == "" {
			break
		}
		if text[0] != ',' {
			return bad()
		}
		if text = strings.TrimLeft(text[1:], " \t"); text == "" {
			return bad() // a trailing comma
		}
	}
	return items, nil
}
