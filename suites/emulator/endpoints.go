package emulator

import (
	"net/http"
	"slices"
	"strings"
)

// serveMetadata is RFC 8414 and OpenID Connect Discovery.
func (f *flow) serveMetadata() *answer {
	if r := f.checkMethod(); r != nil {
		return f.refuse(r)
	}
	e := f.e
	var grants []string
	for _, g := range e.dialect.grants {
		if !slices.Contains(grants, g.kind) {
			grants = append(grants, g.kind)
		}
	}
	var methods, algs []string
	names := map[string]string{"basic": "client_secret_basic", "post": "client_secret_post", "none": "none"}
	for _, m := range []string{"basic", "post", "jwt", "none"} {
		for _, c := range e.registered {
			if !slices.Contains(c.methods, m) || m == "none" && !c.public {
				continue
			}
			name := names[m]
			if m == "jwt" {
				name = "private_key_jwt"
				if len(c.keys) == 0 {
					name = "client_secret_jwt"
				}
				for _, alg := range c.algs {
					if !slices.Contains(algs, alg) {
						algs = append(algs, alg)
					}
				}
			}
			if !slices.Contains(methods, name) {
				methods = append(methods, name)
			}
		}
	}
	protected := slices.DeleteFunc(slices.Clone(methods), func(m string) bool { return m == "none" })
	doc := object{
		{Name: "issuer", Value: e.issuer},
		{Name: "token_endpoint", Value: e.URL()},
		{Name: "jwks_uri", Value: e.base + jwksPath},
		{Name: "grant_types_supported", Value: grants},
		{Name: "token_endpoint_auth_methods_supported", Value: methods},
		{Name: "revocation_endpoint", Value: e.revocationURL},
		{Name: "revocation_endpoint_auth_methods_supported", Value: methods},
		{Name: "introspection_endpoint", Value: e.introspectionURL},
		{Name: "introspection_endpoint_auth_methods_supported", Value: protected},
	}
	if algs != nil {
		for _, at := range []string{"token", "revocation", "introspection"} {
			doc = append(doc, member{Name: at + "_endpoint_auth_signing_alg_values_supported", Value: algs})
		}
	}
	if slices.Contains(grants, authorizationCode) {
		doc = append(doc, member{Name: "authorization_endpoint", Value: e.authorizationURL},
			member{Name: "response_types_supported", Value: []string{"code"}},
			member{Name: "response_modes_supported", Value: []string{"query"}},
			member{Name: "userinfo_endpoint", Value: e.base + userInfoPath},
			member{Name: "subject_types_supported", Value: []string{"public"}},
			member{Name: "id_token_signing_alg_values_supported", Value: []string{e.keys[0].alg}},
			member{Name: "authorization_response_iss_parameter_supported", Value: true})
		if !e.pkceUnsupported {
			challenge := []string{"S256"}
			if e.edition == "oauth20" {
				challenge = append(challenge, "plain")
			}
			doc = append(doc, member{Name: "code_challenge_methods_supported", Value: challenge})
		}
	} else {
		doc = append(doc, member{Name: "response_types_supported", Value: []string{}})
	}
	if len(e.scopes.known) > 0 {
		doc = append(doc, member{Name: "scopes_supported", Value: e.scopes.known})
	}
	a := &answer{Status: http.StatusOK, Body: doc}
	a.set("Content-Type", "application/json")
	a.set("Cache-Control", "public, max-age=60")
	return a
}

// serveJWKS publishes the keys that verify.
func (f *flow) serveJWKS() *answer {
	if r := f.checkMethod(); r != nil {
		return f.refuse(r)
	}
	var keys []any
	for _, k := range f.e.keys {
		keys = append(keys, k.jwk())
	}
	a := &answer{Status: http.StatusOK, Body: object{{Name: "keys", Value: keys}}}
	a.set("Content-Type", "application/jwk-set+json")
	a.set("Cache-Control", "public, max-age=60")
	return a
}

// serveRevocation is RFC 7009.
func (f *flow) serveRevocation() *answer {
	if r := f.run(managementStages); r != nil {
		return f.refuse(r)
	}
	value := f.form["token"]
	if r := f.require(atRevokeToken, value != "", missingParameter, "token"); r != nil {
		return f.refuse(r)
	}
	f.revoke(value)
	a := &answer{Status: http.StatusOK, NoBody: true}
	a.set("Content-Length", "0")
	noStore(a)
	return a
}

// revoke ends the token; what it may not or cannot end it leaves, silently (section 2.2).
func (f *flow) revoke(value string) {
	f.access = f.b.findAccess(f, value)
	f.refresh = f.b.findRefresh(f, value)
	var auth *authorization
	switch {
	case f.refresh != nil:
		auth = f.refresh.auth
	case f.access != nil:
		auth = f.access.auth
	default:
		return
	}
	if f.require(atRevokeOwner, auth.client == f.client, unauthorizedClient) != nil {
		return
	}
	if f.check(atRevokeEffect, func() *refusal { return nil }) != nil {
		return
	}
	if f.refresh == nil {
		f.e.store.endAccess(f.access)
		return
	}
	f.e.store.endRefresh(f.refresh)
	if f.check(atRevokeCascade, func() *refusal { return nil }) == nil {
		f.e.store.revoke(auth)
	}
}

// serveIntrospection is RFC 7662.
func (f *flow) serveIntrospection() *answer {
	if r := f.run(managementStages); r != nil {
		return f.refuse(r)
	}
	if r := f.require(atCredential, f.client != nil && !f.client.public, missingClientAuth); r != nil {
		return f.refuse(r)
	}
	value := f.form["token"]
	if r := f.require(atIntrospect, value != "", missingParameter, "token"); r != nil {
		return f.refuse(r)
	}
	a := &answer{Status: http.StatusOK, Body: f.introspect(value)}
	a.set("Content-Type", "application/json")
	noStore(a)
	return a
}

func (f *flow) introspect(value string) object {
	inactive := object{{Name: "active", Value: false}}
	f.access = f.b.findAccess(f, value)
	f.refresh = f.b.findRefresh(f, value)
	var auth *authorization
	var body object
	switch {
	case f.access != nil && !f.e.store.accessEnded(f.access) && f.now.Before(f.access.expires):
		t := f.access
		auth = t.auth
		body = object{
			{Name: "active", Value: true},
			{Name: "token_type", Value: "Bearer"},
			{Name: "exp", Value: t.expires.Unix()},
			{Name: "iat", Value: t.issued.Unix()},
			{Name: "scope", Value: strings.Join(t.scope, " ")},
			{Name: "aud", Value: f.e.base + "/resource"},
		}
		if t.jti != "" {
			body = append(body, member{Name: "jti", Value: t.jti})
		}
	case f.refresh != nil && !f.e.store.refreshEnded(f.refresh) && f.now.Before(f.refresh.expires):
		t := f.refresh
		auth = t.auth
		body = object{{Name: "active", Value: true}, {Name: "exp", Value: t.expires.Unix()}, {Name: "iat", Value: t.issued.Unix()}, {Name: "scope", Value: strings.Join(auth.scope, " ")}}
	default:
		return inactive
	}
	if f.require(atIntrospectSee, f.client.seesAll || auth.client == f.client, unauthorizedClient) != nil {
		return inactive
	}
	body = append(body, member{Name: "iss", Value: f.e.issuer})
	sub := ""
	if auth.client != nil {
		sub = auth.client.id
		body = append(body, member{Name: "client_id", Value: auth.client.id})
	}
	if auth.user != nil {
		sub = auth.user.sub
		body = append(body, member{Name: "username", Value: auth.user.name})
	}
	return append(body, member{Name: "sub", Value: sub})
}

// serveResource is a protected resource, RFC 6750: any token will do.
func (f *flow) serveResource() *answer { return f.resource("") }

// serveScopedResource needs a scope.
func (f *flow) serveScopedResource() *answer { return f.resource(f.e.scopes.needed) }

func (f *flow) resource(scope string) *answer {
	if r := f.checkMethod(); r != nil {
		return f.refuse(r)
	}
	if r := f.bearer(scope); r != nil {
		return f.refuse(r)
	}
	a := &answer{Status: http.StatusOK}
	sub := ""
	if c := f.access.auth.client; c != nil {
		sub = c.id
	}
	if u := f.access.auth.user; u != nil {
		sub = u.sub
	}
	a.Body = object{{Name: "sub", Value: sub}}
	a.set("Content-Type", "application/json")
	a.set("Cache-Control", "private, no-store")
	return a
}

// bearer finds the token, in the Authorization field, in a form or in the query, and asks
// whether it is good. Tokens in the query count in the first edition only.
func (f *flow) bearer(scope string) *refusal {
	var found []string
	for _, v := range f.r.Header["Authorization"] {
		scheme, token, _ := strings.Cut(strings.Trim(v, " \t"), " ")
		is := f.b.schemeIs(f, scheme, "Bearer")
		if r := f.require(atBearerScheme, is, noToken); r != nil {
			return r
		}
		found = append(found, strings.TrimLeft(token, " "))
	}
	if f.r.Method == http.MethodPost {
		if r := f.receive(); r != nil {
			return r
		}
		if f.b.bodyKind(f) == "form" {
			ps, err := f.parseForm()
			if err != nil {
				return refuse(malformedRequest)
			}
			f.params = ps
			if v, ok := ps.get("access_token"); ok && v != "" {
				found = append(found, v)
			}
		}
	}
	if f.query == nil {
		f.query = f.queryOf()
	}
	if v, ok := f.query.get("access_token"); ok && v != "" && f.b.fromQuery(f, "access_token") {
		found = append(found, v)
	}
	if r := f.require(atBearerPresent, len(found) > 0, noToken); r != nil {
		return r
	}
	if r := f.require(atBearerOnce, len(found) <= 1, malformedRequest); r != nil {
		return r
	}
	if f.access == nil {
		token := ""
		if len(found) > 0 {
			token = found[0]
		}
		if r := f.check(atBearerKnown, func() *refusal {
			if f.access = f.b.findAccess(f, token); f.access == nil {
				return refuse(invalidToken)
			}
			return nil
		}); r != nil {
			return r
		}
	}
	t := f.access
	if t == nil { // a fault let an unknown token pass
		f.access = &accessToken{auth: &authorization{}, expires: f.now.Add(f.b.leeway)}
		return nil
	}
	if r := f.require(atBearerRevoked, !f.e.store.accessEnded(t), invalidToken); r != nil {
		return r
	}
	if r := f.require(atBearerExpired, f.now.Before(t.expires), invalidToken); r != nil {
		return r
	}
	return f.require(atBearerScope, scope == "" || slices.Contains(t.scope, scope), insufficientScope)
}

// bearerChallenge is RFC 6750 section 3: without a token no error code.
func (f *flow) bearerChallenge(r *refusal, a *answer) {
	a.NoBody = true
	a.set("Content-Length", "0")
	if r.Status != http.StatusUnauthorized && r.Status != http.StatusForbidden && r.Reason != malformedRequest {
		return
	}
	v := `Bearer realm="grantcheck emulator"`
	if r.Code != "" {
		v += `, error="` + r.Code + `", error_description="` + r.Description + `"`
	}
	if r.Reason == insufficientScope {
		v += `, scope="` + f.e.scopes.needed + `"`
	}
	a.set("WWW-Authenticate", v)
}
