package emulator

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Limit is a rate limit to put on the token endpoint.
type Limit struct {
	Requests int           // requests allowed …
	Per      time.Duration // … in this time
	Burst    int           // requests that may come at once; 0: Requests. A bucket's size; windows ignore it
	Kind     string        // bucket (default), fixed (aligned to the clock) or sliding
	By       string        // client (default), address or endpoint
	Grants   []string      // keys of the grants it is for; nil: all
	Clients  []string      // names of the client fixtures it is for; nil: all
	Counts   string        // all (default), failures or successes
	Headers  bool          // RateLimit and RateLimit-Policy fields on every answer
}

// ParseLimit reads N/D[:BURST]: 60/1m, 20/1s:40.
func ParseLimit(s string) (Limit, error) {
	bad := fmt.Errorf("limit %q is not N/D[:BURST], as in 60/1m or 20/1s:40", s)
	rate, burst, bursty := strings.Cut(s, ":")
	n, per, ok := strings.Cut(rate, "/")
	if !ok {
		return Limit{}, bad
	}
	var l Limit
	var err error
	if l.Requests, err = strconv.Atoi(n); err != nil || l.Requests < 1 {
		return Limit{}, bad
	}
	if strings.IndexFunc(per, func(r rune) bool { return '0' <= r && r <= '9' }) != 0 {
		per = "1" + per // 20/s
	}
	if l.Per, err = time.ParseDuration(per); err != nil || l.Per <= 0 {
		return Limit{}, bad
	}
	if bursty {
		if l.Burst, err = strconv.Atoi(burst); err != nil || l.Burst < 1 {
			return Limit{}, bad
		}
	}
	return l, nil
}

// limiter enforces one limit.
type limiter struct {
	Limit
	name string
	mu   sync.Mutex
	keys map[string]*quota
}

func newLimiter(name string, l Limit) *limiter {
	return &limiter{Limit: l, name: name, keys: map[string]*quota{}}
}

// quota is what one client, address or endpoint has used.
type quota struct {
	tokens float64 // bucket: what is left
	at     time.Time
	window time.Time   // fixed: start
	used   int         // fixed: requests in it
	recent []time.Time // sliding: requests in the last Per
}

// limitState is one limit as a request met it.
type limitState struct {
	l         *limiter
	key       string
	remaining int
	reset     time.Duration // until the quota is whole again, or the next request is allowed
}

const maxQuotas = 50000 // keys remembered per limit

// take asks for one request. With commit false it only looks. wait is how long until a
// request would be allowed; 0: it is now.
func (l *limiter) take(key string, now time.Time, factor float64, commit bool) (wait time.Duration, remaining int, reset time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	allowed := max(1, float64(l.Requests)*factor)
	burst := allowed
	if l.Burst > 0 {
		burst = max(1, float64(l.Burst)*factor)
	}
	q := l.keys[key]
	if q == nil {
		if len(l.keys) >= maxQuotas {
			clear(l.keys)
		}
		q = &quota{tokens: burst, at: now}
		l.keys[key] = q
	}
	switch l.Kind {
	case "fixed":
		start := now.Truncate(l.Per)
		if !q.window.Equal(start) {
			q.window, q.used = start, 0
		}
		reset = start.Add(l.Per).Sub(now)
		if float64(q.used) >= allowed {
			return reset, 0, reset
		}
		if commit {
			q.used++
		}
		return 0, int(allowed) - q.used, reset
	case "sliding":
		from := 0
		for from < len(q.recent) && now.Sub(q.recent[from]) >= l.Per {
			from++
		}
		q.recent = slices.Delete(q.recent, 0, from)
		if float64(len(q.recent)) >= allowed {
			reset = q.recent[len(q.recent)-int(allowed)].Add(l.Per).Sub(now)
			return reset, 0, reset
		}
		if commit {
			q.recent = append(q.recent, now)
		}
		if len(q.recent) > 0 {
			reset = q.recent[0].Add(l.Per).Sub(now)
		}
		return 0, int(allowed) - len(q.recent), reset
	}
	rate := allowed / l.Per.Seconds()
	if d := now.Sub(q.at).Seconds(); d > 0 {
		q.tokens, q.at = min(burst, q.tokens+d*rate), now
	}
	if q.tokens < 1-1e-9 {
		wait = time.Duration((1 - q.tokens) / rate * float64(time.Second))
		return max(wait, time.Nanosecond), 0, wait
	}
	if commit {
		q.tokens--
	}
	if q.tokens < 1 {
		reset = time.Duration((1 - q.tokens) / rate * float64(time.Second))
	}
	return 0, int(q.tokens), reset
}

// limit asks the rate limits that are for this request, whoever it really comes from.
func (f *flow) limit() *refusal {
	if len(f.e.limiters) == 0 {
		return nil
	}
	f.present()
	r := f.limitBy(func(l *limiter) bool { return l.Counts != "successes" })
	f.cred = credentials{}
	return r
}

// limitTokens asks the limits that count tokens, once the client is known.
func (f *flow) limitTokens() *refusal {
	return f.limitBy(func(l *limiter) bool { return l.Counts == "successes" })
}

func (f *flow) limitBy(which func(*limiter) bool) *refusal {
	var wait time.Duration
	asked := false
	for _, l := range f.e.limiters {
		if !which(l) {
			continue
		}
		asked = true
		if len(l.Grants) > 0 && (f.grant == nil || !slices.Contains(l.Grants, f.grant.Key)) {
			continue
		}
		if l.Clients != nil && !f.e.limitedClient(l.Clients, f.claimedClient()) {
			continue
		}
		key := ""
		switch l.By {
		case "address":
			key, _, _ = net.SplitHostPort(f.r.RemoteAddr)
		case "endpoint":
		default:
			key = f.claimedClient()
		}
		w, left, reset := l.take(key, f.now, f.b.limitFactor, l.Counts == "" || l.Counts == "all")
		f.limits = append(f.limits, limitState{l, key, left, reset})
		wait = max(wait, w)
	}
	if !asked {
		return nil
	}
	return f.check(atLimit, func() *refusal {
		if wait == 0 {
			return nil
		}
		r := refuse(rateLimited)
		r.RetryAfter = wait
		return r
	})
}

// limitedClient says whether an id is one of the named fixtures.
func (e *Emulator) limitedClient(names []string, id string) bool {
	c := e.clients[id]
	return c != nil && slices.Contains(names, c.name)
}

// settle counts the request at limits that count only failures or only successes.
func (f *flow) settle(ok bool) {
	if f.refusal != nil && (f.refusal.Reason == rateLimited || f.refusal.Reason == guessLimited) {
		return
	}
	for i, s := range f.limits {
		if s.l.Counts == "failures" && !ok || s.l.Counts == "successes" && ok {
			_, f.limits[i].remaining, f.limits[i].reset = s.l.take(s.key, f.now, f.b.limitFactor, true)
		}
	}
}

// limitHeaders tells the client where it stands: the page's own fields, and the RateLimit
// fields where they are asked for.
func (f *flow) limitHeaders(a *answer) {
	if len(f.limits) == 0 {
		return
	}
	tight := f.limits[0]
	for _, s := range f.limits {
		if s.remaining < tight.remaining {
			tight = s
		}
	}
	if tight.l.Headers {
		a.set("RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=%d", tight.l.name, tight.l.Requests, max(1, int(tight.l.Per.Seconds()))))
		a.set("RateLimit", fmt.Sprintf("%q;r=%d;t=%s", tight.l.name, tight.remaining, ceilSeconds(tight.reset)))
	}
	for _, doc := range f.e.bound.RateLimits {
		for role, h := range doc.Headers {
			var v int64
			switch role {
			case "limit":
				v = int64(tight.l.Requests)
			case "remaining":
				v = int64(tight.remaining)
			case "reset":
				seconds, _ := strconv.ParseInt(ceilSeconds(tight.reset), 10, 64)
				switch v = seconds; h.Unit {
				case "epoch":
					v = f.now.Unix() + seconds
				case "milliseconds":
					v = seconds * 1000
				}
			}
			if h.Name != "" && h.In != "body" {
				a.set(h.Name, strconv.FormatInt(v, 10))
			}
		}
	}
}
