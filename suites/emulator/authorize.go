package emulator

import (
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// authorizationRequest is what a code is asked for with.
type authorizationRequest struct {
	client      *client
	redirectURI string // as sent
	scope       string
	nonce       string
	state       string
	challenge   string
	method      string // of the challenge; plain if it was left out
	parameters  map[string]string
	user        *user
}

// check answers what is wrong with the request, or nil.
func (q *authorizationRequest) check(f *flow) *refusal {
	no := func(p point, holds bool, about string) *refusal {
		return f.require(p, holds, badAuthorizeRequest, about)
	}
	if r := no(atAuthorizeClient, q.client != nil, "client_id"); r != nil {
		return r
	}
	registered := q.redirectURI == "" && len(q.client.redirectURIs) == 1 || slices.Contains(q.client.redirectURIs, q.redirectURI)
	if r := no(atAuthorizeRedirect, registered || len(q.client.redirectURIs) == 0, "redirect_uri"); r != nil {
		return r
	}
	if f.e.pkceUnsupported {
		q.challenge, q.method = "", ""
		return nil
	}
	fine := q.challenge == "" && !f.e.needsPKCE(q.client)
	switch q.method {
	case "S256":
		fine = len(q.challenge) == 43
	case "plain":
		fine = q.challenge != "" && f.e.edition == "oauth20"
	}
	return no(atAuthorizeChallenge, fine, "code_challenge")
}

// needsPKCE says whether a flow of the client has to start with a challenge: RFC 9700
// section 2.1.1 for public clients, or the page.
func (e *Emulator) needsPKCE(c *client) bool {
	if a := e.bound.AuthorizationEndpoint; a != nil && a.PKCE == "required" {
		return true
	}
	return c.public && e.edition != "oauth20"
}

// grantCode issues an authorization code.
func (f *flow) grantCode(q *authorizationRequest) (*code, *refusal) {
	f.client, f.user = q.client, q.user
	f.form = map[string]string{"scope": q.scope}
	if q.scope == "" {
		delete(f.form, "scope")
	}
	if f.grant = f.e.dialect.codeGrant(); f.grant == nil {
		return nil, refuse(badAuthorizeRequest, "response_type")
	}
	if f.client.grants != nil && !slices.Contains(f.client.grants, authorizationCode) {
		return nil, refuse(unauthorizedClient)
	}
	names := f.splitScope(q.scope)
	scope, r := standardScope(f, scopeAsk{Present: q.scope != "", Raw: q.scope, Names: names, Allowed: f.e.scopes.grantable, Default: f.e.scopes.standard})
	if r != nil {
		return nil, r
	}
	f.scope = scope
	a := f.e.newAuthorization(f, q.user)
	a.grant, a.nonce, a.parameters = authorizationCode, q.nonce, q.parameters
	c := &code{
		value: f.b.newToken(f, "code"), auth: a, redirectURI: q.redirectURI, challenge: q.challenge, challengeMethod: q.method,
		asked: names, expires: f.now.Add(f.b.codeLifetime),
	}
	f.e.store.addCode(c)
	return c, nil
}

// codeGrant is the grant by which codes are exchanged, or nil.
func (d *dialect) codeGrant() *grant {
	for _, g := range d.grants {
		if g.kind == authorizationCode || g.silent && g.Code != "" {
			return g
		}
	}
	return nil
}

// authorizationOf reads the parameters of an authorization request.
func (f *flow) authorizationOf(v url.Values) *authorizationRequest {
	q := &authorizationRequest{
		redirectURI: v.Get("redirect_uri"), scope: v.Get("scope"), nonce: v.Get("nonce"), state: v.Get("state"),
		challenge: v.Get("code_challenge"), method: v.Get("code_challenge_method"), parameters: map[string]string{}, user: f.e.primaryUser,
	}
	if q.challenge != "" && q.method == "" {
		q.method = "plain"
	}
	q.client = f.b.lookupClient(f, v.Get("client_id"))
	for name := range v {
		q.parameters[name] = v.Get(name)
	}
	return q
}

// serveAuthorize approves at once: the person at the screen has already said yes.
func (f *flow) serveAuthorize() *answer { return f.authorize(nil) }

// serveLogin is the same endpoint with a person before it: pages for login and consent.
func (f *flow) serveLogin() *answer { return f.authorize(f.pages) }

func (f *flow) authorize(pages func(v url.Values, q *authorizationRequest) *answer) *answer {
	if r := f.checkMethod(); r != nil {
		return f.refuse(r)
	}
	if err := f.r.ParseForm(); err != nil {
		return f.refuse(refuse(malformedRequest))
	}
	v := f.r.Form
	q := f.authorizationOf(v)
	if r := q.check(f); r != nil {
		if r.Parameter == "code_challenge" {
			return f.redirect(q, url.Values{"error": {r.Code}, "error_description": {"a code challenge is needed"}})
		}
		return f.refuse(r)
	}
	if r := f.require(atAuthorizeType, v.Get("response_type") == "code", badAuthorizeRequest, "response_type"); r != nil {
		return f.redirect(q, url.Values{"error": {"unsupported_response_type"}})
	}
	if pages != nil {
		if a := pages(v, q); a != nil {
			return a
		}
	}
	c, r := f.grantCode(q)
	if r != nil {
		return f.redirect(q, url.Values{"error": {r.Code}})
	}
	return f.redirect(q, url.Values{"code": {c.value}})
}

// redirect sends the browser back to the client.
func (f *flow) redirect(q *authorizationRequest, with url.Values) *answer {
	to := q.redirectURI
	if to == "" && len(q.client.redirectURIs) > 0 {
		to = q.client.redirectURIs[0]
	}
	u, err := url.Parse(to)
	if err != nil || to == "" {
		return f.refuse(refuse(badAuthorizeRequest, "redirect_uri"))
	}
	query := u.Query()
	for name, values := range with {
		query[name] = values
	}
	if q.state != "" {
		query.Set("state", q.state)
	}
	if f.e.metadata {
		query.Set("iss", f.e.issuer) // RFC 9207
	}
	u.RawQuery = query.Encode()
	a := &answer{Status: http.StatusFound, NoBody: true}
	a.set("Location", u.String())
	noStore(a)
	return a
}

var loginPages = template.Must(template.New("").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Title}}</title></head><body>
<h1>{{.Title}}</h1>
{{if .Wrong}}<p role="alert">User name or password is wrong.</p>{{end}}
<form method="post" action="{{.Action}}">
{{range $name, $value := .Hidden}}<input type="hidden" name="{{$name}}" value="{{$value}}">
{{end}}{{if .Login}}<label>User name <input type="text" name="login" autocomplete="username"></label>
<label>Password <input type="password" name="secret" autocomplete="current-password"></label>
<button type="submit" name="action" value="login">Sign in</button>
{{else}}<p>{{.Client}} asks for: {{.Scope}}</p>
<button type="submit" name="action" value="deny">Deny</button>
<button type="submit" name="action" value="allow">Allow</button>
{{end}}</form>
</body></html>
`))

// pages shows login, then consent; nil once consent is given. Every step is tied to
// the browser by a cookie and to the page by a hidden field.
func (f *flow) pages(v url.Values, q *authorizationRequest) *answer {
	type page struct {
		Title, Action, Client, Scope string
		Hidden                       map[string]string
		Login, Wrong                 bool
	}
	hidden := map[string]string{}
	for name := range v {
		if name != "login" && name != "secret" && name != "action" && name != "session" {
			hidden[name] = v.Get(name)
		}
	}
	show := func(p page, session string) *answer {
		var b strings.Builder
		p.Action, p.Client, p.Scope, p.Hidden = f.r.URL.Path, q.client.id, q.scope, hidden
		hidden["session"] = session
		if err := loginPages.Execute(&b, p); err != nil {
			return f.refuse(refuse(serverFault))
		}
		a := &answer{Status: http.StatusOK}
		a.text("text/html; charset=utf-8", b.String())
		a.set("Set-Cookie", "session="+session+"; Path=/; HttpOnly; SameSite=Lax")
		noStore(a)
		return a
	}
	session := v.Get("session")
	cookie, err := f.r.Cookie("session")
	if f.r.Method != http.MethodPost || err != nil || session == "" || cookie.Value != session {
		return show(page{Title: "Sign in", Login: true}, f.b.newToken(f, "session"))
	}
	switch v.Get("action") {
	case "login":
		u := f.b.lookupUser(f, v.Get("login"))
		if u == nil || !f.b.passwordMatches(f, u, v.Get("secret")) {
			return show(page{Title: "Sign in", Login: true, Wrong: true}, session)
		}
		f.e.signIn(session, u)
		return show(page{Title: "Allow access?"}, session)
	case "allow":
		if u := f.e.signedIn(session); u != nil {
			q.user = u
			return nil
		}
	case "deny":
		return f.redirect(q, url.Values{"error": {"access_denied"}})
	}
	return show(page{Title: "Sign in", Login: true}, session)
}

// serveCodeHook yields a fresh code: the authorization request comes as JSON (challenge or
// code_challenge, scope, nonce, state, redirect_uri, client or client_id, user, parameters), the answer is
// {"code": …}, or {"redirect": …} with an error in it, or {"error": …} where nobody can be redirected.
// An empty request takes the primary client and its registered redirect_uri.
func (f *flow) serveCodeHook() *answer {
	if r := f.checkMethod(); r != nil {
		return f.refuse(r)
	}
	if r := f.receive(); r != nil {
		return f.refuse(r)
	}
	in := map[string]any{}
	if len(f.body) > 0 && json.Unmarshal(f.body, &in) != nil {
		return f.refuse(refuse(malformedRequest))
	}
	for name := range f.r.URL.Query() {
		in[name] = f.r.URL.Query().Get(name)
	}
	text := func(names ...string) string {
		for _, n := range names {
			switch v := in[n].(type) {
			case string:
				if v != "" {
					return v
				}
			case []any:
				return strings.Join(texts(v), " ")
			}
		}
		return ""
	}
	v := url.Values{}
	parameters, _ := in["parameters"].(map[string]any)
	for name, value := range parameters {
		if s, ok := value.(string); ok {
			v.Set(name, s)
		}
	}
	for name, value := range map[string]string{
		"redirect_uri": text("redirect_uri"), "scope": text("scope"), "nonce": text("nonce"), "state": text("state"),
		"code_challenge": text("challenge", "code_challenge"), "code_challenge_method": text("challenge_method", "code_challenge_method"),
	} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if v.Get("code_challenge") != "" && v.Get("code_challenge_method") == "" {
		v.Set("code_challenge_method", "S256")
	}
	q := f.authorizationOf(v)
	if name := text("client", "client_id"); f.e.clients[name] != nil {
		q.client = f.e.clients[name]
	} else {
		q.client = f.e.fixture(name)
	}
	if name := text("user"); name != "" {
		for _, u := range f.e.users {
			if u.fixture == name || u.name == name {
				q.user = u
			}
		}
	}
	r := q.check(f)
	var c *code
	if r == nil {
		c, r = f.grantCode(q)
	}
	a := &answer{Status: http.StatusOK, Body: object{}}
	switch {
	case r != nil && (r.Parameter == "client_id" || r.Parameter == "redirect_uri"):
		return f.refuse(r)
	case r != nil: // told to the client by a redirect, as the authorization endpoint does
		if a = f.redirect(q, url.Values{"error": {r.Code}, "error_description": {r.Description}}); !a.has("Location") {
			return a
		}
		a = &answer{Status: http.StatusOK, Body: object{{Name: "redirect", Value: a.value("Location")}}}
	default:
		a.Body.set("code", c.value)
	}
	a.set("Content-Type", "application/json")
	noStore(a)
	return a
}

// serveValueHook yields a value that the emulator will accept where the contract takes one
// from a hook: {"value": …}.
func (f *flow) serveValueHook() *answer {
	if r := f.checkMethod(); r != nil {
		return f.refuse(r)
	}
	value := f.b.newToken(f, "hook")
	f.e.store.addHook(value)
	a := &answer{Status: http.StatusOK, Body: object{{Name: "value", Value: value}}}
	a.set("Content-Type", "application/json")
	noStore(a)
	return a
}
