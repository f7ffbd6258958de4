package emulator

import (
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"grantcheck/suites/contract"
)

// bind replaces the references of the contract by generated values, and every address by one of ours.
func (e *Emulator) bind() error {
	src := e.opt.Contract
	e.env = map[string]string{}
	e.operator = map[string]string{}
	for _, ref := range src.References() {
		v, known := e.env[ref.Name]
		if !known {
			var err error
			if v, err = e.value(src, ref.Where); err != nil {
				return err
			}
			e.env[ref.Name] = v
		}
		if rest, ok := strings.CutSuffix(ref.Where, ".value"); ok && strings.Contains(rest, "parameters.") {
			e.operator[rest[strings.LastIndex(rest, "parameters.")+len("parameters."):]] = v
		}
	}
	var enabled []string
	for _, g := range src.Grants {
		enabled = append(enabled, g.Key)
	}
	bound, _, err := src.Bind(func(name string) (string, bool) { v, ok := e.env[name]; return v, ok }, contract.BindOptions{Enabled: enabled})
	if err != nil {
		return fmt.Errorf("emulator: %w", err)
	}
	e.bound = bound
	for _, edition := range []string{"oauth20", bound.Edition, e.opt.Edition} {
		if edition != "" {
			e.edition = edition
		}
	}
	bound.Edition = e.edition
	e.rebase(bound)
	e.fillIn(bound)
	return nil
}

// refer brings the values of references up to date with what setups have changed.
func (e *Emulator) refer(c *contract.Contract) {
	now := map[string]string{"client.id": c.Client.ID, "client.secret": c.Client.Secret, "client.redirect_uri": c.Client.RedirectURI}
	if c.User != nil {
		now["user.name"], now["user.password"] = c.User.UserName, c.User.Password
	}
	if c.Metadata != nil {
		now["metadata.issuer"] = c.Metadata.Issuer
	}
	for _, ref := range e.opt.Contract.References() {
		if v := now[ref.Where]; v != "" {
			e.env[ref.Name] = v
		}
	}
}

// value makes up the value of a reference from where it stands.
func (e *Emulator) value(c *contract.Contract, where string) (string, error) {
	parts := strings.Split(where, ".")
	last := parts[len(parts)-1]
	switch {
	case where == "endpoint.base_url" && strings.HasPrefix(c.Endpoint.BaseURL, "${") && strings.Count(c.Endpoint.BaseURL, "}") == 1 && strings.HasSuffix(c.Endpoint.BaseURL, "}"):
		return e.base, nil
	case where == "endpoint.path" && strings.HasPrefix(c.Endpoint.Path, "${") && strings.HasSuffix(c.Endpoint.Path, "}"):
		return "/oauth/token", nil
	case where == "endpoint.browser_origin":
		return "https://app.example", nil
	case where == "authorization_endpoint.url":
		return e.base + "/authorize", nil
	case where == "login.url":
		return e.base + loginPath, nil
	case where == "metadata.issuer":
		return e.base, nil
	case where == "metadata.jwks":
		return e.base + jwksPath, nil
	case where == "revocation.url":
		return e.base + "/revoke", nil
	case where == "introspection.url":
		return e.base + "/introspect", nil
	case where == "resource.url":
		return e.base + userInfoPath, nil
	case where == "resource.scoped.url":
		return e.base + scopedPath, nil
	case where == "resource.scoped.needs":
		return "write", nil
	case where == "transport.ca_file":
		return e.caFile()
	case strings.HasPrefix(where, "scopes.grantable"):
		return "read write openid profile", nil
	case strings.HasPrefix(where, "scopes.forbidden"):
		return "admin", nil
	case strings.HasPrefix(where, "scopes."):
		return "read", nil
	case last == "key_file" || last == "cert_file":
		return e.keyFile(where, algOf(c, where))
	case last == "kid":
		return "key-1", nil
	case last == "redirect_uri":
		return "https://client.example/callback", nil
	case last == "code":
		return e.base + codeHookPath, nil
	case parts[0] == "hooks":
		return e.base + hookPath + "/" + last, nil
	case last == "id":
		return "client-" + e.made(where)[:12], nil
	case where == "clients.special_secret.secret":
		return specialSecret, nil
	case where == "clients.long_secret.secret":
		return e.longSecret(), nil
	case last == "secret":
		return e.made(where), nil
	case last == "name" && parts[0] == "user", last == "name" && parts[0] == "users":
		return userName(parts[1]), nil
	case last == "password" && parts[len(parts)-2] == "non_ascii":
		return "pässwörd-ÿ-" + e.made(where)[:16], nil
	case last == "password":
		return e.made(where)[:24], nil
	case strings.HasSuffix(where, "claims.iss"):
		return "https://issuer.example", nil
	case strings.HasSuffix(where, "claims.sub"):
		return userName("user"), nil
	case strings.HasSuffix(where, "claims.scope"):
		return "read", nil
	}
	return "demo", nil
}

// specialSecret holds what form encoding changes.
const specialSecret = "a+b%26 c:d/eü-Qz71"

// longSecret has more than the 72 bytes that bcrypt reads.
func (e *Emulator) longSecret() string {
	s := e.made("clients.long_secret.secret")
	return strings.Repeat(s, 1+80/len(s))
}

// userName is the name of a user fixture.
func userName(fixture string) string {
	switch fixture {
	case "second":
		return "bob@example.com"
	case "non_ascii":
		return "zoë.müller@example.com"
	case "sacrificial":
		return "mallory@example.com"
	}
	return "alice@example.com"
}

// algOf is the alg that the contract gives to the assertion whose key file stands at where.
func algOf(c *contract.Contract, where string) string {
	var a *contract.Assertion
	parts := strings.Split(where, ".")
	switch parts[0] {
	case "client":
		a = c.Client.Assertion
	case "clients":
		for i := range c.Clients {
			if c.Clients[i].Name == parts[1] {
				a = c.Clients[i].Assertion
			}
		}
	case "grants":
		for i := range c.Grants {
			if c.Grants[i].Key == parts[1] {
				a = c.Grants[i].Assertion
			}
		}
	}
	if a == nil || a.Alg == "" {
		return "RS256"
	}
	return a.Alg
}

// rebase moves every address of the contract to this emulator, paths kept.
func (e *Emulator) rebase(c *contract.Contract) {
	move := func(s *string) {
		if *s == "" || strings.HasPrefix(*s, e.base) {
			return
		}
		if u, err := url.Parse(*s); err == nil && u.Host != "" {
			*s = e.base + u.EscapedPath()
			if u.RawQuery != "" {
				*s += "?" + u.RawQuery
			}
		}
	}
	c.Endpoint.BaseURL = e.base + pathOf(c.Endpoint.BaseURL)
	for i := range c.Grants {
		if o := c.Grants[i].Endpoint; o != nil && o.BaseURL != "" {
			o.BaseURL = e.base + pathOf(o.BaseURL)
		}
	}
	if a := c.AuthorizationEndpoint; a != nil {
		move(&a.URL)
	}
	if m := c.Metadata; m != nil {
		move(&m.Issuer)
		move(&m.JWKS)
	}
	for _, p := range []*contract.Protected{c.Revocation, c.Introspection} {
		if p != nil {
			move(&p.URL)
		}
	}
	for r := c.Resource; r != nil; r = r.Scoped {
		move(&r.URL)
	}
	if c.Login != nil {
		move(&c.Login.URL)
	}
}

// Env is the value of every reference of the contract, as it is for this emulator.
func (e *Emulator) Env() map[string]string {
	out := make(map[string]string, len(e.env))
	for name, v := range e.env {
		out[name] = v
	}
	return out
}

// PrintEnv writes the environment as shell export lines, by name.
func (e *Emulator) PrintEnv(w io.Writer) error {
	for _, name := range slices.Sorted(maps.Keys(e.env)) {
		if _, err := fmt.Fprintf(w, "export %s='%s'\n", name, strings.ReplaceAll(e.env[name], "'", `'\''`)); err != nil {
			return err
		}
	}
	return nil
}
