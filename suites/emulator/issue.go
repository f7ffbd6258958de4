package emulator

import (
	"slices"
	"strings"
	"time"
)

// issue is what a token answer hands out.
type issue struct {
	AccessToken  string
	TokenType    string
	ExpiresIn    int64 // seconds; 0: not said
	Expires      time.Time
	RefreshToken string
	IDToken      string
	Scope        []string
	ScopeDiffers bool // from what was asked for: then the client has to be told
	Access       *accessToken
	Refresh      *refreshToken
}

// newAuthorization is what the tokens of one grant rest on.
func (e *Emulator) newAuthorization(f *flow, u *user) *authorization {
	return &authorization{client: f.client, user: u, scope: f.scope, grant: f.grant.kind, authTime: f.now, sid: f.b.newToken(f, "sid")}
}

// issueTokens mints what the grant gives.
func (f *flow) issueTokens() *refusal {
	said, real := f.b.lifetime(f)
	is := &issue{TokenType: f.tokenType(), ExpiresIn: int64(said / time.Second), Expires: f.now.Add(said), Scope: f.scope}
	is.ScopeDiffers = f.asked.Present && !sameSet(f.scope, f.asked.Names)
	is.Access = f.mintAccess(real)
	is.AccessToken = is.Access.value
	f.e.store.addAccess(is.Access)

	switch {
	case f.grant.kind == refreshGrant && f.refresh != nil:
		if f.b.rotates(f) {
			is.Refresh = f.mintRefresh(f.refresh)
		} else if slices.ContainsFunc(f.grant.fields, func(r respond) bool { return r.part == "refresh_token" && r.OnlyWhen == nil }) {
			is.Refresh = f.refresh
		}
	case f.b.issuesRefresh(f):
		is.Refresh = f.mintRefresh(nil)
	}
	if is.Refresh != nil {
		is.RefreshToken = is.Refresh.value
	}
	if f.b.wantsIDToken(f) {
		is.IDToken = f.idToken(is)
	}
	f.issue = is
	return nil
}

// tokenType is Bearer, spelt as the page has it.
func (f *flow) tokenType() string {
	fields := f.grant.fields
	for _, g := range f.e.dialect.grants { // where this grant lists nothing, another may
		if len(fields) == 0 {
			fields = g.fields
		}
	}
	for _, fl := range fields {
		if fl.part != "token_type" {
			continue
		}
		for _, v := range append([]any{fl.Const, fl.Default, fl.Example}, fl.Enum...) {
			if s, ok := v.(string); ok {
				return s
			}
		}
	}
	return "Bearer"
}

func sameSet(a, b []string) bool {
	in := func(x, y []string) bool {
		return !slices.ContainsFunc(x, func(s string) bool { return !slices.Contains(y, s) })
	}
	return in(a, b) && in(b, a)
}

func (f *flow) mintAccess(life time.Duration) *accessToken {
	t := &accessToken{auth: f.authorization, scope: f.scope, issued: f.now, expires: f.now.Add(life)}
	switch {
	case f.grant.jwt:
		t.jti = f.b.newToken(f, "jti")
		t.value = f.jwtAccess(t)
	case f.grant.pattern != "":
		t.value = fitting(f.grant.pattern, f.b.newToken(f, "access"))
	default:
		t.value = f.b.newToken(f, "access")
	}
	return t
}

// jwtAccess follows RFC 9068.
func (f *flow) jwtAccess(t *accessToken) string {
	a := t.auth
	clientID := ""
	if a.client != nil {
		clientID = a.client.id
	}
	sub := clientID
	if a.user != nil {
		sub = a.user.sub
	}
	key := f.b.signingKey(f, "access_token")
	d := &draft{
		Kind: "access_token", Key: key,
		Header: object{{Name: "alg", Value: key.alg}, {Name: "typ", Value: "at+jwt"}, {Name: "kid", Value: key.kid}},
		Claims: object{
			{Name: "iss", Value: f.e.issuer},
			{Name: "sub", Value: sub},
			{Name: "aud", Value: f.e.base + "/resource"},
			{Name: "client_id", Value: clientID},
			{Name: "iat", Value: t.issued.Unix()},
			{Name: "exp", Value: t.expires.Unix()},
			{Name: "jti", Value: t.jti},
		},
	}
	if len(t.scope) > 0 {
		d.Claims = append(d.Claims, member{Name: "scope", Value: strings.Join(t.scope, " ")})
	}
	if a.user != nil {
		d.Claims = append(d.Claims, member{Name: "auth_time", Value: a.authTime.Unix()})
	}
	for _, fn := range f.b.claims {
		fn(f, d)
	}
	return d.sign()
}

func (f *flow) mintRefresh(parent *refreshToken) *refreshToken {
	value := f.b.newToken(f, "refresh")
	for _, fl := range f.grant.fields {
		if fl.part == "refresh_token" && fl.Format != "" {
			value = f.refreshText(fl.Format, value)
		}
	}
	t := &refreshToken{value: value, auth: f.authorization, issued: f.now, expires: f.now.Add(f.e.refreshLifetime), parent: parent}
	f.e.store.addRefresh(t)
	return t
}

// refreshText makes a refresh token of a documented form.
func (f *flow) refreshText(format, random string) string {
	if format != "jwt" {
		return fitting(format, random)
	}
	key := f.e.keys[0]
	return key.sign(object{{Name: "alg", Value: key.alg}, {Name: "typ", Value: "refresh+jwt"}, {Name: "kid", Value: key.kid}},
		object{{Name: "iss", Value: f.e.issuer}, {Name: "jti", Value: random}})
}

// standardWantsIDToken follows OpenID Connect Core sections 3.1.3.3 and 12.2, or the page.
func standardWantsIDToken(f *flow) bool {
	a := f.authorization
	if a == nil || a.user == nil || f.client == nil {
		return false
	}
	openid := slices.Contains(a.scope, "openid")
	if len(f.grant.fields) == 0 {
		return openid && (f.grant.kind == authorizationCode || f.grant.kind == refreshGrant)
	}
	for _, fl := range f.grant.fields {
		if fl.part == "id_token" {
			return f.must(f.grant, fl.Required) || openid && (fl.Required.Mode == "" || fl.Required.Mode == "false")
		}
	}
	return false
}

func (f *flow) idToken(is *issue) string {
	a := f.authorization
	key := f.b.signingKey(f, "id_token")
	d := &draft{
		Kind: "id_token", Key: key, Beside: is.AccessToken,
		Header: object{{Name: "alg", Value: key.alg}, {Name: "typ", Value: "JWT"}, {Name: "kid", Value: key.kid}},
		Claims: object{
			{Name: "iss", Value: f.e.issuer},
			{Name: "sub", Value: a.user.sub},
			{Name: "aud", Value: a.client.id},
			{Name: "azp", Value: a.client.id},
			{Name: "exp", Value: f.now.Add(5 * time.Minute).Unix()},
			{Name: "iat", Value: f.now.Unix()},
			{Name: "auth_time", Value: a.authTime.Unix()},
			{Name: "amr", Value: []string{"pwd"}},
			{Name: "at_hash", Value: halfHash(key.alg, is.AccessToken)},
			{Name: "sid", Value: a.sid},
		},
	}
	if a.nonce != "" && f.grant.kind != refreshGrant {
		d.Claims = append(d.Claims, member{Name: "nonce", Value: a.nonce})
	}
	for _, fn := range f.b.claims {
		fn(f, d)
	}
	return d.sign()
}
