package emulator

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// throttlingFaults break the rules of the group throttling.
var throttlingFaults = []Fault{
	{
		Name: "throttle.status-429", Rule: "throttle.status-429",
		Text:  "Over-limit requests get 500.",
		Apply: func(b *behaviour) { b.recode(rateLimited, 500, "server_error") },
	},
	{
		Name: "throttle.status-429/dropped", Rule: "throttle.status-429",
		Text:  "Over-limit connections are closed without an answer.",
		Apply: func(b *behaviour) { limited(b, func(f *flow, a *answer) { a.Drop = dropBefore }) },
	},
	{
		Name: "throttle.body-explains", Rule: "throttle.body-explains",
		Text:  "The 429 has an empty body.",
		Apply: func(b *behaviour) { limited(b, func(f *flow, a *answer) { a.NoBody = true }) },
	},
	{
		Name: "throttle.retry-after-syntax", Rule: "throttle.retry-after-syntax",
		Text:  "Retry-After: 1.5",
		Apply: func(b *behaviour) { retryAfter(b, "1.5") },
	},
	{
		Name: "throttle.retry-after-syntax/negative", Rule: "throttle.retry-after-syntax",
		Text:  "Retry-After: -1",
		Apply: func(b *behaviour) { retryAfter(b, "-1") },
	},
	{
		Name: "throttle.retry-after-syntax/rfc3339", Rule: "throttle.retry-after-syntax",
		Text: "Retry-After holds a date of RFC 3339.",
		Apply: func(b *behaviour) {
			b.retryAfter = func(f *flow, wait time.Duration) []string {
				return []string{f.now.Add(wait).UTC().Format(time.RFC3339)}
			}
		},
	},
	{
		Name: "throttle.retry-after-syntax/twice", Rule: "throttle.retry-after-syntax",
		Text: "Two Retry-After lines.",
		Apply: func(b *behaviour) {
			b.retryAfter = func(_ *flow, wait time.Duration) []string { return []string{ceilSeconds(wait), "60"} }
		},
	},
	{
		Name: "throttle.retry-after-present", Rule: "throttle.retry-after-present",
		Text:  "A 429 carries no Retry-After.",
		Apply: func(b *behaviour) { retryAfter(b) },
	},
	{
		Name: "throttle.retry-after-honest", Rule: "throttle.retry-after-honest",
		Text: "Retry-After always says 1 while the block lasts an hour.",
		Setup: Setup{Options: func(o *Options) {
			o.Limits = []Limit{{Requests: 60, Per: time.Hour, Kind: "sliding", Clients: []string{"sacrificial"}, Counts: "successes"}}
		}},
		Apply: func(b *behaviour) { retryAfter(b, "1") },
	},
	{
		Name: "throttle.not-cacheable", Rule: "throttle.not-cacheable",
		Text: "429 with Cache-Control: public, max-age=600.",
		Apply: func(b *behaviour) {
			limited(b, func(f *flow, a *answer) { a.set("Cache-Control", "public, max-age=600") })
		},
	},
	{
		Name: "throttle.not-cacheable/shared", Rule: "throttle.not-cacheable",
		Text:  "429 with Cache-Control: s-maxage=30.",
		Apply: func(b *behaviour) { limited(b, func(f *flow, a *answer) { a.set("Cache-Control", "s-maxage=30") }) },
	},
	{
		Name: "throttle.ratelimit-syntax", Rule: "throttle.ratelimit-syntax",
		Text:  "RateLimit: limit=100, remaining=abc",
		Apply: func(b *behaviour) { rateLimitField(b, "RateLimit", "limit=100, remaining=abc") },
	},
	{
		Name: "throttle.ratelimit-syntax/negative", Rule: "throttle.ratelimit-syntax",
		Text:  "r is negative.",
		Apply: func(b *behaviour) { rateLimitField(b, "RateLimit", `"client-1";r=-4;t=5`) },
	},
	{
		Name: "throttle.ratelimit-syntax/no-r", Rule: "throttle.ratelimit-syntax",
		Text:  "r is missing.",
		Apply: func(b *behaviour) { rateLimitField(b, "RateLimit", `"client-1";t=5`) },
	},
	{
		Name: "throttle.ratelimit-policy-syntax", Rule: "throttle.ratelimit-policy-syntax",
		Text:  "q=-5",
		Apply: func(b *behaviour) { rateLimitField(b, "RateLimit-Policy", `"client-1";q=-5;w=10`) },
	},
	{
		Name: "throttle.ratelimit-policy-syntax/window", Rule: "throttle.ratelimit-policy-syntax",
		Text:  "w=0",
		Apply: func(b *behaviour) { rateLimitField(b, "RateLimit-Policy", `"client-1";q=60;w=0`) },
	},
	{
		Name: "throttle.ratelimit-policy-syntax/unquoted", Rule: "throttle.ratelimit-policy-syntax",
		Text:  "The quota is named without quotation marks.",
		Apply: func(b *behaviour) { rateLimitField(b, "RateLimit-Policy", `client-1;q=60;w=10`) },
	},
	{
		Name: "throttle.ratelimit-retry-after-agree", Rule: "throttle.ratelimit-retry-after-agree",
		Text: "The reset of RateLimit lies a minute behind Retry-After.",
		Apply: func(b *behaviour) {
			limited(b, func(f *flow, a *answer) {
				seconds, _ := strconv.Atoi(a.value("Retry-After"))
				a.set("RateLimit", fmt.Sprintf(`"client-1";r=0;t=%d`, seconds+60))
			})
		},
	},
	{
		Name: "throttle.fails-closed", Rule: "throttle.fails-closed",
		Text: "Under load a wrong secret is taken for the right one.",
		Apply: func(b *behaviour) {
			l := &load{flows: map[*flow]bool{}}
			b.before(stageMethod, func(f *flow) *refusal { l.enter(f); return nil })
			b.onAnswer(func(f *flow, a *answer) { l.leave(f) })
			b.skipIf(atSecret, func(f *flow) bool { return l.heavy() })
			b.skipIf(atGuesses, func(f *flow) bool { return l.heavy() })
		},
	},
	{
		Name: "throttle.client-guessing-limited", Rule: "throttle.client-guessing-limited",
		Text: "Any number of wrong secrets is answered at once.",
		Apply: func(b *behaviour) {
			std := b.guesses
			b.guesses = func(f *flow, what string) int {
				if what == "secret" {
					return 0
				}
				return std(f, what)
			}
		},
	},
}

// limited changes the answers that a rate limit gives.
func limited(b *behaviour, change func(f *flow, a *answer)) { errorOf(b, rateLimited, change) }

// retryAfter sends these Retry-After lines whatever the wait is.
func retryAfter(b *behaviour, lines ...string) {
	b.retryAfter = func(*flow, time.Duration) []string { return lines }
}

// rateLimitField writes a field otherwise wherever it stands.
func rateLimitField(b *behaviour, name, value string) {
	b.onAnswer(func(f *flow, a *answer) {
		if a.has(name) {
			a.set(name, value)
		}
	})
}

// load counts token requests under way; it is heavy from the moment that more than ten overlap
// until none is left.
type load struct {
	mu    sync.Mutex
	flows map[*flow]bool
	peak  int
}

// enter counts a request in. Those that come together are held a moment, as by a backend that is
// slow under load: so the burst is one, however fast the machine is.
func (l *load) enter(f *flow) {
	l.mu.Lock()
	l.flows[f] = true
	l.peak = max(l.peak, len(l.flows))
	together := len(l.flows) > 1
	l.mu.Unlock()
	if together {
		time.Sleep(100 * time.Millisecond)
	}
}

func (l *load) leave(f *flow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if delete(l.flows, f); len(l.flows) == 0 {
		l.peak = 0
	}
}

func (l *load) heavy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.peak > 8
}

// delayEvery lets every nth token answer wait.
func delayEvery(b *behaviour, n uint64, wait time.Duration) {
	b.onToken(func(f *flow, a *answer) {
		if f.seq%n == 0 {
			a.Delay = wait
		}
	})
}

// failEvery answers every nth token request with 500.
func failEvery(b *behaviour, n uint64) {
	b.onToken(func(f *flow, a *answer) {
		if f.seq%n == 0 {
			a.Status = http.StatusInternalServerError
			a.text("text/plain", strings.ToLower(http.StatusText(a.Status)))
		}
	})
}
