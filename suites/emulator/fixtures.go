package emulator

import (
	"slices"
	"time"

	"grantcheck/suites/contract"
)

// own says whether the contract is the operator's own, and no page's: then the emulator
// adds what it can.
func own(c *contract.Contract) bool { return len(c.Page) == 0 && len(c.NotSpecified) == 0 }

// fillIn adds the fixtures that a contract leaves to its operator; to a contract that is
// the operator's own also what no page has left open.
func (e *Emulator) fillIn(c *contract.Contract) {
	mine := own(c)
	if c.Endpoint.Path == "" && pathOf(c.Endpoint.BaseURL) == "" {
		c.Endpoint.Path = "/oauth/token"
	}
	users := slices.ContainsFunc(c.Grants, func(g contract.Grant) bool { return g.Type == passwordGrant })
	for i := range c.Grants {
		g := &c.Grants[i]
		if g.Type == authorizationCode && g.Code == "" {
			g.Code = e.base + codeHookPath
		}
		if g.Type == jwtBearer && g.Assertion == nil {
			g.Assertion = &contract.Assertion{
				Alg: "RS256", Audience: "token_endpoint", Lifetime: time.Minute,
				Claims: []contract.Claim{{Name: "iss", Value: "https://issuer.example"}, {Name: "sub", Value: userName("user")}},
			}
		}
		if g.Type == jwtBearer && g.Assertion.KeyFile == "" && c.Client.KeyFile == "" {
			g.Assertion.KeyFile, _ = e.keyFile("grants."+g.Key+".assertion.key_file", "RS256")
		}
		if g.Type == refreshGrant && mine && !g.GraceGiven && !g.GraceUnlimited {
			g.Grace, g.GraceGiven = 10*time.Second, true
		}
	}
	if users && c.User == nil {
		c.User = &contract.User{UserName: userName("user"), Password: e.made("user.password")[:24]}
	}
	if c.User != nil {
		for _, name := range []string{"second", "non_ascii", "sacrificial"} {
			if _, ok := c.UserNamed(name); !ok {
				password := e.made("users." + name + ".password")[:24]
				if name == "non_ascii" {
					password = "pässwörd-ÿ-" + password[:16]
				}
				c.Users = append(c.Users, contract.User{Name: name, UserName: userName(name), Password: password})
			}
		}
	}
	e.fillClients(c, mine)
	if mine {
		if len(c.Scopes.Grantable) == 0 {
			c.Scopes.Grantable, c.Scopes.Forbidden = []string{"read", "write", "openid", "profile"}, []string{"admin"}
			if len(c.Scopes.Request) == 0 {
				c.Scopes.Request = []string{"read"}
			}
		}
		if len(c.Scopes.Default) == 0 {
			c.Scopes.Default = []string{"read"}
		}
		if c.Metadata == nil {
			c.Metadata = &contract.Metadata{Issuer: e.base, JWKS: e.base + jwksPath}
		}
		if c.AuthorizationEndpoint == nil {
			c.AuthorizationEndpoint = &contract.AuthorizationEndpoint{URL: e.base + "/authorize"}
		}
		if c.AuthorizationEndpoint.PKCE == "" {
			c.AuthorizationEndpoint.PKCE = "optional"
		}
		if c.Revocation == nil {
			c.Revocation = &contract.Protected{URL: e.base + "/revoke"}
		}
		if c.Introspection == nil {
			c.Introspection = &contract.Protected{URL: e.base + "/introspect"}
		}
		if c.Endpoint.BrowserOrigin == "" {
			c.Endpoint.BrowserOrigin = "https://app.example"
		}
		if c.Token.Profile == "" && !e.opt.Fast {
			c.Token.Profile = "rfc9068"
		}
		if c.Token.Use == "" {
			c.Token.Use = "bearer_header"
		}
		if c.Client.Secret != "" && c.Client.SecretBy == "" {
			c.Client.SecretBy = "server"
		}
		if e.edition != "oauth20" && !e.behaviour.offersPassword { // RFC 9700 section 2.4
			c.Grants = withoutPassword(c.Grants)
		}
	} else if len(c.Scopes.Grantable) == 0 && len(c.Scopes.Request) == 0 && takesScope(c) {
		c.Scopes.Grantable, c.Scopes.Forbidden = []string{"read", "write", "openid"}, []string{"admin"}
	}
	if e.edition != "oauth20" && !mine && e.issuesCodes(c) {
		// From RFC 9700 on, public clients have to use PKCE here: the harness has to know.
		if c.AuthorizationEndpoint == nil {
			c.AuthorizationEndpoint = &contract.AuthorizationEndpoint{URL: e.base + "/authorize"}
		}
		if c.AuthorizationEndpoint.PKCE == "" {
			c.AuthorizationEndpoint.PKCE = "optional"
		}
	}
	if c.Resource == nil && c.Token.Use == "bearer_header" {
		c.Resource = &contract.Resource{URL: e.base + resourcePath}
	}
	if r := c.Resource; r != nil {
		if pathOf(r.URL) == userInfoPath {
			r.UserInfo = true
		}
		if r.Scoped == nil {
			r.Scoped = &contract.Resource{URL: e.base + scopedPath, Needs: "admin"}
		}
	}
	if e.certificate != nil {
		c.Transport.CAFile, _ = e.caFile()
	}
}

func withoutPassword(grants []contract.Grant) []contract.Grant {
	return slices.DeleteFunc(grants, func(g contract.Grant) bool { return g.Type == passwordGrant })
}

// takesScope says whether the page documents a scope parameter.
func takesScope(c *contract.Contract) bool {
	for _, g := range c.Grants {
		for _, p := range g.Parameters {
			if p.Role() == "scope" {
				return true
			}
		}
	}
	return false
}

// fillClients adds the client fixtures that rules ask for.
func (e *Emulator) fillClients(c *contract.Contract, mine bool) {
	if c.Client.RedirectURI == "" && e.issuesCodes(c) {
		c.Client.RedirectURI = "https://client.example/callback"
	}
	methods := slices.DeleteFunc(slices.Clone(c.Client.Methods()), func(m string) bool { return m != "basic" && m != "post" })
	if len(methods) == 0 {
		methods = []string{"basic"}
	}
	fixtures := []contract.Client{
		{Name: "second", Secret: e.made("clients.second.secret"), Auth: methods},
		{Name: "public", Type: "public", Auth: []string{"none"}},
		{Name: "no_grant", Secret: e.made("clients.no_grant.secret"), Auth: methods},
		{Name: "special_secret", Secret: specialSecret, Auth: methods},
		{Name: "long_secret", Secret: e.longSecret(), Auth: methods},
		{Name: "sacrificial", Secret: e.made("clients.sacrificial.secret"), Auth: methods},
	}
	if c.Client.Secret == "" && mine && !c.Client.Public() {
		fixtures = nil
	}
	for _, f := range fixtures {
		if _, ok := c.ClientNamed(f.Name); ok {
			continue
		}
		f.ID = "client-" + e.made("clients." + f.Name + ".id")[:12]
		if f.Name != "no_grant" {
			f.RedirectURI = c.Client.RedirectURI
		}
		c.Clients = append(c.Clients, f)
	}
	if c.Client.Assertion != nil && mine { // a second client with a key of its own
		if second, ok := c.ClientNamed("second"); ok && second.KeyFile == "" {
			second.KeyFile, _ = e.keyFile("clients.second.key_file", c.Client.Assertion.Alg)
			second.Auth = append(slices.Clone(second.Auth), "jwt")
			a := *c.Client.Assertion
			a.KeyFile = ""
			second.Assertion = &a
		}
	}
	all := []*contract.Client{&c.Client}
	for i := range c.Clients {
		all = append(all, &c.Clients[i])
	}
	for _, cl := range all {
		if cl.RedirectURI == "" && cl.Name != "no_grant" {
			cl.RedirectURI = c.Client.RedirectURI
		}
		if a := cl.Assertion; slices.Contains(cl.Auth, "jwt") && (a == nil || a.Unspecified) {
			cl.Assertion = &contract.Assertion{Alg: "RS256", Audience: "token_endpoint", Lifetime: time.Minute}
		}
	}
}

func (e *Emulator) issuesCodes(c *contract.Contract) bool {
	return slices.ContainsFunc(c.Grants, func(g contract.Grant) bool { return g.Type == authorizationCode })
}
