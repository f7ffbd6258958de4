package emulator

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// client is a registered client.
type client struct {
	name         string // fixture name, empty for the primary client
	id           string
	secret       string
	public       bool
	methods      []string // basic, post, jwt, none
	keys         []verifyKey
	signing      *signingKey // the private half that the harness gets, if any
	algs         []string    // accepted of its assertions
	audiences    []string    // further accepted audiences of its assertions
	redirectURIs []string
	grants       []string // grant_type values; nil: all
	seesAll      bool     // may introspect tokens of every client
	// mayOmitSecret is the public use, with PKCE, of an id that also has a secret.
	mayOmitSecret bool
}

const jwtBearerAssertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// present reads what the request offers to authenticate its client.
func (f *flow) present() {
	c := &f.cred
	values := f.r.Header["Authorization"]
	c.authorizations = len(values)
	if len(values) > 0 {
		c.scheme, c.token, _ = strings.Cut(strings.Trim(values[0], " \t"), " ")
		c.token = strings.TrimLeft(c.token, " ")
		if c.scheme == "" {
			c.scheme = "-" // an empty field is still a field
		}
		if f.b.schemeIs(f, c.scheme, "Basic") {
			c.basic = true
			var ok bool
			c.rawID, c.rawSecret, ok = splitBasic(c.token)
			c.malformed = !ok
		}
	}
	c.bodyID, c.bodySecret = f.form["client_id"], f.form["client_secret"]
	c.assertion, c.assertionType = f.form["client_assertion"], f.form["client_assertion_type"]
}

// claimedClient is the client a request says it comes from, before anything is checked.
func (f *flow) claimedClient() string {
	if f.cred.basic && !f.cred.malformed {
		return f.b.basicDecode(f, f.cred.rawID)[0]
	}
	if f.cred.bodyID != "" {
		return f.cred.bodyID
	}
	if f.cred.assertion != "" {
		if t, err := parseJWS(f.cred.assertion); err == nil {
			if iss, _ := t.claims["iss"].(string); iss != "" {
				return iss
			}
		}
	}
	return f.e.clientOfSecret(f.cred.bodySecret)
}

// authenticate finds the client and makes sure that it is the client.
func (f *flow) authenticate() *refusal {
	f.present()
	c := &f.cred
	if r := f.require(atOneAuthorization, c.authorizations <= 1, malformedRequest); r != nil {
		return r
	}
	if c.scheme != "" && !c.basic {
		if r := f.require(atScheme, false, unsupportedScheme); r != nil || f.client != nil {
			return r
		}
	}
	if c.basic {
		if r := f.require(atBasicSyntax, !c.malformed, malformedBasic); r != nil {
			return r
		}
	}
	if r := f.require(atOneAuthMethod, len(c.methods()) <= 1, twoAuthMethods); r != nil {
		return r
	}
	var r *refusal
	switch {
	case c.basic:
		r = f.authenticateBasic()
	case c.assertion != "" || c.assertionType != "":
		f.method = "jwt"
		r = f.authenticateAssertion()
	case c.bodySecret != "":
		f.method = "post"
		id := c.bodyID
		if id == "" {
			id = f.e.clientOfSecret(c.bodySecret)
		}
		r = f.authenticateSecret(id, []string{c.bodySecret})
	default:
		r = f.authenticateNone()
	}
	if r != nil {
		return r
	}
	mismatch := f.client != nil && c.bodyID != "" && c.bodyID != f.client.id
	return f.require(atClientID, !mismatch, clientIDMismatch, "client_id")
}

func (f *flow) authenticateBasic() *refusal {
	f.method = "basic"
	id := f.cred.rawID
	for _, reading := range f.b.basicDecode(f, f.cred.rawID) {
		if f.b.lookupClient(f, reading) != nil {
			id = reading
			break
		}
	}
	return f.authenticateSecret(id, f.b.basicDecode(f, f.cred.rawSecret))
}

// authenticateSecret compares each reading of the presented secret.
func (f *flow) authenticateSecret(id string, readings []string) *refusal {
	if r := f.require(atClientNamed, id != "", missingClientAuth, "client_id"); r != nil || f.client != nil {
		return r
	}
	if r := f.knownClient(id); r != nil {
		equalSecret(id, readings[0]) // the same work as for a known client
		return r
	}
	if r := f.require(atAuthMethod, f.b.methodFor(f, f.client, f.method), wrongAuthMethod); r != nil {
		return r
	}
	match := false
	for _, s := range readings {
		match = match || f.b.secretMatches(f, f.client, s)
	}
	if r := f.guess("secret", "client "+f.client.id, &match); r != nil {
		return r
	}
	return f.require(atSecret, match, wrongSecret)
}

func (f *flow) knownClient(id string) *refusal {
	return f.check(atClientKnown, func() *refusal {
		if f.client = f.b.lookupClient(f, id); f.client == nil {
			return refuse(unknownClient)
		}
		return nil
	})
}

// authenticateNone is for public clients, and for grants that need no client.
func (f *flow) authenticateNone() *refusal {
	f.method = "none"
	if f.cred.bodyID == "" && f.e.dialect.anonymous(f) {
		return nil
	}
	if r := f.require(atClientNamed, f.cred.bodyID != "", missingClientAuth, "client_id"); r != nil || f.client != nil {
		return r
	}
	if r := f.knownClient(f.cred.bodyID); r != nil {
		return r
	}
	allowed := f.client.public && f.b.methodFor(f, f.client, "none") || f.endpoint == tokenEndpoint && f.grant != nil &&
		(slices.Contains(f.grant.Auth, "none") || f.client.mayOmitSecret && f.form["code_verifier"]+f.form["refresh_token"] != "")
	return f.require(atCredential, allowed, missingClientAuth, "client_secret")
}

// authenticateAssertion verifies a client assertion, RFC 7523 section 3.
func (f *flow) authenticateAssertion() *refusal {
	no := func(what string) *refusal {
		r := refuse(badClientAssertion, "client_assertion")
		r.Token = what
		return r
	}
	holds := func(p point, ok bool, what string) *refusal {
		return f.check(p, func() *refusal {
			if ok {
				return nil
			}
			return no(what)
		})
	}
	if f.e.store.issuedHook(f.cred.assertion) { // made by another issuer, as the page has it
		return f.knownClient(f.cred.bodyID)
	}
	if r := holds(atAssertionType, f.cred.assertionType == jwtBearerAssertion, "type"); r != nil {
		return r
	}
	if r := f.check(atAssertionSyntax, func() *refusal {
		t, err := parseJWS(f.cred.assertion)
		if err != nil {
			return no("syntax")
		}
		t.client = true
		f.assertion = t
		return nil
	}); r != nil {
		return r
	}
	t := f.assertion
	iss, _ := t.claims["iss"].(string)
	sub, _ := t.claims["sub"].(string)
	id := sub
	if id == "" {
		id = iss
	}
	if r := f.knownClient(id); r != nil {
		return no("client")
	}
	if r := holds(atAssertionSubject, sub != "" && sub == f.client.id, "sub"); r != nil {
		return r
	}
	if r := holds(atAssertionIssuer, iss != "" && iss == f.client.id, "iss"); r != nil {
		return r
	}
	if r := f.require(atAuthMethod, f.b.methodFor(f, f.client, "jwt"), wrongAuthMethod); r != nil {
		return r
	}
	if r := f.verifyJWT(t, jwtPoints{
		atAssertionAlg, atAssertionSignature, atAssertionAudience, atAssertionExp, atAssertionExpired,
		atAssertionNotBefore, atAssertionIssued,
	}, f.client.algs, append(f.e.audiences(), f.client.audiences...), true, no); r != nil {
		return r
	}
	jti, _ := t.claims["jti"].(string)
	fresh := jti == "" || f.e.store.firstUse(f.client.id+"\x00"+jti, f.now.Add(24*time.Hour))
	return holds(atAssertionJTI, fresh, "jti")
}

// jwtPoints names the checks of one kind of assertion.
type jwtPoints struct{ alg, signature, aud, exp, expired, nbf, iat point }

// verifyJWT checks signature, audience and times of an assertion, RFC 7523 section 3.
func (f *flow) verifyJWT(t *jws, at jwtPoints, algs, audiences []string, old bool, no func(string) *refusal) *refusal {
	steps := []struct {
		at   point
		ok   func() bool
		what string
	}{
		{at.alg, func() bool { return slices.Contains(algs, t.alg) }, "alg"},
		{at.signature, func() bool {
			for _, k := range f.b.assertionKeys(f, t) {
				if k.verify(t) {
					return true
				}
			}
			return false
		}, "signature"},
		{at.aud, func() bool {
			for _, a := range texts(t.claims["aud"]) {
				if slices.Contains(audiences, a) {
					return true
				}
			}
			return false
		}, "aud"},
		{at.exp, func() bool { _, ok := t.time("exp"); return ok }, "exp"},
		{at.expired, func() bool {
			exp, ok := t.time("exp")
			return !ok || f.now.Before(exp.Add(f.b.leeway))
		}, "expired"},
		{at.nbf, func() bool {
			nbf, ok := t.time("nbf")
			return !ok || !f.now.Add(f.b.leeway).Before(nbf)
		}, "nbf"},
		{at.iat, func() bool {
			iat, ok := t.time("iat")
			return !ok || !f.now.Add(f.b.leeway).Before(iat) && (!old || f.now.Sub(iat) < 24*time.Hour)
		}, "iat"},
	}
	for _, s := range steps {
		if r := f.check(s.at, func() *refusal {
			if s.ok() {
				return nil
			}
			return no(s.what)
		}); r != nil {
			return r
		}
	}
	return nil
}

// standardAssertionKeys are the registered keys of the client or issuer; kid narrows
// them where it names one.
func standardAssertionKeys(f *flow, t *jws) []verifyKey {
	keys := f.e.issuers.keys
	if t.client {
		keys = f.client.keys
		if f.client.secret != "" && slices.Contains(f.client.algs, t.alg) && strings.HasPrefix(t.alg, "HS") {
			return []verifyKey{{kty: "oct", secret: []byte(f.client.secret)}}
		}
	}
	if kid, _ := t.header["kid"].(string); kid != "" {
		for _, k := range keys {
			if k.kid == kid {
				return []verifyKey{k}
			}
		}
	}
	return keys
}

// texts reads a string or a list of strings.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, item := range v {
			if s, ok := item.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// guess counts failures in a row and refuses for a while when there were too many:
// guessing must not come free (RFC 6749 section 2.3.1, 4.3.2). Where the page knows no
// answer for that, the right secret is refused like a wrong one: *right is cleared.
func (f *flow) guess(what, whose string, right *bool) *refusal {
	bound := f.b.guesses(f, what)
	if bound == 0 {
		return nil
	}
	wait := f.e.store.guess(whose, *right, bound, f.now)
	return f.check(atGuesses, func() *refusal {
		if wait <= 0 {
			return nil
		}
		if !f.e.throttles() {
			*right = false
			return nil
		}
		r := refuse(guessLimited)
		r.RetryAfter = wait
		return r
	})
}

// challenge adds what a 401 of an OAuth endpoint has to carry.
func challenge(a *answer) {
	if a.Status == http.StatusUnauthorized && !a.has("WWW-Authenticate") {
		a.set("WWW-Authenticate", `Basic realm="grantcheck emulator", charset="UTF-8"`)
	}
}
