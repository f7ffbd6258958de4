package contract

import (
	"fmt"
	"mime"
	"slices"
	"strings"
)

// Feature is something that a contract asks of whoever acts on it, so that a
// program can refuse by name what it cannot do.
type Feature struct {
	Name  string // one of FeatureNames
	Where string // grants.offline.type
	File  string
	Line  int
}

func (f Feature) String() string {
	return fmt.Sprintf("%s (%s, %s:%d)", f.Name, f.Where, f.File, f.Line)
}

// FeatureNames are all features there are.
func FeatureNames() []string { return slices.Clone(featureNames) }

var featureNames = []string{
	"authorization endpoint", "authorization_code", "basic authentication", "browser origin", "client assertion", "client certificate",
	"client_credentials", "client_secret_jwt", "code hook", "device_code", "form response", "get request", "header parameters", "hooks",
	"introspection", "json request", "jwks", "jwt authentication", "jwt_bearer", "live tokens", "login", "metadata", "multipart request",
	"no authentication", "own endpoint", "parameter lists", "password", "post authentication", "private ca", "put or patch request",
	"query parameters", "rate limit", "refresh_token", "resource", "response headers", "revocation", "rfc9068 tokens", "saml2_bearer",
	"scoped resource", "several content types", "several methods", "slo", "throttled body hint", "tls authentication", "token_exchange",
	"unspecified assertion", "vendor grant",
}

// Features lists what the contract uses, once each, with the first place that does.
func (c *Contract) Features() []Feature {
	u := &uses{root: c.tree}
	c.endpointFeatures(u)
	for i := range c.Grants {
		c.grantFeatures(u, &c.Grants[i])
	}
	clients := append([]Client{c.Client}, c.Clients...)
	for _, cl := range clients {
		path := []string{"client"}
		if cl.Name != "" {
			path = []string{"clients", cl.Name}
		}
		for _, m := range cl.Methods() {
			u.auth(m, cl, append(path, "auth")...)
		}
		if cl.Assertion != nil && cl.Assertion.Unspecified {
			u.add("unspecified assertion", append(path, "assertion")...)
		}
	}
	for _, l := range c.RateLimits {
		if l.Documented {
			u.add("rate limit", "rate_limit")
		}
		if l.RetryHint != nil && l.RetryHint.In == "body" {
			u.add("throttled body hint", "rate_limit", "retry_hint")
		}
	}
	if len(c.Hooks) > 0 {
		u.add("hooks", "hooks")
	}
	if len(c.SLOs) > 0 {
		u.add("slo", "slo")
	}
	if len(c.Headers) > 0 {
		u.add("response headers", "headers")
	}
	if c.Token.Live > 0 {
		u.add("live tokens", "token", "live")
	}
	if c.Token.Profile != "" {
		u.add("rfc9068 tokens", "token", "profile")
	}
	return u.found
}

type uses struct {
	root  *node
	found []Feature
}

func (u *uses) add(name string, path ...string) {
	if slices.ContainsFunc(u.found, func(f Feature) bool { return f.Name == name }) {
		return
	}
	f := Feature{Name: name, Where: dotted(path)}
	at := u.root
	for _, p := range path {
		if k := at.keyOf(p); k != nil {
			f.File, f.Line = k.file.name, k.line
		}
		at = at.get(p)
	}
	u.found = append(u.found, f)
}

func (u *uses) auth(method string, cl Client, path ...string) {
	switch method {
	case "basic", "post", "jwt", "tls":
		u.add(method+" authentication", path...)
		if method == "jwt" && cl.Assertion != nil && strings.HasPrefix(cl.Assertion.Alg, "HS") {
			u.add("client_secret_jwt", path...)
		}
	case "none":
		u.add("no authentication", path...)
	}
}

func (c *Contract) endpointFeatures(u *uses) {
	u.endpoint(c.Endpoint, "endpoint")
	if c.Endpoint.BrowserOrigin != "" {
		u.add("browser origin", "endpoint", "browser_origin")
	}
	if c.AuthorizationEndpoint != nil {
		u.add("authorization endpoint", "authorization_endpoint")
	}
	if c.Metadata != nil && c.Metadata.Issuer != "" {
		u.add("metadata", "metadata", "issuer")
	}
	if c.Metadata != nil && c.Metadata.JWKS != "" {
		u.add("jwks", "metadata", "jwks")
	}
	if c.Revocation != nil {
		u.add("revocation", "revocation")
	}
	if c.Introspection != nil {
		u.add("introspection", "introspection")
	}
	if c.Resource != nil {
		u.add("resource", "resource")
		if c.Resource.Scoped != nil {
			u.add("scoped resource", "resource", "scoped")
		}
	}
	if c.Login != nil {
		u.add("login", "login")
	}
	if c.Transport.CAFile != "" {
		u.add("private ca", "transport", "ca_file")
	}
	if c.Transport.CertFile != "" {
		u.add("client certificate", "transport", "cert_file")
	}
}

func (u *uses) endpoint(e Endpoint, path ...string) {
	at := func(k string) []string { return append(slices.Clone(path), k) }
	if len(e.Method) > 1 {
		u.add("several methods", at("method")...)
	}
	for _, m := range e.Method {
		switch m {
		case "GET":
			u.add("get request", at("method")...)
		case "PUT", "PATCH":
			u.add("put or patch request", at("method")...)
		}
	}
	if len(e.ContentType) > 1 {
		u.add("several content types", at("content_type")...)
	}
	for _, t := range e.ContentType {
		switch m, _, _ := mime.ParseMediaType(t); m {
		case "application/json":
			u.add("json request", at("content_type")...)
		case "multipart/form-data":
			u.add("multipart request", at("content_type")...)
		}
	}
	u.parameters(e.Parameters, at("parameters")...)
}

func (u *uses) parameters(fields []Field, path ...string) {
	for _, f := range fields {
		at := append(slices.Clone(path), f.Name)
		switch f.In {
		case "header":
			u.add("header parameters", at...)
		case "query":
			u.add("query parameters", at...)
		}
		if v, ok := f.Value.([]any); ok && len(v) > 0 {
			u.add("parameter lists", at...)
		}
		if w, _, _ := f.Source(""); w == "client.assertion" {
			u.add("client assertion", at...)
		}
	}
}

func (c *Contract) grantFeatures(u *uses, g *Grant) {
	path := []string{"grants", g.Key}
	at := func(k ...string) []string { return append(slices.Clone(path), k...) }
	kind := "vendor grant"
	switch g.Type {
	case GrantClientCredentials, GrantPassword, GrantAuthorizationCode, GrantRefreshToken:
		kind = g.Type
	default:
		for k, urn := range grantURNs {
			if urn == g.Type {
				kind = k
			}
		}
	}
	u.add(kind, path...)
	if g.Code != "" {
		u.add("code hook", at("code")...)
	}
	if g.Endpoint != nil {
		u.add("own endpoint", at("endpoint")...)
		u.endpoint(*g.Endpoint, at("endpoint")...)
	}
	if m, _, _ := mime.ParseMediaType(g.Response.ContentType); m == "application/x-www-form-urlencoded" {
		u.add("form response", at("response", "content_type")...)
	}
	client, _ := c.ClientNamed(g.Client)
	if client == nil {
		client = &c.Client
	}
	for _, m := range g.Auth {
		u.auth(m, *client, at("auth")...)
	}
	if g.Assertion != nil && g.Assertion.Unspecified {
		u.add("unspecified assertion", at("assertion")...)
	}
	u.parameters(g.Parameters, at("parameters")...)
}
