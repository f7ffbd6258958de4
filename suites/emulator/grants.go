package emulator

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"grantcheck/suites/contract"
)

// Registered grant_type values.
const (
	clientCredentials = "client_credentials"
	passwordGrant     = "password"
	authorizationCode = "authorization_code"
	refreshGrant      = "refresh_token"
	jwtBearer         = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	saml2Bearer       = "urn:ietf:params:oauth:grant-type:saml2-bearer"
	tokenExchange     = "urn:ietf:params:oauth:grant-type:token-exchange"
	deviceCode        = "urn:ietf:params:oauth:grant-type:device_code"
)

// route reads the grant type and finds the documented grant.
func (f *flow) route() *refusal {
	f.grantType = f.b.grantTypeOf(f)
	f.grant = f.e.dialect.choose(f, f.grantType)
	return nil
}

// dispatch makes sure that the grant exists, that the client may use it and that the
// request is the documented one.
func (f *flow) dispatch() *refusal {
	d := f.e.dialect
	if f.grantType == "" && f.grant == nil {
		if r := f.require(atGrantType, false, missingGrantType, "grant_type"); r != nil {
			return r
		}
	}
	if r := f.check(atGrantKnown, func() *refusal {
		if f.grant == nil {
			return refuse(unknownGrant, "grant_type")
		}
		return nil
	}); r != nil {
		return r
	}
	if f.client != nil {
		allowed := f.client.grants == nil || slices.Contains(f.client.grants, f.grant.kind)
		if r := f.require(atGrantAllowed, allowed, unauthorizedClient); r != nil {
			return r
		}
	}
	all := [][]contract.Field{d.c.Endpoint.Parameters, f.grant.Parameters}
	for _, list := range all {
		for _, p := range list {
			part := d.part(p.Name)
			v, sent := f.value(p)
			f.parameter = part
			if !sent && f.must(f.grant, p.Required) && !handled[part] {
				if r := f.require(atDocumentedParam, false, missingParameter, part); r != nil {
					return r
				}
			}
			if sent && p.Const != nil && part != "grant_type" && p.In != "header" {
				if r := f.require(atConstant, v == fmt.Sprint(p.Const), invalidParameter, part); r != nil {
					return r
				}
			}
			if s, ok := p.Value.(string); ok && sent && s == "access_token" {
				if r := f.require(atConstant, f.b.findAccess(f, v) != nil, invalidParameter, part); r != nil {
					return r
				}
			} else if ok && sent && strings.HasPrefix(s, "hook.") {
				if r := f.require(atConstant, f.e.store.issuedHook(v), invalidParameter, part); r != nil {
					return r
				}
			} else if want, fixed := f.e.operator[part]; ok && fixed && sent && p.In != "header" && p.Required.Mode == "true" {
				if r := f.require(atConstant, v == want, invalidParameter, part); r != nil {
					return r
				}
			}
		}
	}
	f.parameter = ""
	return f.limitTokens()
}

// handled parameters are asked for by client authentication or by their grant.
var handled = map[string]bool{
	"grant_type": true, "client_id": true, "client_secret": true, "client_assertion": true,
	"client_assertion_type": true, "code": true, "redirect_uri": true, "code_verifier": true, "refresh_token": true,
	"username": true, "password": true, "assertion": true,
}

// runGrant lets the grant decide; it leaves f.authorization and f.scope.
func (f *flow) runGrant() *refusal {
	switch f.grant.kind {
	case passwordGrant:
		return f.passwordGrant()
	case authorizationCode:
		return f.codeGrant()
	case refreshGrant:
		return f.refreshGrant()
	case jwtBearer:
		return f.jwtBearerGrant()
	case clientCredentials:
		return f.clientCredentialsGrant()
	}
	if f.grant.silent && f.sent("code") { // a page that knows no grant_type
		return f.codeGrant()
	}
	return f.otherGrant()
}

// scopeAsk is what a request wants and what it may have.
type scopeAsk struct {
	Present bool     // a non-empty scope parameter came
	Raw     string   // as sent, decoded
	Names   []string // its scope tokens
	Allowed []string // what the client, or the authorization, may have
	Default []string
	// Bound is set on refresh: nothing outside Allowed may even be asked for.
	Bound bool
}

// decideScope sets f.scope.
func (f *flow) decideScope(allowed, otherwise []string, bound bool) *refusal {
	rawScope, sent := f.form["scope"]
	f.asked = scopeAsk{Present: sent, Raw: rawScope, Names: f.splitScope(rawScope), Allowed: allowed, Default: otherwise, Bound: bound}
	granted, r := f.b.grantScope(f, f.asked)
	if r == nil {
		f.scope = granted
	}
	return r
}

// splitScope follows the list form that the page documents for the parameter.
func (f *flow) splitScope(s string) []string {
	sep := " "
	if f.grant != nil {
		for _, p := range f.grant.Parameters {
			if f.e.dialect.part(p.Name) == "scope" {
				switch p.List {
				case "comma":
					sep = ","
				case "plus":
					sep = "+"
				}
			}
		}
	}
	if s == "" {
		return nil
	}
	return strings.Split(s, sep)
}

// standardScope grants what may be granted, in the order of the request, refuses what
// no one knows, and falls back on the default when nothing is asked for.
func standardScope(f *flow, ask scopeAsk) ([]string, *refusal) {
	if !ask.Present {
		return ask.Default, nil
	}
	var granted []string
	for _, name := range ask.Names {
		if !scopeToken(name) || !slices.Contains(f.e.scopes.known, name) {
			return nil, refuse(badScope, "scope")
		}
		switch {
		case slices.Contains(granted, name):
		case slices.Contains(ask.Allowed, name):
			granted = append(granted, name)
		case ask.Bound:
			return nil, refuse(badScope, "scope")
		}
	}
	if len(granted) == 0 {
		return nil, refuse(badScope, "scope")
	}
	return granted, nil
}

// scopeToken is the syntax of RFC 6749 section 3.3.
func scopeToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}

func (f *flow) clientCredentialsGrant() *refusal {
	confidential := f.client != nil && !f.client.public
	if r := f.require(atConfidential, confidential, unauthorizedClient); r != nil {
		return r
	}
	if r := f.decideScope(f.e.scopes.grantable, f.e.scopes.standard, false); r != nil {
		return r
	}
	f.authorization = f.e.newAuthorization(f, nil)
	return nil
}

// otherGrant serves grants that rest on a value from outside: vendor grants, token
// exchange, device codes. dispatch has compared the documented parameters.
func (f *flow) otherGrant() *refusal {
	if f.grant.kind == tokenExchange {
		subject := f.form["subject_token"]
		if a := f.b.findAccess(f, subject); a == nil && !f.e.store.issuedHook(subject) {
			return refuse(invalidParameter, "subject_token")
		}
	}
	if r := f.decideScope(f.e.scopes.grantable, f.e.scopes.standard, false); r != nil {
		return r
	}
	var u *user
	if f.grant.kind != "account_credentials" {
		u = f.e.primaryUser
	}
	f.authorization = f.e.newAuthorization(f, u)
	return nil
}

func (f *flow) passwordGrant() *refusal {
	name, password := f.form["username"], f.form["password"]
	if r := f.require(atUsername, name != "", missingParameter, "username"); r != nil {
		return r
	}
	if r := f.require(atPassword, password != "", missingParameter, "password"); r != nil {
		return r
	}
	if f.user == nil {
		if r := f.check(atUserKnown, func() *refusal {
			if f.user = f.b.lookupUser(f, name); f.user == nil {
				equalSecret(name, password) // the same work as for a known user
				return refuse(unknownUser)
			}
			return nil
		}); r != nil {
			return r
		}
	}
	match := f.b.passwordMatches(f, f.user, password)
	if r := f.guess("password", "user "+f.user.name, &match); r != nil {
		return r
	}
	if r := f.require(atPasswordMatch, match, wrongPassword); r != nil {
		return r
	}
	if r := f.decideScope(f.e.scopes.grantable, f.e.scopes.standard, false); r != nil {
		return r
	}
	f.authorization = f.e.newAuthorization(f, f.user)
	return nil
}

func (f *flow) codeGrant() *refusal {
	value := f.form["code"]
	if r := f.require(atCode, value != "", missingParameter, "code"); r != nil {
		return r
	}
	if f.code == nil {
		if r := f.check(atCodeKnown, func() *refusal {
			if f.code = f.b.findCode(f, value); f.code == nil {
				return refuse(badCode, "code")
			}
			return nil
		}); r != nil {
			return r
		}
	}
	c := f.code
	if r := f.require(atCodeClient, f.client != nil && c.auth.client == f.client, badCode, "code"); r != nil {
		return r
	}
	if r := f.require(atCodeExpired, f.now.Before(c.expires), badCode, "code"); r != nil {
		return r
	}
	sent := f.form["redirect_uri"]
	if f.e.edition != "oauth21" || sent != "" {
		demanded := c.redirectURI != "" && f.grant.takes("redirect_uri")
		if r := f.require(atRedirectURI, !demanded || sent != "", redirectMismatch, "redirect_uri"); r != nil {
			return r
		}
		want := c.redirectURI
		if want == "" && len(c.auth.client.redirectURIs) > 0 {
			want = c.auth.client.redirectURIs[0]
		}
		if r := f.require(atRedirectMatch, sent == "" || sent == want || want == "", redirectMismatch, "redirect_uri"); r != nil {
			return r
		}
	}
	if r := f.pkce(c); r != nil {
		return r
	}
	if f.b.codeSpent(f, c) {
		r := f.require(atCodeUnused, false, usedCode, "code")
		if r == nil {
			f.authorization, f.scope = c.auth, c.auth.scope
			return nil
		}
		// Everything but the code's freshness was right: whoever stole it, its tokens end.
		if f.check(atReplayRevokes, func() *refusal { return nil }) == nil {
			f.e.store.revoke(c.auth)
		}
		return r
	}
	f.authorization, f.scope = c.auth, c.auth.scope
	f.asked = scopeAsk{Present: len(c.asked) > 0, Names: c.asked}
	return nil
}

// takes says whether the request of the grant has the parameter, by the page or, where it
// lists none, by the standard.
func (g *grant) takes(part string) bool {
	return !g.ParametersGiven || slices.ContainsFunc(g.Parameters, func(p contract.Field) bool { return p.Role() == part })
}

// pkce checks the code verifier, RFC 7636 section 4.6 and RFC 9700 section 2.1.1.
func (f *flow) pkce(c *code) *refusal {
	verifier := f.form["code_verifier"]
	if f.e.pkceUnsupported {
		return nil
	}
	if c.challenge == "" {
		if r := f.require(atChallenge, !f.e.needsPKCE(c.auth.client), badVerifier, "code_verifier"); r != nil {
			return r
		}
		return f.require(atVerifierUnasked, verifier == "", badVerifier, "code_verifier")
	}
	if r := f.require(atVerifier, verifier != "", badVerifier, "code_verifier"); r != nil {
		return r
	}
	if verifier == "" {
		return nil
	}
	if r := f.require(atVerifierSyntax, verifierSyntax(verifier), badVerifier, "code_verifier"); r != nil {
		return r
	}
	match := equalSecret(c.challenge, verifier)
	if c.challengeMethod == "S256" {
		match = fits(c.challenge, verifier)
	}
	return f.require(atVerifierMatch, match, badVerifier, "code_verifier")
}

// fits compares a verifier with an S256 challenge.
func fits(challenge, verifier string) bool {
	sum := sha256.Sum256([]byte(verifier))
	return equalSecret(challenge, b64.EncodeToString(sum[:]))
}

// verifierSyntax is RFC 7636 section 4.1: 43 to 128 unreserved characters.
func verifierSyntax(s string) bool {
	if len(s) < 43 || len(s) > 128 {
		return false
	}
	for _, c := range s {
		if !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", c) {
			return false
		}
	}
	return true
}

func (f *flow) refreshGrant() *refusal {
	value := f.form["refresh_token"]
	if r := f.require(atRefreshToken, value != "", missingParameter, "refresh_token"); r != nil {
		return r
	}
	if f.refresh == nil {
		if r := f.check(atRefreshKnown, func() *refusal {
			if f.refresh = f.b.findRefresh(f, value); f.refresh == nil {
				return refuse(badRefreshToken, "refresh_token")
			}
			return nil
		}); r != nil {
			return r
		}
	}
	t := f.refresh
	no := func(p point, holds bool) *refusal {
		return f.require(p, holds, badRefreshToken, "refresh_token")
	}
	if r := no(atRefreshClient, f.client != nil && t.auth.client == f.client); r != nil {
		return r
	}
	if r := no(atRefreshExpired, f.now.Before(t.expires)); r != nil {
		return r
	}
	if r := no(atRefreshRevoked, !f.e.store.revoked(t.auth)); r != nil {
		return r
	}
	if r := f.check(atRefreshScope, func() *refusal { return f.decideScope(t.auth.scope, t.auth.scope, true) }); r != nil {
		return r
	}
	f.authorization = t.auth
	if !f.b.rotates(f) {
		return nil
	}
	switch f.b.refreshSpent(f, t) {
	case refreshDead:
		r := no(atRefreshUnused, false)
		if r != nil && f.b.revokesFamily(f, t) {
			f.e.store.revoke(t.auth)
		}
		return r
	}
	return nil
}

// standardRotates follows the page; where it is silent, every refresh rotates, unless
// the page lists an answer without a refresh token.
func standardRotates(f *flow) bool {
	switch f.grant.Rotation {
	case "always":
		return true
	case "never", "sometimes":
		return f.client.public && f.grant.Rotation == "sometimes"
	}
	return len(f.grant.fields) == 0 || slices.ContainsFunc(f.grant.fields, func(r respond) bool { return r.part == "refresh_token" })
}

// standardIssuesRefresh follows the page; a grant that lists no members gives a refresh
// token for a user if the contract knows the refresh grant.
func standardIssuesRefresh(f *flow) bool {
	g := f.grant
	if len(g.fields) == 0 {
		user := g.kind == passwordGrant || g.kind == authorizationCode || g.kind == deviceCode || g.silent
		return user && len(f.e.dialect.byType[refreshGrant]) > 0
	}
	for _, fl := range g.fields {
		if fl.part != "refresh_token" {
			continue
		}
		if fl.OnlyWhen != nil && !f.holds(g, fl.OnlyWhen) {
			return false
		}
		optional := fl.Required.Mode == "" || fl.Required.Mode == "false"
		return f.must(g, fl.Required) || optional && g.kind != clientCredentials && g.kind != refreshGrant
	}
	return false
}

func (f *flow) jwtBearerGrant() *refusal {
	no := func(what string) *refusal {
		r := refuse(badAssertion, "assertion")
		r.Token = what
		return r
	}
	if r := f.require(atGrantAssertion, f.form["assertion"] != "", missingParameter, "assertion"); r != nil || f.authorization != nil {
		return r
	}
	if r := f.check(atGrantAssertionSyntax, func() *refusal {
		t, err := parseJWS(f.form["assertion"])
		if err != nil {
			return no("syntax")
		}
		f.assertion = t
		return nil
	}); r != nil {
		return r
	}
	t := f.assertion
	iss, _ := t.claims["iss"].(string)
	sub, _ := t.claims["sub"].(string)
	holds := func(p point, ok bool, what string) *refusal {
		return f.check(p, func() *refusal {
			if ok {
				return nil
			}
			return no(what)
		})
	}
	is := f.e.issuers
	if r := holds(atGrantAssertionIssuer, iss != "" && slices.Contains(is.names, iss), "iss"); r != nil {
		return r
	}
	if r := holds(atGrantAssertionSubject, sub != "" || is.noSubject, "sub"); r != nil {
		return r
	}
	if r := f.verifyJWT(t, jwtPoints{
		atGrantAssertionAlg, atGrantAssertionSignature, atGrantAssertionAudience, atGrantAssertionExp,
		atGrantAssertionExpired, atGrantAssertionNotBefore, atGrantAssertionIssued,
	}, is.algs, append(f.e.audiences(), is.audiences...), false, no); r != nil {
		return r
	}
	if r := f.decideScope(f.e.scopes.grantable, f.e.scopes.standard, false); r != nil {
		return r
	}
	f.authorization = f.e.newAuthorization(f, &user{name: sub, sub: sub})
	return nil
}
