package load

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"

	"grantcheck/suites/contract"
	"grantcheck/suites/exchange"
)

// A Request is one token request, ready to go. It is not changed once made, and may be sent many
// times.
type Request struct {
	Method string
	URL    *url.URL
	Header http.Header
	Body   []byte
	Who    int  // index of the identity that asks
	Bad    bool // carries a deliberately wrong secret: it must not be granted

	// Answered, if any, sees each answer, outside the timed region: nil when none came. The body is
	// only valid during the call.
	Answered func(body []byte)
}

// NewRequest makes a request of one as exchange builds it.
func NewRequest(r exchange.Request, who int) (*Request, error) {
	if err := r.Err(); err != nil {
		return nil, err
	}
	w := r.Wire()
	u, err := url.Parse(w.URL)
	if err != nil {
		return nil, err
	}
	out := &Request{Method: w.Method, URL: u, Body: w.Body, Header: http.Header{"User-Agent": nil}, Who: who}
	for _, h := range w.Headers {
		out.Header.Add(h.Name, h.Value)
	}
	if ua := out.Header["User-Agent"]; len(ua) > 1 {
		out.Header["User-Agent"] = ua[1:]
	}
	return out, nil
}

// into fills what net/http sends; the body is read once.
func (r *Request) into(req *http.Request) {
	req.Method, req.URL, req.Host, req.Header = r.Method, r.URL, r.URL.Host, r.Header
	req.Body, req.GetBody, req.ContentLength = http.NoBody, nil, 0
	if len(r.Body) > 0 {
		req.ContentLength = int64(len(r.Body))
		req.Body = &bodyReader{*bytes.NewReader(r.Body)}
		req.GetBody = func() (io.ReadCloser, error) { return &bodyReader{*bytes.NewReader(r.Body)}, nil }
	}
}

type bodyReader struct{ bytes.Reader }

func (*bodyReader) Close() error { return nil }

// A Source yields requests, from many goroutines at once.
type Source interface {
	Next(ctx context.Context) (*Request, error)
}

// SourceFunc is a function that is a [Source].
type SourceFunc func(context.Context) (*Request, error)

func (f SourceFunc) Next(ctx context.Context) (*Request, error) { return f(ctx) }

// A stock makes requests ahead of time, so that making one costs no latency.
type stock struct {
	made    chan *Request
	starved atomic.Int64 // requests that had to be waited for
	fixed   *Request     // nothing to make: one request serves
	group   sync.WaitGroup
	stop    context.CancelFunc
}

// newStock starts making requests of s; fail is called when it can make no more.
func newStock(ctx context.Context, s Source, ahead int, fail func(error)) *stock {
	ctx, stop := context.WithCancel(ctx)
	k := &stock{made: make(chan *Request, ahead), stop: stop}
	if f, ok := s.(fixedSource); ok {
		k.fixed = f.Request
		return k
	}
	for range 2 {
		k.group.Go(func() {
			for ctx.Err() == nil {
				r, err := s.Next(ctx)
				if err != nil {
					if ctx.Err() == nil {
						fail(fmt.Errorf("making a request: %w", err))
					}
					return
				}
				select {
				case k.made <- r:
				case <-ctx.Done():
				}
			}
		})
	}
	return k
}

func (k *stock) close() {
	k.stop()
	k.group.Wait()
}

// next returns a request, nil when the run ends before there is one.
func (k *stock) next(ctx context.Context) *Request {
	if k.fixed != nil {
		return k.fixed
	}
	select {
	case r := <-k.made:
		return r
	default:
	}
	k.starved.Add(1)
	select {
	case r := <-k.made:
		return r
	case <-ctx.Done():
		return nil
	}
}

// fixedSource yields one request for ever.
type fixedSource struct{ *Request }

func (f fixedSource) Next(context.Context) (*Request, error) { return f.Request, nil }

// An Asker is one way of asking for a token: a grant, with a share of the requests.
type Asker struct {
	Grant  *contract.Grant
	Auth   string // client authentication method; "" for the preferred one
	Weight float64
	// Inputs yields what a request needs afresh: a code, a refresh token. Nil when a grant needs
	// nothing that is used up.
	Inputs func(ctx context.Context) (exchange.Inputs, error)
	// Chain is for refresh tokens: each answer yields what the next request sends.
	Chain *Chain
}

// A Chain is a pool of refresh tokens that renew themselves: one is out while its request is.
type Chain struct {
	seed   func(context.Context) (string, error)
	member string
	most   int64
	made   atomic.Int64
	tokens chan string
}

// NewChain keeps up to most tokens at a time. seed yields the first ones, and another where one was
// refused. The answers' new ones are found under the path member (refresh_token if ""); an answer
// without one leaves the old one in use.
func NewChain(most int, member string, seed func(context.Context) (string, error)) *Chain {
	return &Chain{seed: seed, member: cmp.Or(member, "refresh_token"), most: int64(most), tokens: make(chan string, most)}
}

// next takes a token out of the pool; back returns it, or its successor.
func (c *Chain) next(ctx context.Context) (token string, back func(body []byte), err error) {
	select {
	case token = <-c.tokens:
	default:
		if c.made.Add(1) <= c.most {
			if token, err = c.seed(ctx); err != nil {
				return "", nil, err
			}
			break
		}
		c.made.Add(-1)
		select {
		case token = <-c.tokens:
		case <-ctx.Done():
			return "", nil, ctx.Err()
		}
	}
	return token, func(body []byte) {
		m := members{}
		s := scanner{b: body}
		p := paths{token: c.member, err: "error", expires: "\x00", kind: "\x00"}
		switch ok := m.object(&s, &p); {
		case ok && m.hasToken():
			var next string
			if json.Unmarshal(m.token, &next) == nil {
				token = next
			}
		case ok && m.code() == "invalid_grant":
			c.made.Add(-1) // spent
			return
		}
		c.tokens <- token
	}, nil
}

// An Identity is one client of a population.
type Identity struct {
	Alias  string // shown in reports; never an id from the environment
	Client *contract.Client
	Weight float64
}

// TargetSource yields the documented requests of a target: of a grant drawn by weight, in the name
// of a client drawn by weight; bad is the share that carries a wrong secret.
func TargetSource(t *exchange.Target, askers []Asker, who []Identity, bad float64, rnd *rand.Rand) (Source, error) {
	if len(askers) == 0 {
		return nil, fmt.Errorf("no grant to ask for")
	}
	unique := false
	made := map[[2]int]*Request{} // requests that can be sent again as they are
	build := func(ctx context.Context, a, w int) (*Request, error) {
		var in exchange.Inputs
		var err error
		if f := askers[a].Inputs; f != nil {
			if in, err = f(ctx); err != nil {
				return nil, fmt.Errorf("grant %s: %w", askers[a].Grant.Key, err)
			}
		}
		var back func([]byte)
		if c := askers[a].Chain; c != nil {
			if in.RefreshToken, back, err = c.next(ctx); err != nil {
				return nil, fmt.Errorf("grant %s: %w", askers[a].Grant.Key, err)
			}
		}
		if len(who) > 0 {
			in.Client = who[w].Client
		}
		r, err := t.Request(askers[a].Grant, askers[a].Auth, in)
		if err != nil {
			return nil, err
		}
		out, err := NewRequest(r, w)
		if out != nil {
			out.Answered = back
		}
		return out, err
	}
	fresh := make([]bool, len(askers))
	for a := range askers {
		oneOff := askers[a].Inputs != nil || askers[a].Chain != nil
		fresh[a] = oneOff || needsFresh(t, askers[a])
		unique = unique || fresh[a]
		if oneOff {
			continue
		}
		for w := range max(1, len(who)) {
			r, err := build(context.Background(), a, w)
			if err != nil {
				return nil, err
			}
			if !fresh[a] {
				made[[2]int{a, w}] = r
			}
		}
	}
	if !unique && len(made) == 1 && bad == 0 {
		return fixedSource{made[[2]int{0, 0}]}, nil
	}
	var mu sync.Mutex // rnd serves one at a time
	pick := func(n int, weight func(int) float64) int {
		sum := 0.0
		for i := range n {
			sum += weight(i)
		}
		x := rnd.Float64() * sum
		for i := range n {
			if x -= weight(i); x < 0 {
				return i
			}
		}
		return n - 1
	}
	return SourceFunc(func(ctx context.Context) (*Request, error) {
		mu.Lock()
		a := pick(len(askers), func(i int) float64 { return max(askers[i].Weight, 1e-9) })
		w := 0
		if len(who) > 0 {
			w = pick(len(who), func(i int) float64 { return max(who[i].Weight, 1e-9) })
		}
		spoil := bad > 0 && rnd.Float64() < bad
		mu.Unlock()
		if spoil {
			return spoiled(t, askers[a], who, w)
		}
		if r := made[[2]int{a, w}]; r != nil {
			return r, nil
		}
		return build(ctx, a, w)
	}), nil
}

// spoiled is a request whose client secret is wrong.
func spoiled(t *exchange.Target, a Asker, who []Identity, w int) (*Request, error) {
	var in exchange.Inputs
	if len(who) > 0 {
		in.Client = who[w].Client
	}
	r, err := t.Request(a.Grant, a.Auth, in)
	if err != nil {
		return nil, err
	}
	_, secret := r.Credentials()
	out, err := NewRequest(r.Secret(t.RandomLike(secret)), w)
	if out != nil {
		out.Bad = true
	}
	return out, err
}

// needsFresh reports that no two requests of a grant may be the same: they carry an assertion or
// some other value made for the occasion.
func needsFresh(t *exchange.Target, a Asker) bool {
	if a.Auth == "jwt" || a.Auth == "" && t.AuthMethods(a.Grant, t.ClientOf(a.Grant))[0] == "jwt" {
		return true
	}
	for _, f := range t.Parameters(a.Grant) {
		switch v := fmt.Sprint(f.Value); {
		case v == "client.assertion", v == "assertion", v == "uuid", len(v) > 5 && v[:5] == "hook.":
			return true
		case f.Name == "assertion" || f.Name == "client_assertion":
			return true
		}
	}
	return false
}
