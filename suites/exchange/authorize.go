package exchange

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"grantcheck/suites/contract"
)

// An Authorization is an authorization request about to be made (RFC 6749 §4.1.1). Change its
// fields before [Target.Authorize].
type Authorization struct {
	Grant  *contract.Grant
	Client *contract.Client
	User   *contract.User // who logs in, where the harness does so itself

	RedirectURI string   // "": none is sent
	Scope       []string // empty: none is sent
	State       string
	Nonce       string // "": none is sent

	// Verifier is the PKCE code_verifier, "" without PKCE. Method is S256 or plain. Challenge, if
	// not empty, is sent in place of the one that goes with Verifier.
	Verifier, Method, Challenge string

	Parameters map[string]string // further ones, those of the contract among them

	endpoint string
	joiner   string
}

// Authorization prepares the documented authorization request of a code grant; a nil client is the
// grant's fixture. PKCE is used where the contract documents it or lists code_verifier, and by
// every public client.
func (t *Target) Authorization(grant *contract.Grant, client *contract.Client) (Authorization, error) {
	if client == nil {
		client = t.ClientOf(grant)
	}
	a := Authorization{
		Grant: grant, Client: client, User: t.Contract.User, State: t.Nonce(), Scope: t.Contract.Scopes.Request,
		RedirectURI: cmp.Or(client.RedirectURI, t.Contract.Client.RedirectURI), Parameters: map[string]string{},
		endpoint: t.AuthorizationURL(), joiner: " ",
	}
	if t.Contract.Login != nil && t.Contract.Login.User != "" {
		a.User = t.UserNamed(t.Contract.Login.User)
	}
	for _, f := range grant.Parameters {
		if f.Role() == Scope {
			a.joiner = listSeparator(f.List)
		}
	}
	// A public client cannot do without (RFC 9700 §2.1.1), and a server unaware of PKCE ignores it.
	pkce := client.Public() || grant.ParametersGiven && slices.ContainsFunc(grant.Parameters, func(f contract.Field) bool { return f.Role() == "code_verifier" })
	if e := t.Contract.AuthorizationEndpoint; e != nil {
		switch e.PKCE {
		case "required", "optional":
			pkce = true
		case "unsupported":
			pkce = false
		}
		if e.ScopeParameter == "body" {
			a.Scope = nil
		}
		src := sources{t: t, grant: grant, client: client}
		for _, f := range e.Parameters {
			if f.Name == Scope {
				a.joiner = listSeparator(f.List)
				continue
			}
			word, fixed, ok := f.Source("")
			if !ok {
				continue
			}
			if word != "" {
				v, err := src.from(word, f)
				if err != nil {
					return a, fmt.Errorf("authorization parameter %s: %w", f.Name, err)
				}
				fixed = v
			}
			if fixed != nil {
				a.Parameters[f.Name], _ = literal(fixed)
			}
		}
	}
	if pkce {
		a.UsePKCE(t.Verifier(43))
	}
	if slices.Contains(a.Scope, "openid") {
		a.Nonce = t.Nonce()
	}
	return a, nil
}

// UsePKCE sends the S256 challenge of verifier.
func (a *Authorization) UsePKCE(verifier string) {
	a.Verifier, a.Method, a.Challenge = verifier, "S256", ""
}

// NoPKCE sends no challenge. A verifier for the exchange can be set on the token request.
func (a *Authorization) NoPKCE() { a.Verifier, a.Method, a.Challenge = "", "", "" }

// Verifier returns a random code_verifier of n characters (RFC 7636 §4.1: 43 to 128), drawn from
// all unreserved characters.
func (t *Target) Verifier(n int) string {
	return t.random(n, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
}

// S256 returns the code_challenge of a verifier (RFC 7636 §4.2).
func S256(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return segment(sum[:])
}

// query returns the parameters of the request, in order.
func (a Authorization) query() []Param {
	var params []Param
	add := func(name, value string) {
		if value != "" {
			if _, given := a.Parameters[name]; !given {
				params = append(params, Param{Name: name, Value: value, In: InQuery})
			}
		}
	}
	add("response_type", "code")
	add("client_id", a.Client.ID)
	add("redirect_uri", a.RedirectURI)
	add("scope", strings.Join(a.Scope, a.joiner))
	add("state", a.State)
	if slices.Contains(a.Scope, "openid") {
		add("nonce", a.Nonce) // OpenID Connect's: without openid some servers refuse it
	}
	if a.Method != "" {
		challenge := a.Challenge
		if challenge == "" && a.Method == "plain" {
			challenge = a.Verifier
		} else if challenge == "" {
			challenge = S256(a.Verifier)
		}
		add("code_challenge", challenge)
		add("code_challenge_method", a.Method)
	}
	for _, name := range slices.Sorted(maps.Keys(a.Parameters)) {
		params = append(params, Param{Name: name, Value: a.Parameters[name], In: InQuery})
	}
	return params
}

// URL returns the address to open, "" if the contract has no authorization endpoint.
func (a Authorization) URL() string {
	if a.endpoint == "" {
		return ""
	}
	return Request{url: a.endpoint}.fullURL(a.query())
}

// Granted is what an authorization response brought.
type Granted struct {
	Code, State, Iss string
	Redirect         string // the whole URL, "" when a hook answered the code alone
	Authorization    Authorization
}

// Inputs returns what the token request needs.
func (g Granted) Inputs() Inputs {
	return Inputs{Client: g.Authorization.Client, Code: g.Code, CodeVerifier: g.Authorization.Verifier, RedirectURI: g.Authorization.RedirectURI}
}

// A DeniedError is an authorization response with an error (RFC 6749 §4.1.2.1).
type DeniedError struct{ Code, Description string }

func (e *DeniedError) Error() string {
	text := "the authorization endpoint answered " + Printable(e.Code, 80)
	if e.Description != "" {
		text += ": " + Printable(e.Description, 200)
	}
	return text
}

// A Prompt shows an address to a person and returns the URL that they were sent back to.
type Prompt func(ctx context.Context, address string) (redirect string, err error)

// PromptOn asks on a terminal: it prints the address, opens nothing, and reads one line.
func PromptOn(out io.Writer, in io.Reader) Prompt {
	lines := bufio.NewReader(in)
	return func(ctx context.Context, address string) (string, error) {
		fmt.Fprintf(out, "Open this address, log in, and paste the whole URL that you are sent back to\n(the page itself may not load):\n\n  %s\n\n> ", address)
		type answer struct {
			line string
			err  error
		}
		got := make(chan answer, 1)
		go func() {
			line, err := lines.ReadString('\n')
			got <- answer{strings.TrimSpace(line), err}
		}()
		select {
		case a := <-got:
			if a.line == "" {
				return "", fmt.Errorf("nothing was pasted: %w", cmp.Or(a.err, io.ErrUnexpectedEOF))
			}
			return a.line, nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// Authorize obtains an authorization code: from the grant's hook, else by the contract's login
// walk, else by the prompt of the options, else by asking the authorization endpoint once, which
// helps where it approves by itself. The error is a [*DeniedError] when the endpoint said no, a
// [*NeedError] when there is no way to ask it.
func (t *Target) Authorize(ctx context.Context, a Authorization) (Granted, error) {
	var redirect string
	var err error
	switch {
	case a.Grant.Code != "":
		request, jerr := json.Marshal(a.describe())
		if jerr != nil {
			return Granted{}, jerr
		}
		redirect, err = t.RunHook(ctx, a.Grant.Code, request)
		if err == nil && !strings.Contains(redirect, "://") {
			t.Redactor.Learn("code", redirect)
			return Granted{Code: redirect, Authorization: a}, nil
		}
	case a.endpoint == "" && (t.Contract.Login == nil || t.Contract.Login.URL == ""):
		return Granted{}, &NeedError{Grant: a.Grant.Key, Param: "code", Source: "a code hook, or an authorization_endpoint in the contract"}
	case t.Contract.Login != nil:
		redirect, err = t.walk(ctx, a, t.Contract.Login)
	case t.opt.Prompt != nil:
		redirect, err = t.opt.Prompt(ctx, a.URL())
	default:
		redirect, err = t.walk(ctx, a, nil)
	}
	if err != nil {
		return Granted{}, err
	}
	return t.Caught(a, redirect)
}

// describe is what a code hook is told.
func (a Authorization) describe() map[string]any {
	m := map[string]any{"authorization_url": a.URL(), "grant": a.Grant.Key}
	params := map[string]string{}
	for _, p := range a.query() {
		params[p.Name] = p.Value
		if _, extra := a.Parameters[p.Name]; !extra {
			m[p.Name] = p.Value
		}
	}
	m["parameters"] = params
	if a.User != nil {
		m["user"] = a.User.UserName
	}
	return m
}

// Caught reads the URL that an authorization request was answered with, and holds it against the
// request: redirect_uri, state, and iss where the contract names an issuer (RFC 9207 §2.4).
func (t *Target) Caught(a Authorization, redirect string) (Granted, error) {
	u, err := url.Parse(strings.TrimSpace(redirect))
	if err != nil {
		return Granted{}, fmt.Errorf("the redirect is no URL: %s", Printable(t.Redactor.Redact(redirect), 200))
	}
	q := u.Query()
	t.Redactor.Learn("code", q.Get("code"))
	shown := Printable(t.Redactor.Redact(redirect), 300)
	if a.RedirectURI != "" && !sameAddress(redirect, a.RedirectURI) {
		return Granted{}, fmt.Errorf("the redirect went to %s, not to redirect_uri %s", shown, a.RedirectURI)
	}
	if code := q.Get("error"); code != "" {
		return Granted{}, &DeniedError{Code: code, Description: q.Get("error_description")}
	}
	if got := q.Get("state"); got != a.State {
		return Granted{}, fmt.Errorf("the redirect carries state %q, sent was %q: it belongs to another request", Printable(got, 60), a.State)
	}
	if iss := q.Get("iss"); iss != "" && t.Issuer() != "" && iss != t.Issuer() {
		return Granted{}, fmt.Errorf("the redirect names issuer %q, the contract %q", Printable(iss, 120), t.Issuer())
	}
	if q.Get("code") == "" {
		return Granted{}, fmt.Errorf("the redirect carries no code: %s", shown)
	}
	return Granted{Code: q.Get("code"), State: q.Get("state"), Iss: q.Get("iss"), Redirect: redirect, Authorization: a}, nil
}

// sameAddress compares two URLs without query and fragment of the first, and requires the query of
// the registered one to be among the first's.
func sameAddress(got, registered string) bool {
	g, err1 := url.Parse(got)
	r, err2 := url.Parse(registered)
	if err1 != nil || err2 != nil {
		return false
	}
	path := func(u *url.URL) string { return cmp.Or(u.EscapedPath(), "/") }
	if g.Scheme != r.Scheme || g.Host != r.Host || g.Opaque != r.Opaque || path(g) != path(r) {
		return false
	}
	have := g.Query()
	for name, values := range r.Query() {
		if !slices.Equal(have[name], values) {
			return false
		}
	}
	return true
}
