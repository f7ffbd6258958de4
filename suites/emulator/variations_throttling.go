package emulator

import (
	"net/http"
	"time"

	"grantcheck/suites/contract"
)

// throttlingVariations are what correct servers do differently when they limit.
var throttlingVariations = []Variation{
	{
		Name: "retry-after-obsolete-date",
		Text: "Retry-After is a date in the form of RFC 850, which recipients still have to read (RFC 9110 section 5.6.7).",
		Apply: func(b *behaviour) {
			b.retryAfter = func(f *flow, wait time.Duration) []string {
				return []string{f.now.Add(wait + time.Second).UTC().Format("Monday, 02-Jan-06 15:04:05 GMT")}
			}
		},
	},
	{
		Name: "ratelimit-older-draft",
		Text: "The fields of an older draft: three of them, and a policy without a name.",
		Apply: func(b *behaviour) {
			b.onAnswer(func(f *flow, a *answer) {
				if !a.has("RateLimit") {
					return
				}
				a.del("RateLimit")
				a.set("RateLimit-Limit", "60")
				a.set("RateLimit-Remaining", "1")
				a.set("RateLimit-Reset", "10")
				a.set("RateLimit-Policy", `60;w=10;comment="sliding window"`)
			})
		},
	},
	{
		Name: "ratelimit-further-parameters",
		Text: "RateLimit carries a partition key and parameters that no draft knows.",
		Apply: func(b *behaviour) {
			rateLimitField(b, "RateLimit", `"burst";pk=:cHNldWRv:;r=3;x=1.5;y, "daily";t=3600;r=900`)
			rateLimitField(b, "RateLimit-Policy", `"burst";w=10;q=60;qu="requests", "daily";q=1000;w=86400`)
		},
	},
	{
		Name: "limit-by-503",
		Text: "Over-limit requests get 503 with Retry-After, as the page says.",
		Setup: Setup{Prepare: func(c *contract.Contract) {
			c.RateLimits = []contract.RateLimit{{Documented: true, Status: http.StatusServiceUnavailable, RetryHint: &contract.Hint{Name: "Retry-After"}}}
		}},
		Apply: func(*behaviour) {},
	},
}
