package report

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

func exchange(purpose string, status int, ms float64, body, answer string) Exchange {
	x := Exchange{
		Purpose: purpose,
		At:      time.Date(2026, 11, 21, 18, 30, 6, 0, time.UTC),
		TookMS:  ms,
		Request: Request{Method: "POST", URL: "http://127.0.0.1:9096/oauth2/token", Body: body, Headers: Headers{
			{"Content-Type", "application/x-www-form-urlencoded"},
			{"Accept", "application/json"},
			{"Authorization", "Basic ${CLIENT_ID}:${CLIENT_SECRET}"},
		}},
		Curl: "curl -sS -i -u \"$CLIENT_ID:$CLIENT_SECRET\" -d '" + body + "' http://127.0.0.1:9096/oauth2/token",
	}
	if status == 0 {
		x.Error = "connection reset while reading the answer"
		return x
	}
	x.Response = &Response{Status: status, Proto: "HTTP/1.1", Body: answer, Headers: Headers{
		{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}, {"Set-Cookie", "a=1"}, {"Set-Cookie", "b=2"},
	}}
	return x
}

// fixture is a run with every verdict, several groups, facts, unlocks and waivers.
func fixture() Run {
	r := Run{
		Schema:     Schema,
		Tool:       Tool{"grantcheck", "1.0.0", "1"},
		Contract:   Contract{Name: "appsecplus", Title: "AppSec+ token endpoint", Edition: "oauth20", Pages: []string{"https://docs.example/appsecplus/oauth"}},
		Labels:     map[string]string{"env": "staging", "build": "4711"},
		Endpoint:   Endpoint{URL: "http://127.0.0.1:9096/oauth2/token"},
		Started:    time.Date(2026, 11, 21, 18, 30, 5, 0, time.UTC),
		DurationMS: 1834,
		Complete:   true,
		Command:    "grantcheck check appsecplus --url http://127.0.0.1:9096/oauth2/token",
		Machine:    &Machine{OS: "linux", Arch: "amd64", CPUs: 2, Go: "go1.26.8"},
	}
	r.Contract.NotSpecified = []string{"which status a bad client secret gets", "how long a refresh token lives"}
	r.Exchanges = []Exchange{
		exchange("golden", 200, 3.2, "grant_type=client_credentials&scope=read", `{"access_token":"${ACCESS_TOKEN_1}","token_type":"Bearer","expires_in":3600}`),
		exchange("probe", 400, 2.1, "grant_type=urn%3Aexample%3Agrantcheck%3Ak3v9", `{"error":"invalid_request","error_description":"grant_type is not known"}`),
		exchange("probe", 403, 2.4, "grant_type=password&username=${USER_NAME}&password=wrong-7f3a", `{"error":"invalid_grant"}`),
		exchange("probe", 0, 5012, "grant_type=client_credentials&x=1", ""),
	}
	group := func(name, source string, rules ...string) {
		for _, rule := range rules {
			r.Checks = append(r.Checks, Check{
				Rule: name + "." + rule, Group: name, Level: "MUST", Source: source,
				Title: "Does what the clause about " + rule + " says", Verdict: Pass, Documented: SideSilent, Standard: SidePass,
				Posture: "assert", Wording: "keyword", DurationMS: 4, Exchanges: []int{0},
			})
		}
	}
	group("request", "RFC 6749 §3.2", "form-accepted", "post-only", "unknown-parameter-ignored", "empty-parameter", "charset-accepted")
	r.Checks[0].Documented = SidePass
	r.Checks = append(r.Checks, Check{
		Rule: "request.unknown-grant-type", Title: "Refuses an unsupported grant type with unsupported_grant_type", Group: "request",
		Level: "MUST", Source: "RFC 6749 §5.2", Verdict: Fail, Documented: SideSilent, Standard: SideFail, Posture: "assert", Wording: "derived",
		Message:     "answered invalid_request to a grant type that does not exist",
		Expected:    "a refusal with error unsupported_grant_type",
		Actual:      "400 with error invalid_request",
		Requirement: "The error list reserves a dedicated code for grant types the server does not support, and excludes that case from invalid_request.",
		Why:         "Developers are sent looking for a bad credential when the grant is simply not offered.",
		DurationMS:  4.2, Exchanges: []int{1, 0}, Links: []string{"https://www.rfc-editor.org/rfc/rfc6749#section-5.2"},
	})
	group("client-auth", "RFC 6749 §2.3.1", "basic-accepted", "wrong-secret", "unknown-client", "no-credentials-in-uri")
	r.Checks = append(r.Checks,
		Check{
			Rule: "client-auth.secret-not-truncated", Title: "Compares the whole client secret", Group: "client-auth", Level: "NONE", Source: "CWE-521", Wording: "practice",
			Verdict: Note, Documented: SideSilent, Standard: SideNote, Posture: "observe", Message: "a secret with junk after byte 72 was accepted",
			Expected: "a refusal", Actual: "200 with a token", Why: "Only the first 72 bytes of a secret count; the rest protects nobody.", Exchanges: []int{0},
		},
		Check{
			Rule: "client-auth.bad-secret-401", Title: "Answers 401 to a wrong secret in the Authorization header", Group: "client-auth", Level: "MUST", Source: "RFC 6749 §5.2",
			Verdict: Inconclusive, Documented: SideSilent, Standard: SideSilent, Reason: "the endpoint answered 429 and went on doing so after the 2 s it asked for",
			ReasonKind: Throttled, Exchanges: []int{},
		},
		Check{
			Rule: "client-auth.lock-out", Title: "Slows down guessing", Group: "client-auth", Level: "MUST", Source: "RFC 6749 §4.3.2",
			Verdict: Skip, Documented: SideSilent, Standard: SideSilent, Reason: "needs consent to lock a client out", ReasonKind: NeedsConsent, Needs: "lockout",
		},
		Check{
			Rule: "client-auth.second-client", Title: "Tells two clients apart", Group: "client-auth", Level: "MUST", Source: "RFC 6749 §2.3",
			Verdict: Skip, Documented: SideSilent, Standard: SideSilent, Reason: "needs a second client", ReasonKind: NeedsFixture, Needs: "second client",
		})
	group("password", "RFC 6749 §4.3.2", "happy-path", "unknown-user")
	r.Checks = append(r.Checks,
		Check{
			Rule: "password.invalid-grant-code", Title: "Refuses a wrong password with invalid_grant and 400", Group: "password", Level: "MUST", Source: "RFC 6749 §5.2",
			Verdict: Warn, Documented: SidePass, Standard: SideDeviation, Posture: "assert", Wording: "keyword", Message: "the page documents 403, the standard says 400",
			Expected: "400 with error invalid_grant", Actual: "403 with error invalid_grant", Reason: "page lists 403 for failed user authentication",
			Requirement: "A refused resource owner credential is answered with invalid_grant; the status of error answers is 400 unless stated otherwise.",
			Why:         "Client libraries look at the status before they read the code.", Exchanges: []int{2},
		},
		Check{
			Rule: "password.bound-to-client", Title: "Binds the token to the client that asked", Group: "password", Level: "MUST", Source: "RFC 6749 §10.4",
			Verdict: Blocked, Documented: SideSilent, Standard: SideSilent, Reason: "password.invalid-grant-code did not pass", ReasonKind: Prerequisite, Needs: "password.invalid-grant-code",
		})
	group("response", "RFC 6749 §5.1", "json-body", "access-token", "token-type", "expires-in-number", "content-type", "no-duplicate-members")
	r.Checks = append(r.Checks, Check{
		Rule: "response.scope-syntax", Title: "Writes scope as a space-delimited string", Group: "response", Level: "MUST", Source: "RFC 6749 §3.3",
		Verdict: Skip, Documented: SideSilent, Standard: SideSilent, Reason: "no answer held a scope", ReasonKind: NotApplicable,
	})
	group("headers", "RFC 6749 §5.1", "cache-control-no-store")
	r.Checks = append(r.Checks,
		Check{
			Rule: "headers.pragma-no-cache", Title: "Sends Pragma: no-cache with a token", Group: "headers", Level: "MUST", Source: "RFC 6749 §5.1",
			Verdict: Waived, Documented: SideSilent, Standard: SideFail, Posture: "advise", Message: "no Pragma field", Expected: "Pragma: no-cache", Actual: "no such field",
			Requirement: "Answers that hold a token carry Pragma: no-cache beside Cache-Control: no-store.", Exchanges: []int{0},
			Places: []string{"client_credentials, 200", "password, 200", "refresh_token, 200"},
			Waiver: &Waiver{Reason: "gateway strips the header, ticket 4711", Owner: "platform team", Expires: "2027-03-31", State: "active"},
		},
		Check{
			Rule: "hygiene.no-stack-trace", Title: "Shows no stack trace", Group: "hygiene", Level: "NONE", Source: "CWE-209", Wording: "practice",
			Verdict: Error, Documented: SideSilent, Standard: SideSilent, Reason: "the rule stopped: index out of range", ReasonKind: Internal, Exchanges: []int{3},
		},
		Check{
			Rule: "doc.error-status", Title: "Answers each documented error with its status", Group: "documented", Level: "DOC", Source: "contract", Wording: "documented",
			Verdict: Fail, Documented: SideFail, Standard: SideSilent, Posture: "assert", Message: "the page says 422 for an unknown grant",
			Expected: "422 with error unsupported_grant_type", Actual: "400 with error invalid_request", Why: "Who follows the page handles an answer that never comes.",
			Requirement: "The error table of the page: status and code of each row.", Exchanges: []int{1},
		})
	group("documented", "contract", "endpoint-path", "response-fields")
	for i := len(r.Checks) - 2; i < len(r.Checks); i++ {
		c := &r.Checks[i]
		c.Rule, c.Level, c.Documented, c.Standard, c.Wording = "doc."+c.Rule[len("documented."):], "DOC", SidePass, SideSilent, "documented"
	}
	r.Facts = []Fact{
		{Name: "refresh-race", Title: "Two refreshes at once", Value: "both won; the family lives on", Why: "The documented grace of 8 h covers it.", Exchanges: []int{0}},
		{Name: "clock-skew", Title: "A client assertion from a clock 8 s ahead", Value: "accepted"},
	}
	r.Unlocks = []Unlock{
		{Kind: NeedsFixture, Name: "second client", Rules: []string{"client-auth.second-client"}, How: "name it under clients: second: in the contract"},
		{Kind: NeedsConsent, Name: "--allow lockout", Rules: []string{"client-auth.lock-out"}},
	}
	r.Waivers = []WaiverState{
		{"headers.pragma-no-cache", "", Waiver{"gateway strips the header, ticket 4711", "platform team", "2027-03-31", "active"}},
		{"response.token-type", "", Waiver{"old gateway", "", "2027-01-01", "idle"}},
		{"error.json-body", "", Waiver{"legacy error page", "web team", "2026-10-01", "expired"}},
	}
	r.Summarize()
	r.Decide(Gate{FailOn: Fail, MinJudged: DefaultMinJudged})
	return r
}

// several is the fixture beside a second contract that only passes.
func several() Run {
	a, b := fixture(), fixture()
	b.Contract = Contract{Name: "semansys", Title: "Semansys token endpoint", Edition: "oauth20"}
	b.Endpoint.URL = "http://127.0.0.1:9097/token"
	b.Checks = slices.DeleteFunc(b.Checks, func(c Check) bool { return c.Verdict != Pass && c.Verdict != Skip })
	b.Facts, b.Unlocks, b.Waivers, b.Contract.NotSpecified = nil, nil, nil, nil
	b.Summarize()
	m, err := Merge([]*Run{&a, &b}, nil)
	if err != nil {
		panic(err)
	}
	m.Summarize()
	m.Decide(Gate{MinJudged: DefaultMinJudged})
	return *m
}

// histogram holds n values spread like a busy server's latencies, in microseconds, from a fixed rule.
func histogram(n int, scale float64) *hdrhistogram.Histogram {
	h := NewHistogram()
	for i := range n {
		u := (float64(i) + 0.5) / float64(n)
		v := scale * (400 + 300*u + 900*math.Pow(u, 12) + 9000*math.Pow(u, 300))
		if err := h.RecordValue(int64(v)); err != nil {
			panic(err)
		}
	}
	return h
}

// loadFixture is a load of some seconds on the given windows, with a throttle and thresholds.
func loadFixture(windows int) Run {
	r := fixture()
	r.Checks, r.Facts, r.Unlocks, r.Waivers, r.Contract.NotSpecified = nil, nil, nil, nil, nil
	r.Exchanges = r.Exchanges[:1]
	r.Command = "grantcheck load appsecplus --profile ramp --rate 2000/s"
	l := &Load{Profile: "ramp", Grant: "client_credentials", WindowS: 1, ElapsedMS: float64(windows) * 1000, AskedRate: 1000, Digest: "sha256:41c0"}
	for t := range windows {
		n := int64(2000 * (t + 1) / windows)
		p := SeriesPoint{TS: float64(t), Planned: n, Sent: n, Token: n, P50MS: 0.52 + 0.2*float64(t)/float64(windows), P99MS: 1.4 + 0.4*math.Sin(float64(t)/5), MaxMS: 9.5}
		if n > 1500 {
			p.Token, p.Throttled = 1500, n-1500-n/200
			p.Other, p.Errors = n/200, n/400
			p.P99MS += 6
		}
		p.P90MS, p.ServiceP99MS, p.LagP99MS = p.P50MS*1.6, p.P99MS*0.8, 0.11
		l.Series = append(l.Series, p)
		l.Planned, l.Sent = l.Planned+n, l.Sent+n
		l.Outcomes.Token, l.Outcomes.Throttled = l.Outcomes.Token+p.Token, l.Outcomes.Throttled+p.Throttled
		l.Outcomes.ServerError, l.Outcomes.Timeout = l.Outcomes.ServerError+p.Errors, l.Outcomes.Timeout+p.Other-p.Errors
	}
	l.Answered = l.Sent - l.Outcomes.Timeout
	l.ReachedRate = float64(l.Sent) / float64(windows)
	hist := func(outcome, kind string, n int64, scale float64) Quantiles {
		h := histogram(int(min(n, 20000)), scale)
		e, err := EncodeHistogram(outcome, kind, h)
		if err != nil {
			panic(err)
		}
		l.Histograms = append(l.Histograms, e)
		return QuantilesOf(h)
	}
	l.Latency = Latency{Service: hist("all", "service", l.Answered, 1), Response: hist("all", "response", l.Answered, 1.3), ByOutcome: map[string]LatencyPair{
		"token":     {hist("token", "service", l.Outcomes.Token, 1), hist("token", "response", l.Outcomes.Token, 1.3)},
		"throttled": {hist("throttled", "service", l.Outcomes.Throttled, 0.4), hist("throttled", "response", l.Outcomes.Throttled, 0.6)},
	}}
	l.Generator = Generator{Healthy: true, Lag: hist("all", "lag", l.Sent, 0.1), Workers: 64, MaxWorkers: 256}
	l.Codes = []CodeCount{{200, "", l.Outcomes.Token}, {429, "rate_limited", l.Outcomes.Throttled}, {503, "", l.Outcomes.ServerError}}
	l.Connections = &Connections{Kind: "reuse", Opened: 64, Reused: l.Sent - 64, Proto: "HTTP/1.1"}
	l.Population = &Population{Clients: 20, Spread: "skewed", HottestShare: 0.31, HottestName: "client 3"}
	yes := true
	th := &Throttle{
		Limited: true, RatePerS: 47, Burst: 83, Window: "bucket", Scope: "client", Kind: "token bucket", RecoveryMS: 22, RequestsUsed: 719, Seconds: 9.1,
		RateLow: 46.8, RateHigh: 47.3, SlopePerS: 47.2, Mismatch: 0.017, RunnerUp: &ThrottleFit{Kind: "sliding log", RatePerS: 47, Burst: 83, WindowS: 1.77, Mismatch: 0.092},
		RetryAfter: RetryAfter{Present: true, PresentShare: 1, SyntaxOK: true, Honest: &yes, EarlyAccepts: 4, Trials: 4, TypicalS: 1},
		Documented: "60 requests in 60 s per client", Verdict: Fail,
		Conformity: []ConformityRow{
			{"status", "429", "429", 1, Pass},
			{"error code", "rate_limited", "rate_limited", 1, Pass},
			{"RateLimit-Remaining", "falls with each request", "always 59", 0.02, Warn},
		},
	}
	for i := range 120 {
		t := float64(i) / 10
		th.Points = append(th.Points, ThrottlePoint{t, 103 * t, min(103*t, 83+47*t), min(103*t, 83+47*t)})
	}
	l.Throttle = th
	l.Thresholds = []ThresholdResult{
		{Expression: "p99 < 250ms", Observed: l.Latency.Response.P99MS, Unit: "ms", Limit: 250, Verdict: Pass, Samples: l.Answered, Source: "flag"},
		{Expression: "throttled_rate == 0", Observed: float64(l.Outcomes.Throttled) / float64(l.Sent), Unit: "share", Verdict: Fail, Samples: l.Sent, Source: "profile"},
		{Expression: "p999{outcome=refused} < 1s", Verdict: Inconclusive, Unit: "ms", Limit: 1000, Samples: 3, Reason: "3 samples, 1,000 are needed", Source: "contract slo"},
	}
	l.Findings = []LoadFinding{
		{
			Name: "load.good-credentials-refused", Title: "Good credentials stay good under load", Verdict: Fail, Message: "invalid_client came to credentials that a control proved good",
			Expected: "a token or a throttled answer", Actual: "401 with error invalid_client, 12 times", Count: 12, Share: 0.0003, FirstS: 14.2, RatePerS: 1480, Why: "Clients drop their credentials when told they are wrong.", Exchanges: []int{0},
		},
		{Name: "load.token-reissued", Title: "A live token handed out again", Verdict: Note, Message: "31 % of the answers repeat a live token; expires_in shrank", Count: 9000, Share: 0.31},
	}
	l.Stages = []Stage{{Name: "ramp", ToS: float64(windows), FromRate: 0, ToRate: 2000, Planned: l.Planned, Sent: l.Sent}}
	r.Load = l
	r.Summarize()
	r.Decide(Gate{MinJudged: DefaultMinJudged})
	return r
}

// whole is a check of every core rule with a ten-minute load on one-second windows: the largest usual run.
func whole() Run {
	r, l := fixture(), loadFixture(600)
	for i := len(r.Checks); i < 330; i++ {
		c := r.Checks[i%20]
		c.Rule = fmt.Sprintf("%s-%d", c.Rule, i)
		c.Requirement, c.Why = r.Checks[5].Requirement, r.Checks[5].Why
		x := r.Exchanges[i%3]
		r.Exchanges = append(r.Exchanges, x, x)
		c.Exchanges = []int{len(r.Exchanges) - 1, len(r.Exchanges) - 2}
		r.Checks = append(r.Checks, c)
	}
	r.Load = l.Load
	r.Summarize()
	r.Decide(Gate{MinJudged: DefaultMinJudged})
	return r
}

// changedFixture is the fixture a release later: one failure fixed, one new, one rule no longer judged,
// one renamed by a new rule set, one waiver ended.
func changedFixture() Run {
	r := fixture()
	r.Started = r.Started.Add(48 * time.Hour)
	r.Tool.Catalogue = "2"
	for i := range r.Checks {
		c := &r.Checks[i]
		switch c.Rule {
		case "doc.error-status":
			c.Verdict, c.Documented, c.Actual, c.Message = Pass, SidePass, "422 with error unsupported_grant_type", ""
		case "response.token-type":
			c.Verdict, c.Standard, c.Actual = Fail, SideFail, "no token_type"
		case "response.content-type":
			c.Verdict, c.Standard, c.ReasonKind, c.Reason = Inconclusive, SideSilent, Throttled, "the endpoint answered 429 throughout"
		case "headers.pragma-no-cache":
			c.Verdict, c.Waiver.State = Fail, "expired"
		case "client-auth.unknown-client":
			c.Rule, c.Verdict, c.Standard, c.Actual = "client-auth.stranger", Fail, SideFail, "200 with a token"
		case "client-auth.second-client":
			c.Verdict, c.Standard = Pass, SidePass
		}
	}
	r.Summarize()
	r.Decide(Gate{})
	return r
}

// slowerLoad is the load of the fixture on an endpoint half as fast, with a lower limit.
func slowerLoad() Run {
	r := loadFixture(60)
	r.Started = r.Started.Add(24 * time.Hour)
	r.Labels = map[string]string{"build": "4712"}
	l := r.Load
	for i := range l.Series {
		l.Series[i].P50MS *= 2
		l.Series[i].P99MS *= 2 * (1 + 0.1*math.Sin(float64(i)*2.3))
	}
	for i, h := range l.Histograms {
		if h.Kind != "lag" && h.Outcome == "all" {
			scale := map[string]float64{"service": 2, "response": 2.6}[h.Kind]
			l.Histograms[i], _ = EncodeHistogram(h.Outcome, h.Kind, histogram(20000, scale))
		}
	}
	l.Latency.Service, l.Latency.Response = QuantilesOf(histogram(20000, 2)), QuantilesOf(histogram(20000, 2.6))
	l.Throttle.RatePerS, l.Throttle.RateLow, l.Throttle.RateHigh = 31, 30.8, 31.3
	l.Findings[0].Verdict = Pass
	r.Summarize()
	r.Decide(Gate{})
	return r
}

// soakFixture has what only some loads have: stages, a trend, a second endpoint, a capacity, a limited generator.
func soakFixture() Run {
	r := loadFixture(60)
	l := r.Load
	l.Profile, l.Throttle, l.Findings, l.Thresholds = "soak", nil, nil, nil
	l.Resumed, l.LostMS = 1, 61_000
	l.Generator.Healthy, l.Generator.Reason, l.Generator.PeakMemory = false, "lag p99 was 31 ms, 5 ms is the limit", 41_000_000
	l.Stages = []Stage{{"warm up", 0, 10, 0, 100, 500, 500, 500, 0, 0, 1.2}, {"hold", 10, 7200, 100, 100, 719000, 719000, 718000, 1000, 0, 2.4}}
	l.Trend = &Trend{
		Verdict: Warn, Lines: []TrendLine{{"response p99", "ms", 2.1, 3.4, 0.31, Warn, "grows by 12 % an hour, more than its noise"}, {"error share", "share", 0, 0, 0, Pass, ""}},
		Events: []TrendEvent{{3600, "the endpoint signed with a new key"}},
	}
	l.Against = &Against{URL: "http://127.0.0.1:9097/token", Slices: 40, SliceS: 5, Ratios: []Ratio{{"response p99", "ms", 2.1, 2.4, 1.14, 1.09, 1.2, "worse"}, {"response p50", "ms", 0.7, 0.7, 1, 0.98, 1.02, "same"}}}
	l.Capacity = &Capacity{RatePerS: 840, Confirmed: true, BrokeFirst: "p99 < 250ms", BrokeAt: 900, Steps: []CapacityStep{{400, 400, 3.1, 0, true, ""}, {1600, 1122, 410, 0.02, false, "p99 < 250ms"}}}
	r.Summarize()
	r.Decide(Gate{})
	return r
}

// unreachable is a run that judged nothing.
func unreachable() Run {
	r := fixture()
	r.Preflight = []Preflight{{Kind: Unreachable, Message: "http://127.0.0.1:9096/oauth2/token: connection refused", Remedy: "start the endpoint, or try --emulate"}}
	for i := range r.Checks {
		c := &r.Checks[i]
		*c = Check{
			Rule: c.Rule, Title: c.Title, Group: c.Group, Level: c.Level, Source: c.Source, Verdict: Blocked, Documented: SideSilent, Standard: SideSilent,
			ReasonKind: Unreachable, Reason: "the endpoint was not reached",
		}
	}
	r.Facts, r.Unlocks, r.Waivers, r.Contract.NotSpecified = nil, nil, nil, nil
	r.Summarize()
	r.Decide(Gate{MinJudged: DefaultMinJudged})
	return r
}

func planFixture() Run {
	r := fixture()
	r.Checks, r.Exchanges, r.Facts, r.Waivers, r.Contract.NotSpecified = nil, nil, nil, nil, nil
	r.Plan = &Plan{
		Requests: 412, Tokens: 120, WrongSecrets: map[string]int{"client": 3, "user": 1}, ShortestMS: 41_200, Rules: 131, Unjudged: 9,
		Limits: []string{"412 requests, the contract's safety allows 400"},
	}
	r.Summarize()
	r.Decide(Gate{})
	return r
}

// statementFixture is the fixture without our own error.
func statementFixture() Run {
	r := fixture()
	r.Labels = map[string]string{"implementation": "AppSec+ 2026.3"}
	r.Checks = slices.DeleteFunc(r.Checks, func(c Check) bool { return c.Verdict == Error })
	r.Summarize()
	return r
}
