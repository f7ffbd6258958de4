package suites

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"grantcheck/report"
	"grantcheck/suites/contract"
	"grantcheck/suites/exchange"
)

// Signed JWTs: those that a probe makes to authenticate a client or as a grant, and those that the
// server issued.

// ---- client assertions ----

// signer is a client fixture seen to authenticate by a JWT, with the golden request in which it does.
type signer struct {
	pair   pair
	client *contract.Client
}

// signingPairs lists the golden requests in which a fixture may authenticate by a JWT of its own,
// those that consume nothing first. Grants that need no client authentication come last.
func (c *Case) signingPairs(name string) (pairs []pair) {
	f := c.Target().ClientNamed(name)
	if f == nil || f.ID == "" {
		return nil
	}
	rank := map[pair]int{}
	for i := range c.Contract().Grants {
		g := &c.Contract().Grants[i]
		p := pair{grant: g, auth: "jwt", client: name}
		if !c.run.enabled(g) || c.Target().ClientOf(g) != f && g.Client != "" || !slices.Contains(c.Target().AuthMethods(g, f), "jwt") || c.madeOutside(g, "client_assertion", "client.assertion") {
			continue
		}
		switch exchange.GrantType(g) {
		case contract.GrantJWTBearer, contract.GrantSAML2Bearer, contract.GrantTokenExchange:
			rank[p] = 4
		case "authorization_code":
			rank[p] = 3
		case "refresh_token":
			rank[p] = 2
		default:
			rank[p] = 1
		}
		if g == c.run.golden.grant {
			rank[p] = 0
		}
		pairs = append(pairs, p)
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return rank[a] - rank[b] })
	return pairs
}

// madeOutside reports that the page takes a parameter from elsewhere than the source that signs it here.
func (c *Case) madeOutside(g *contract.Grant, part, source string) bool {
	for _, f := range c.Target().Parameters(g) {
		if word, _, ok := f.Source(exchange.GrantType(g)); f.Role() == part {
			return ok && word != source
		}
	}
	return false
}

// signs finds the golden request in which a fixture authenticates by a JWT. Where none brings a
// token it returns the answer to the first, or why it could not be asked.
func (c *Case) signs(name string) (found signer, refused *Sample, why string) {
	for _, p := range c.signingPairs(name) {
		if c.run.answered(p) == notAsked {
			var s *Sample
			if s, why = c.run.tryQuietly(c.ctx, p); s != nil && s.Answer.Inconclusive() != "" {
				c.decided(s, probe{})
			}
		}
		if c.run.answered(p) == answeredOK {
			return signer{p, c.Target().ClientNamed(name)}, nil, ""
		}
		if refused == nil {
			refused = c.goldenAnswer(p)
		}
	}
	return signer{}, refused, why
}

// fixtureNames lists the client fixtures, the primary one first.
func (c *Case) fixtureNames() []string {
	names := []string{""}
	for _, f := range c.Contract().Clients {
		names = append(names, f.Name)
	}
	return names
}

// signers returns the fixtures seen to authenticate by a JWT. Without one the check ends.
func (c *Case) signers() (out []signer) {
	for _, name := range c.fixtureNames() {
		if s, _, _ := c.signs(name); s.client != nil {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		c.NotApplicable("no client is seen to authenticate by a JWT; jwt-auth.happy-path says why")
	}
	return out
}

// signer is the first of signers.
func (c *Case) signer() signer { return c.signers()[0] }

// signersOfEachKind returns the first fixture with a key pair and the first that signs with its secret.
func (c *Case) signersOfEachKind() (out []signer) {
	kinds := map[bool]bool{}
	for _, s := range c.signers() {
		if kind := c.assertion(s).Asymmetric(); !kinds[kind] {
			kinds[kind] = true
			out = append(out, s)
		}
	}
	return out
}

// assertion is a fresh JWT of a signer, about to be signed.
func (c *Case) assertion(s signer) exchange.JWT {
	j, err := c.Target().ClientAssertion(s.client, s.pair.grant)
	c.orNeed(err)
	return j
}

// compact signs a JWT.
func (c *Case) compact(j exchange.JWT) string {
	token, err := j.Sign()
	c.orNeed(err)
	return token
}

// asserting is the golden request of a signer with this assertion in it.
func (c *Case) asserting(s signer, token, format string, args ...any) exchange.Request {
	return Step(c.goldenOf(s.pair, "").Set("client_assertion", token), format, args...)
}

// refusesAssertion expects a refusal for the golden request of a signer whose assertion is changed.
func (c *Case) refusesAssertion(s signer, change func(exchange.JWT) exchange.JWT, format string, args ...any) {
	c.ExpectRefused(c.Probe(c.asserting(s, c.compact(change(c.assertion(s))), format, args...)))
}

// carries ends the check where the documented assertion lacks the claim in question.
func (c *Case) carries(j exchange.JWT, claim string) {
	if _, ok := j.Claims[claim]; !ok {
		c.NotApplicable("the documented assertion carries no %s", claim)
	}
}

// withoutClaim expects a refusal for the golden assertion without one claim.
func (c *Case) withoutClaim(claim string) {
	s := c.signer()
	c.carries(c.assertion(s), claim)
	c.refusesAssertion(s, func(j exchange.JWT) exchange.JWT { return j.Drop(claim) }, "assertion without %s", claim)
}

// guessed reports that the contract leaves open what an assertion holds: a refusal proves nothing then.
func guessed(a *contract.Assertion) bool {
	return a == nil || a.Unspecified || a.Audience == "" && !slices.ContainsFunc(a.Claims, func(cl contract.Claim) bool { return cl.Name == "aud" })
}

// otherID is the id of another registered client; a made-up one where the contract knows none.
func (c *Case) otherID(f *contract.Client) string {
	for _, o := range c.Target().Clients() {
		if o.ID != f.ID {
			return o.ID
		}
	}
	return "client-" + c.Nonce()
}

// serverNow is the time by the clock of the server, as its last Date field has it, to a second.
func (c *Case) serverNow() time.Time {
	answers := c.Answers(func(s *Sample) bool { return s.Header.Get("Date") != "" })
	if len(answers) == 0 {
		return c.Now()
	}
	s := answers[len(answers)-1]
	return c.Now().Add(answeredAt(s).Sub(s.Sent.Add(s.Took)))
}

// ---- grant assertions ----

// grantAsserting is the golden request of the JWT bearer grant with its assertion changed.
func (c *Case) grantAsserting(change func(exchange.JWT) exchange.JWT, format string, args ...any) exchange.Request {
	req, j := c.grantAssertion()
	return Step(req.Set("assertion", c.compact(change(j))), format, args...)
}

// grantAssertion is the golden request of the JWT bearer grant, and a fresh assertion for it.
func (c *Case) grantAssertion() (exchange.Request, exchange.JWT) {
	req := c.GoldenFor(contract.GrantJWTBearer)
	if c.madeOutside(req.Grant(), "assertion", "assertion") {
		c.NotApplicable("the assertion is made by another issuer, so none can be signed that differs in one point")
	}
	j, err := c.Target().GrantAssertion(req.Grant(), req.Client())
	c.orNeed(err)
	return req, j
}

// ---- issued JWTs ----

// answeredAt is when an answer was made: by its Date field, or else when it came.
func answeredAt(s *Sample) time.Time {
	if at, err := http.ParseTime(s.Header.Get("Date")); err == nil {
		return at
	}
	return s.Sent.Add(s.Took)
}

// latest and earliest are the bounds of what time it was when s was answered: its Date field, and
// the clock here.
func latest(s *Sample) time.Time   { return later(answeredAt(s), s.Sent.Add(s.Took)) }
func earliest(s *Sample) time.Time { return earlier(answeredAt(s), s.Sent.Add(s.Took)) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// numericDate reads a NumericDate claim (RFC 7519 §2); came says what stands there instead.
func numericDate(claims exchange.Value, name string) (at time.Time, came string) {
	v := claims.Get(name)
	n, ok := v.Float()
	if !ok {
		return at, kindWords(v, name)
	}
	if n > 1e11 || n < -1e11 { // beyond the range of time.Duration
		return time.Unix(1e11, 0), ""
	}
	return time.Unix(0, int64(n*1e9)), ""
}

// date says a NumericDate in a report.
func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

// textsOf reads a claim that is a string or an array of strings, none of them empty.
func textsOf(v exchange.Value) (texts []string, ok bool) {
	items := []exchange.Value{v}
	if v.Kind == exchange.Array {
		items = v.Items
	}
	for _, item := range items {
		if item.Kind != exchange.String || item.Text == "" {
			return nil, false
		}
		texts = append(texts, item.Text)
	}
	return texts, len(texts) > 0
}

// encrypted reports the compact form of an encrypted JWT (RFC 7516 §3.1).
func encrypted(token string) bool { return strings.Count(token, ".") == 4 }

// segments tells whether a token is made of base64url segments, the last of which may be empty.
func segments(token string) bool {
	parts := strings.Split(token, ".")
	for i, p := range parts {
		raw, err := base64.RawURLEncoding.DecodeString(p)
		if err != nil || len(raw) == 0 && i == 0 {
			return false
		}
	}
	return true
}

// unsigned tells why a JWT counts as unsigned, "" where it does not.
func unsigned(token string, header exchange.Value) string {
	switch alg := header.Get("alg"); {
	case alg.Kind != exchange.String || alg.Text == "":
		return kindWords(alg, "alg")
	case strings.EqualFold(alg.Text, "none"):
		return "alg " + exchange.Printable(alg.Text, 20)
	case strings.HasSuffix(token, "."):
		return "alg " + exchange.Printable(alg.Text, 20) + " with an empty signature"
	}
	return ""
}

// profiled returns the golden answers whose access token is a JWT, where the contract declares the
// profile of RFC 9068. Encrypted tokens cannot be read.
func (c *Case) profiled() []*Sample {
	if !strings.EqualFold(c.Contract().Token.Profile, "rfc9068") {
		c.NotApplicable("the contract does not declare access tokens of RFC 9068")
	}
	return slices.DeleteFunc(c.GoldenAnswers(), func(s *Sample) bool {
		_, _, ok := jwtOf(s.Answer.Text(exchange.AccessToken))
		return !ok
	})
}

const noJWT = "no access token that was issued is a JWT that can be read; token.jwt-signed says so where it should be one"

// eachProfiled checks the claims of every golden access token of the profile.
func (c *Case) eachProfiled(check func(s *Sample, header, claims exchange.Value)) {
	c.Each(c.profiled(), noJWT, func(s *Sample) {
		header, claims, _ := jwtOf(s.Answer.Text(exchange.AccessToken))
		check(s, header, claims)
	})
}

// documentedJWTs returns the golden answers whose access token is a JWT by the contract: by profile,
// or by the format of the field. Encrypted ones are left out.
func (c *Case) documentedJWTs() []*Sample {
	var any bool
	all := slices.DeleteFunc(c.GoldenAnswers(), func(s *Sample) bool {
		f, _ := c.Field(s, exchange.AccessToken)
		documented := strings.EqualFold(c.Contract().Token.Profile, "rfc9068") || f.Format == "jwt"
		any = any || documented
		return !documented || encrypted(s.Answer.Text(exchange.AccessToken))
	})
	if !any {
		c.NotApplicable("the contract does not say that access tokens are JWTs")
	}
	return all
}

// idTokens returns the answers of code exchanges whose id_token can be read.
func (c *Case) idTokens() []*Sample {
	return c.Answers(func(s *Sample) bool {
		g := c.GrantOf(s)
		if s.Endpoint != tokenEndpoint || !s.Answer.OK() || g == nil || exchange.GrantType(g) != "authorization_code" || !s.Golden && !s.Is("token.id-token-present") {
			return false
		}
		_, _, ok := jwtOf(s.Answer.Text(exchange.IDToken))
		return ok
	})
}

const noIDToken = "no code exchange brought an id_token that can be read"

// eachIDToken checks the id_token of every code exchange that brought one.
func (c *Case) eachIDToken(check func(s *Sample, header, claims exchange.Value)) {
	c.eachIDTokenOf(c.idTokens(), noIDToken, check)
}

func (c *Case) eachIDTokenOf(samples []*Sample, nothing string, check func(s *Sample, header, claims exchange.Value)) {
	c.Each(samples, nothing, func(s *Sample) {
		header, claims, _ := jwtOf(s.Answer.Text(exchange.IDToken))
		check(s, header, claims)
	})
}

// clientOf is the client that an answer was given to.
func (c *Case) clientOf(s *Sample) *contract.Client {
	if f := s.Request.Client(); f != nil {
		return f
	}
	return c.Target().ClientNamed(s.client)
}

// publishedKeys returns the signature keys of the key set, read once more where a kid is not among them.
func (c *Case) publishedKeys(kid string) []exchange.VerifyKey {
	_, from := c.keys()
	keys := exchange.VerifyKeys(from.Body)
	known := func() bool {
		return kid == "" || slices.ContainsFunc(keys, func(k exchange.VerifyKey) bool { return k.KeyID == kid })
	}
	if known() {
		return keys
	}
	all := c.Answers(func(s *Sample) bool { return s.Endpoint == from.Endpoint && s.Request.URL() == from.Request.URL() })
	if len(all) < 2 {
		all = append(all, c.Try(c.Target().Get(from.Request.URL()), Positive(), At(from.Endpoint)))
	}
	if again := all[len(all)-1]; again.Err == nil && len(exchange.VerifyKeys(again.Body)) > 0 {
		keys = exchange.VerifyKeys(again.Body)
	}
	return keys
}

// notVerified tells why no published key that fits made the signature of a JWT, "" where one did.
// A kid that names a key decides; one that names none does so if strict.
func (c *Case) notVerified(token string, header exchange.Value, strict bool) string {
	alg, kid := header.Get("alg").Text, header.Get("kid").Text
	if !exchange.KnownAlg(alg) {
		c.Inconclusive("signatures with alg %s cannot be verified here", exchange.Printable(alg, 20))
	}
	keys := c.publishedKeys(kid)
	if kid != "" {
		var named []exchange.VerifyKey
		for _, k := range keys {
			if k.KeyID == kid {
				named = append(named, k)
			}
		}
		if len(named) == 0 && strict {
			return fmt.Sprintf("kid %q, which names no published key", exchange.Printable(kid, 60))
		}
		if len(named) > 0 {
			keys = named
		}
	}
	for _, k := range keys {
		if k.Verify(token, alg) == nil {
			return ""
		}
	}
	return fmt.Sprintf("a signature with alg %s that no published key verifies", exchange.Printable(alg, 20))
}

// symmetric reports an algorithm whose key signs and verifies alike.
func symmetric(header exchange.Value) bool { return strings.HasPrefix(header.Get("alg").Text, "HS") }

// halfHash is the value of at_hash (OIDC Core §3.1.3.6), "" for an algorithm whose hash is not known.
func halfHash(alg, token string) string {
	var sum []byte
	switch {
	case strings.HasSuffix(alg, "256"):
		h := sha256.Sum256([]byte(token))
		sum = h[:]
	case strings.HasSuffix(alg, "384"):
		h := sha512.Sum384([]byte(token))
		sum = h[:]
	case strings.HasSuffix(alg, "512"), alg == "EdDSA", alg == "Ed25519":
		h := sha512.Sum512([]byte(token))
		sum = h[:]
	default:
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// signIn exchanges the code of an authorization request with the scope openid and a nonce.
func (c *Case) signIn() *Sample {
	scopes := c.Contract().Scopes
	if !slices.Contains(slices.Concat(scopes.Request, scopes.Grantable, scopes.Default), "openid") {
		c.NotApplicable("openid is not among the scopes of the contract")
	}
	nonce := c.Nonce()
	granted, err := c.CodeRefused("", func(a *exchange.Authorization) {
		a.Nonce = nonce
		if !slices.Contains(a.Scope, "openid") {
			a.Scope = append([]string{"openid"}, a.Scope...)
		}
	})
	if denied(err) {
		c.NotApplicable("a request with the scope openid is refused: %v", err)
	}
	c.orNeed(err)
	p := c.run.pairFor("authorization_code", "")
	in := granted.Inputs()
	in.Scope = granted.Authorization.Scope
	s := c.Probe(Step(c.Build(p.grant, p.auth, in), "a code of the scope openid"), Positive())
	s.Nonce = nonce
	if !s.Answer.OK() {
		c.look(s)
		c.Inconclusive("the code of a request with openid brought no token, but %s", s.Came())
	}
	if told, ok := s.Answer.Scopes(); ok && !slices.Contains(told, "openid") && !s.Answer.Has(exchange.IDToken) {
		c.look(s)
		c.NotApplicable("the scope openid was not granted")
	}
	return s
}

// maxAge reports that the contract's authorization request carries max_age.
func (c *Case) maxAge() bool {
	a := c.Contract().AuthorizationEndpoint
	return a != nil && slices.ContainsFunc(a.Parameters, func(f contract.Field) bool {
		return f.Name == "max_age" && (f.Const != nil || f.Value != nil)
	})
}

// blockedBy ends the check because another rule reports the cause.
func (c *Case) blockedBy(rule, why string) {
	panic(stop{verdict: report.Blocked, kind: report.Prerequisite, needs: rule, reason: why})
}

// withoutGrantClaims expects refusals for the golden grant assertion without each of some claims.
// Claims that the documented assertion lacks are passed over.
func (c *Case) withoutGrantClaims(claims ...string) {
	tried := false
	for _, claim := range claims {
		_, j := c.grantAssertion()
		if _, ok := j.Claims[claim]; !ok {
			continue
		}
		tried = true
		c.ExpectRefused(c.Probe(c.grantAsserting(func(j exchange.JWT) exchange.JWT { return j.Drop(claim) }, "assertion without %s", claim)))
	}
	if !tried {
		c.NotApplicable("the documented assertion carries no %s", strings.Join(claims, ", no "))
	}
}

// claimWords says what a claim or member is: its value where that fits into a line.
func claimWords(v exchange.Value, name string) string {
	switch v.Kind {
	case exchange.String:
		if v.Text == "" {
			return "an empty " + name
		}
		return name + " " + exchange.Printable(v.Text, 80)
	case exchange.Array:
		if len(v.Items) == 0 {
			return name + " as an empty array"
		}
		var items []string
		for _, item := range v.Items {
			items = append(items, item.Text)
		}
		return name + " [" + exchange.Printable(strings.Join(items, ", "), 80) + "]"
	}
	return kindWords(v, name)
}

// elementWords adds what the elements of an array are, if it is one.
func elementWords(v exchange.Value) string {
	for _, item := range v.Items {
		if item.Kind != exchange.String {
			return " of JSON " + string(item.Kind)
		}
	}
	return ""
}

// headerOf reads the header of a token of one to three segments that is no signed JWT.
func headerOf(token string) (header exchange.Value, ok bool) {
	first, _, found := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(first)
	if !found || err != nil {
		return header, false
	}
	d := exchange.ParseStrict(raw)
	return d.Value, d.IsObject()
}

// scopeTold is the scope that was granted for a request that asked for one: as the answer tells, or
// as asked where it is silent; nil where none was asked for or nobody tells.
func (c *Case) scopeTold(s *Sample) []string {
	asked := s.Request.Scope()
	told, ok := s.Answer.Scopes()
	g := c.GrantOf(s)
	switch {
	case ok && (len(asked) > 0 || g != nil && consumes(g)):
		return told
	case ok:
		return nil
	case len(asked) == 0 && g != nil && exchange.GrantType(g) == "authorization_code":
		return c.Contract().Scopes.Request
	}
	return asked
}

// openIDAnswers are those of code exchanges that brought an id_token.
func (c *Case) openIDAnswers() []*Sample { return c.Answers(c.openIDAnswer) }

func (c *Case) openIDAnswer(s *Sample) bool {
	g := c.GrantOf(s)
	return s.Endpoint == tokenEndpoint && s.Answer.OK() && g != nil && exchange.GrantType(g) == "authorization_code" && s.Answer.Has(exchange.IDToken)
}

// openIDScopes ask for claims and tokens of the client's own (OIDC Core §5.4, §11).
var openIDScopes = []string{"openid", "profile", "email", "address", "phone", "offline_access"}

// isUserInfo reports that metadata names an address as the UserInfo endpoint.
func (c *Case) isUserInfo(address string) bool {
	if c.Target().Issuer() == "" {
		return false
	}
	return slices.ContainsFunc(c.documents(c.wellKnown()), func(s *Sample) bool {
		return sameAddress(c.Target().Rebase(s.Answer.Lenient().Get("userinfo_endpoint").Text), address)
	})
}
