package emulator

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"grantcheck/suites/contract"
)

// user is a resource owner.
type user struct {
	fixture  string
	name     string
	password string
	sub      string
}

// issuers are those whose assertions the jwt-bearer grant trusts.
type issuers struct {
	names     []string
	algs      []string
	audiences []string
	keys      []verifyKey
	noSubject bool // the page drops sub
}

// scopes as the emulator knows them.
type scopes struct {
	known, grantable, standard []string // standard: granted when none is asked for
	needed                     string   // by the scoped resource
}

const (
	jwksPath     = "/jwks"
	userInfoPath = "/userinfo"
	resourcePath = "/resource"
	scopedPath   = "/resource/scoped"
	loginPath    = "/login"
	codeHookPath = "/hooks/code"
	hookPath     = "/hooks"
)

// build makes everything that depends on the address: the bound contract, clients, users,
// keys and routes. What was made at random stays when it is called again.
func (e *Emulator) build(base string) error {
	e.base = base
	if err := e.bind(); err != nil {
		return err
	}
	c := e.bound
	for _, ch := range e.changes {
		if ch.setup.Prepare != nil {
			ch.setup.Prepare(c)
		}
	}
	e.refer(c)
	e.pkceUnsupported = c.AuthorizationEndpoint != nil && c.AuthorizationEndpoint.PKCE == "unsupported"
	e.metadata = c.Metadata != nil && c.Metadata.Issuer != ""
	e.issuer = e.base
	if e.metadata {
		e.issuer = c.Metadata.Issuer
	}
	if e.store == nil {
		e.store, e.sessions = newStore(), newBounded[*user](1000)
	}
	e.store.grace = 10 * time.Second
	e.refreshLifetime = 30 * 24 * time.Hour
	for _, g := range c.Grants {
		switch {
		case g.Type != refreshGrant:
		case g.GraceUnlimited:
			e.store.grace = -1
		case g.GraceGiven || g.Grace > 0:
			e.store.grace = g.Grace
		}
	}
	if l := c.Token.CodeLifetime; l != nil {
		if n, ok := l.Const.(float64); ok {
			e.behaviour.codeLifetime = time.Duration(n * float64(time.Second))
		}
	}
	e.dialect = newDialect(c)
	e.makeScopes()
	if err := e.makeClients(); err != nil {
		return err
	}
	e.makeUsers()
	e.makeLimits()
	if len(e.keys) == 0 {
		e.keys = []*signingKey{pooledRSA("rs-1"), newECKey("es-2")}
	}
	for _, fn := range e.behaviour.world {
		fn(e)
	}
	e.makeRoutes()
	return nil
}

// makeScopes learns the scopes of the contract.
func (e *Emulator) makeScopes() {
	s, c := &e.scopes, e.bound.Scopes
	*s = scopes{grantable: slices.Clone(c.Grantable)}
	for _, list := range [][]string{c.Request, c.Default} {
		for _, n := range list {
			if !slices.Contains(s.grantable, n) {
				s.grantable = append(s.grantable, n)
			}
		}
	}
	s.standard = c.Default
	if len(s.standard) == 0 {
		s.standard = c.Request
	}
	if len(s.grantable) == 0 {
		for _, g := range e.bound.Grants { // an answer that always tells a scope has one
			if f, ok := contract.FieldFor(g.Response.Fields, "scope"); ok && (f.Required.Mode == "true" || f.Required.Mode == "implied") {
				s.grantable = []string{"read", "write"}
			}
		}
	}
	if len(s.standard) == 0 && len(s.grantable) > 0 {
		s.standard = s.grantable[:1]
	}
	s.known = append(slices.Clone(s.grantable), c.Forbidden...)
	s.needed = "admin"
	if r := e.bound.Resource; r != nil && r.Scoped != nil && r.Scoped.Needs != "" {
		s.needed = r.Scoped.Needs
	}
}

// makeClients registers every client of the contract.
func (e *Emulator) makeClients() error {
	c := e.bound
	e.clients, e.registered = map[string]*client{}, nil
	list := []*contract.Client{&c.Client}
	for i := range c.Clients {
		list = append(list, &c.Clients[i])
	}
	for _, p := range []*contract.Protected{c.Introspection, c.Revocation} {
		if p != nil && p.Client != nil {
			list = append(list, p.Client)
		}
	}
	for i, cc := range list {
		if cc.ID == "" {
			continue
		}
		cl := &client{name: cc.Name, id: cc.ID, secret: cc.Secret, public: cc.Public(), methods: slices.Clone(cc.Methods())}
		cl.seesAll = i == 0 || i > len(c.Clients)
		if cc.RedirectURI != "" {
			cl.redirectURIs = []string{cc.RedirectURI}
		}
		if cc.Name == "no_grant" {
			cl.grants = []string{}
		}
		for _, one := range [][2]string{{"basic", "post"}, {"post", "basic"}} { // RFC 6749 section 2.3.1: a secret may come either way
			if slices.Contains(cl.methods, one[0]) && !slices.Contains(cl.methods, one[1]) {
				cl.methods = append(cl.methods, one[1])
			}
		}
		if err := e.addKey(cl, cc); err != nil {
			return err
		}
		if first := e.clients[cl.id]; first != nil { // one id, several ways to use it
			for _, m := range cl.methods {
				if !slices.Contains(first.methods, m) {
					first.methods = append(first.methods, m)
				}
			}
			first.mayOmitSecret = first.mayOmitSecret || slices.Contains(cl.methods, "none")
			first.keys, first.algs = append(first.keys, cl.keys...), append(first.algs, cl.algs...)
			if first.secret == "" {
				first.secret = cl.secret
			}
			continue
		}
		e.clients[cl.id] = cl
		e.registered = append(e.registered, cl)
	}
	return e.makeIssuers()
}

// makeIssuers registers whose assertions the jwt-bearer grant takes.
func (e *Emulator) makeIssuers() error {
	e.issuers = issuers{}
	is := &e.issuers
	for i := range e.bound.Grants {
		g := &e.bound.Grants[i]
		if g.Type != jwtBearer || g.Assertion == nil {
			continue
		}
		a := g.Assertion
		alg, path := a.Alg, a.KeyFile
		if alg == "" {
			alg = "RS256"
		}
		if path == "" {
			path = e.bound.Client.KeyFile
		}
		k, err := e.keyAt(path, alg)
		if err != nil {
			return fmt.Errorf("emulator: grant %s: %w", g.Key, err)
		}
		is.keys, is.algs = append(is.keys, k.public()), append(is.algs, alg)
		is.keys[len(is.keys)-1].kid = a.Kid
		if strings.Contains(a.Audience, ":") {
			is.audiences = append(is.audiences, a.Audience)
		}
		name := e.bound.Client.ID
		for _, cl := range a.Claims {
			switch v, _ := cl.Value.(string); {
			case cl.Name == "iss" && v != "" && v != "client.id":
				name = v
			case cl.Name == "sub" && cl.Drop:
				is.noSubject = true
			}
		}
		is.names = append(is.names, name)
	}
	return nil
}

// audiences are the names that this server answers to in an assertion.
func (e *Emulator) audiences() []string { return []string{e.issuer, e.URL()} }

// makeUsers registers every user of the contract, and one for codes.
func (e *Emulator) makeUsers() {
	e.users = map[string]*user{}
	add := func(u contract.User) *user {
		sum := sha256.Sum256([]byte(u.UserName))
		nu := &user{fixture: u.Name, name: u.UserName, password: u.Password, sub: "user-" + hex.EncodeToString(sum[:6])}
		e.users[nu.name] = nu
		return nu
	}
	if e.bound.User != nil {
		e.primaryUser = add(*e.bound.User)
	} else {
		e.primaryUser = add(contract.User{UserName: userName("user"), Password: e.made("user.password")[:24]})
	}
	for _, u := range e.bound.Users {
		add(u)
	}
}

// fixture finds a client by its fixture name.
func (e *Emulator) fixture(name string) *client {
	for _, c := range e.registered {
		if c.name == name {
			return c
		}
	}
	return nil
}

// clientOfSecret finds the client where the page sends a secret and no id.
func (e *Emulator) clientOfSecret(secret string) string {
	if secret == "" || e.bound == nil {
		return ""
	}
	for _, g := range e.dialect.grants {
		if slices.ContainsFunc(g.Parameters, func(p contract.Field) bool { return e.dialect.part(p.Name) == "client_id" }) || !g.ParametersGiven {
			return ""
		}
	}
	for _, c := range e.registered {
		if c.secret != "" && equalSecret(c.secret, secret) {
			return c.id
		}
	}
	return e.bound.Client.ID // refused for its secret
}

// makeLimits puts the limits in force: those asked for, or the documented ones.
func (e *Emulator) makeLimits() {
	e.limiters = nil
	if e.opt.Unlimited {
		return
	}
	limits := e.opt.Limits
	if len(limits) == 0 {
		for _, l := range e.bound.RateLimits {
			if l.Limit > 0 && l.Window > 0 {
				by := l.Subject
				if by != "address" && by != "endpoint" {
					by = "client"
				}
				limits = append(limits, Limit{Requests: l.Limit, Per: l.Window, Kind: "sliding", By: by, Grants: l.Grants, Counts: l.Counts})
			}
		}
		if len(limits) == 0 && e.throttles() {
			// No number is documented: a small quota of tokens for the client that may be spent.
			l := Limit{Requests: 60, Per: 10 * time.Second, Kind: "sliding", Clients: []string{"sacrificial"}, Counts: "successes"}
			if own(e.bound) {
				l.Headers = true
				e.document(l)
				e.bound.RateLimits[0].Subject, e.bound.RateLimits[0].Exclusive = "the sacrificial client", true
			}
			limits = []Limit{l}
		}
	} else {
		e.document(limits[0])
	}
	for i, l := range limits {
		name := l.By
		if name == "" {
			name = "client"
		}
		e.limiters = append(e.limiters, newLimiter(fmt.Sprintf("%s-%d", name, i+1), l))
	}
}

// throttles says whether an answer to too many requests would be a documented one, or
// nothing is documented that it could break.
func (e *Emulator) throttles() bool {
	c := e.bound
	return own(c) || slices.ContainsFunc(c.RateLimits, func(l contract.RateLimit) bool { return l.Documented || l.Status != 0 }) ||
		slices.ContainsFunc(c.Errors, func(r contract.ErrorRow) bool { return slices.Contains(r.When, "rate_limited") })
}

// document writes a limit that was asked for into the contract to judge by.
func (e *Emulator) document(l Limit) {
	c := e.bound
	if len(c.RateLimits) == 0 || !c.RateLimits[0].Documented && c.RateLimits[0].Status == 0 {
		c.RateLimits = []contract.RateLimit{{Documented: true, Status: http.StatusTooManyRequests, RetryHint: &contract.Hint{Name: "Retry-After", Unit: "seconds", In: "header"}}}
	}
	d := &c.RateLimits[0]
	d.Documented, d.Limit, d.Window, d.Grants, d.Counts = true, l.Requests, l.Per, l.Grants, l.Counts
	if d.Subject = l.By; d.Subject == "" {
		d.Subject = "client"
	}
	e.dialect = newDialect(c)
}

// makeRoutes says what answers where; the token endpoint comes last and wins.
func (e *Emulator) makeRoutes() {
	e.routes = map[string]*route{}
	at := func(path string, ep endpoint, serve func(*flow) *answer) {
		if path == "" {
			path = "/"
		}
		e.routes[path] = &route{ep, serve}
	}
	c := e.bound
	authorizePath := "/authorize"
	if a := c.AuthorizationEndpoint; a != nil {
		switch {
		case a.URL != "":
			authorizePath = pathOf(a.URL)
		case a.Path != "":
			authorizePath = pathOf(c.Endpoint.BaseURL) + a.Path
		}
	}
	e.authorizationURL = e.base + authorizePath
	at(authorizePath, authorizationEndpoint, (*flow).serveAuthorize)
	at(loginPath, authorizationEndpoint, (*flow).serveLogin)
	if c.Login != nil && c.Login.URL == "" {
		at(authorizePath, authorizationEndpoint, (*flow).serveLogin)
	} else if c.Login != nil {
		at(pathOf(c.Login.URL), authorizationEndpoint, (*flow).serveLogin)
	}
	at(codeHookPath, hookEndpoint, (*flow).serveCodeHook)
	for name := range c.Hooks {
		at(hookPath+"/"+name, hookEndpoint, (*flow).serveValueHook)
	}
	at(jwksPath, jwksEndpoint, (*flow).serveJWKS)
	if c.Metadata != nil && c.Metadata.JWKS != "" {
		at(pathOf(c.Metadata.JWKS), jwksEndpoint, (*flow).serveJWKS)
	}
	if e.metadata {
		issuerPath := pathOf(e.issuer)
		for _, p := range []string{"/.well-known/oauth-authorization-server" + issuerPath, "/.well-known/openid-configuration" + issuerPath, issuerPath + "/.well-known/openid-configuration"} {
			at(p, metadataEndpoint, (*flow).serveMetadata)
		}
	}
	e.revocationURL, e.introspectionURL = e.base+"/revoke", e.base+"/introspect"
	if c.Revocation != nil && c.Revocation.URL != "" {
		e.revocationURL = c.Revocation.URL
	}
	if c.Introspection != nil && c.Introspection.URL != "" {
		e.introspectionURL = c.Introspection.URL
	}
	at(pathOf(e.revocationURL), revocationEndpoint, (*flow).serveRevocation)
	at(pathOf(e.introspectionURL), introspectionEndpoint, (*flow).serveIntrospection)
	at(resourcePath, resourceEndpoint, (*flow).serveResource)
	at(userInfoPath, resourceEndpoint, (*flow).serveResource)
	at(scopedPath, resourceEndpoint, (*flow).serveScopedResource)
	if r := c.Resource; r != nil {
		at(pathOf(r.URL), resourceEndpoint, (*flow).serveResource)
		if r.Scoped != nil {
			at(pathOf(r.Scoped.URL), resourceEndpoint, (*flow).serveScopedResource)
		}
	}
	if s := c.Token.SampleResource; s != "" {
		at(pathOf(c.Endpoint.BaseURL)+s, resourceEndpoint, (*flow).serveResource)
	}
	at(e.dialect.path(nil), tokenEndpoint, (*flow).serveToken)
	for path := range e.dialect.byPath {
		at(path, tokenEndpoint, (*flow).serveToken)
	}
}

// methodsAt are the methods for an Allow field.
func (e *Emulator) methodsAt(at endpoint, path string) []string {
	switch at {
	case tokenEndpoint:
		return e.dialect.methods(path)
	case revocationEndpoint, introspectionEndpoint:
		return []string{http.MethodPost}
	case authorizationEndpoint, hookEndpoint, resourceEndpoint:
		return []string{http.MethodGet, http.MethodPost}
	}
	return []string{http.MethodGet, http.MethodHead}
}

// Contract is the contract to judge this emulator by: bound, with every fixture.
func (e *Emulator) Contract() *contract.Contract {
	c := e.bound.Clone()
	if e.behaviour.offersPassword && e.edition != "oauth20" {
		c.Grants = withoutPassword(c.Grants)
	}
	for _, ch := range e.changes {
		if ch.setup.Judge != nil {
			ch.setup.Judge(c)
		}
	}
	return c
}
