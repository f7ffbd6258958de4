package suites

import (
	"context"
	"sync"
	"time"

	"grantcheck/report"
	"grantcheck/suites/contract"
	"grantcheck/suites/exchange"
)

// supply gives golden requests what they use up: authorization codes and
// refresh tokens. A refresh token lent to a request comes back, or the one that
// replaced it does, unless nobody can know what became of it.
type supply struct {
	engine *engine

	mu    sync.Mutex
	spare map[string][]string // refresh tokens at rest, per client fixture
	lent  map[string]string   // refresh token on its way: the client fixture it belongs to
	codes sync.Mutex          // codes are asked for one at a time: a login or a person may be behind them
	fresh map[string]granted  // codes that nobody has tried to redeem yet
	pkce  bool                // the server demands PKCE, though nothing says so
}

// granted is a code with the time it was handed out.
type granted struct {
	exchange.Granted
	at time.Time
}

// request builds the golden request of a pair with inputs that are its own.
func (s *supply) request(ctx context.Context, c *Case, p pair, in exchange.Inputs) exchange.Request {
	switch exchange.GrantType(p.grant) {
	case "authorization_code":
		granted, err := s.code(ctx, p.grant, in.Client, nil)
		s.orStop(err)
		got := granted.Inputs()
		got.Client, got.Scope, got.Method, got.ContentType = in.Client, in.Scope, in.Method, in.ContentType
		in = got
	case "refresh_token":
		in.RefreshToken = s.borrow(ctx, c, p.client)
	}
	req, err := s.engine.target.Request(p.grant, p.auth, in)
	if err != nil {
		new(Case).orNeed(err)
	}
	return req.Purpose("golden")
}

func (s *supply) orStop(err error) {
	if err != nil {
		panic(stop{verdict: report.Blocked, kind: report.NeedsFixture, needs: "an authorization code", reason: err.Error()})
	}
}

// code obtains an authorization code.
func (s *supply) code(ctx context.Context, g *contract.Grant, client *contract.Client, change func(*exchange.Authorization)) (exchange.Granted, error) {
	a, err := s.engine.target.Authorization(g, client)
	if err != nil {
		return exchange.Granted{}, err
	}
	silent := a.Verifier == "" && s.undocumentedPKCE()
	if silent && s.demandsPKCE() {
		a.UsePKCE(s.engine.target.Verifier(43))
	}
	if change != nil {
		change(&a)
		return s.authorize(ctx, a)
	}
	got, err := s.authorize(ctx, a)
	if denied(err) && silent && a.Verifier == "" {
		a.UsePKCE(s.engine.target.Verifier(43))
		if again, err := s.authorize(ctx, a); err == nil {
			s.demandPKCE(true)
			return again, nil
		}
	}
	return got, err
}

// undocumentedPKCE reports that the contract leaves open whether there is PKCE.
func (s *supply) undocumentedPKCE() bool {
	e := s.engine.target.Contract.AuthorizationEndpoint
	return e == nil || e.PKCE == ""
}

func (s *supply) demandsPKCE() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pkce
}

func (s *supply) demandPKCE(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pkce = yes
}

func (s *supply) authorize(ctx context.Context, a exchange.Authorization) (exchange.Granted, error) {
	s.codes.Lock()
	defer s.codes.Unlock()
	got, err := s.engine.target.Authorize(ctx, a)
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.fresh == nil {
			s.fresh = map[string]granted{}
		}
		s.fresh[got.Code] = granted{got, s.engine.clock.Now()}
	}
	return got, err
}

// take returns what is known of the code that a request is about to redeem, when it is the first to do so.
func (s *supply) take(req exchange.Request) (first granted, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	code := req.Get("code")
	first, ok = s.fresh[code]
	delete(s.fresh, code)
	return first, ok
}

// again prepares a request to be sent once more after a fault: the server may have used up the code
// that it redeemed, so a new one of the same authorization takes its place.
func (s *supply) again(ctx context.Context, req exchange.Request, first granted) exchange.Request {
	const young = 10 * time.Second // a code that was left to grow old on purpose stays
	if s.engine.clock.Now().Sub(first.at) > young {
		return req
	}
	got, err := s.authorize(ctx, first.Authorization)
	if err != nil {
		return req
	}
	s.mu.Lock()
	delete(s.fresh, got.Code)
	s.mu.Unlock()
	return req.Set("code", got.Code)
}

// borrow lends a refresh token of a client, minting one when none is at rest.
func (s *supply) borrow(ctx context.Context, c *Case, client string) string {
	s.mu.Lock()
	var token string
	if spare := s.spare[client]; len(spare) > 0 {
		token = spare[len(spare)-1]
		s.spare[client] = spare[:len(spare)-1]
	}
	s.mu.Unlock()
	if token == "" {
		var err error
		if token, _, err = s.mint(ctx, c, client); err != nil {
			s.orStop(err)
		}
		if token == "" {
			panic(stop{verdict: report.Skip, kind: report.NotApplicable, reason: "no grant of the contract gave a refresh token"})
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lent == nil {
		s.lent = map[string]string{}
	}
	s.lent[token] = client
	return token
}

// mint obtains a refresh token by a grant that issues one: a token of an
// answer nobody has asked for again, "" when no grant gives any.
func (s *supply) mint(ctx context.Context, c *Case, client string) (token string, from *Sample, err error) {
	e := s.engine
	for _, grantType := range []string{"password", "authorization_code"} {
		p := e.pairFor(grantType, client)
		if p.grant == nil || e.refused(p) {
			continue
		}
		in := exchange.Inputs{}
		if client != "" {
			in.Client = e.target.ClientNamed(client)
		}
		req := s.request(ctx, c, p, in)
		from = e.send(ctx, c, req, probe{golden: true})
		if token = from.Answer.Text("refresh_token"); from.Answer.OK() && token != "" {
			return token, from, nil
		}
	}
	return "", from, nil
}

// settle puts a lent refresh token back, or what the answer gave in its place.
func (s *supply) settle(got *Sample, req exchange.Request) {
	sent := req.Get("refresh_token")
	if sent == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	client, ok := s.lent[sent]
	if !ok {
		return
	}
	back := sent
	switch {
	case got.Answer.OK():
		if next := got.Answer.Text("refresh_token"); next != "" {
			back = next
		}
	case !got.Answer.Refused() || got.Golden:
		back = "" // its fate is unknown, or it is dead: do not use it again
	}
	delete(s.lent, sent)
	if s.spare == nil {
		s.spare = map[string][]string{}
	}
	if back != "" {
		s.spare[client] = append(s.spare[client], back)
	}
}

// forget gives up the refresh tokens at rest: a revocation may end all that come from one grant
// (RFC 7009 §2.1), and some of them may.
func (s *supply) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spare = nil
}
