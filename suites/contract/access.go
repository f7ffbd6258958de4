package contract

import (
	"slices"
	"strings"
)

// Grant finds a grant by its key.
func (c *Contract) Grant(key string) (*Grant, bool) {
	for i := range c.Grants {
		if c.Grants[i].Key == key {
			return &c.Grants[i], true
		}
	}
	return nil, false
}

// GrantOfType finds the first grant with that grant_type value that is not switched off.
func (c *Contract) GrantOfType(grantType string) (*Grant, bool) {
	for i := range c.Grants {
		if c.Grants[i].Type == grantType && c.Grants[i].Enabled != "false" {
			return &c.Grants[i], true
		}
	}
	return nil, false
}

// ClientNamed finds a client fixture; "" is the primary client.
func (c *Contract) ClientNamed(name string) (*Client, bool) {
	if name == "" {
		return &c.Client, true
	}
	for i := range c.Clients {
		if c.Clients[i].Name == name {
			return &c.Clients[i], true
		}
	}
	return nil, false
}

// UserNamed finds a user fixture; "" is the primary user.
func (c *Contract) UserNamed(name string) (*User, bool) {
	if name == "" {
		return c.User, c.User != nil
	}
	for i := range c.Users {
		if c.Users[i].Name == name {
			return &c.Users[i], true
		}
	}
	return nil, false
}

// AuthMethods are the methods of a grant in order of preference: its own, else
// its client's, else what the client's credentials suggest.
func (c *Contract) AuthMethods(g *Grant) []string {
	if g != nil && len(g.Auth) > 0 {
		return g.Auth
	}
	client := &c.Client
	if g != nil {
		if named, ok := c.ClientNamed(g.Client); ok {
			client = named
		}
	}
	return client.Methods()
}

// Methods are the documented methods of a client, or what its credentials suggest.
func (c *Client) Methods() []string {
	switch {
	case len(c.Auth) > 0:
		return c.Auth
	case c.Secret != "":
		return []string{"basic"}
	case c.KeyFile != "":
		return []string{"jwt"}
	}
	return []string{"none"}
}

// Public tells whether the client cannot keep a secret (RFC 6749 section 2.1).
func (c *Client) Public() bool {
	if c.Type != "" {
		return c.Type == "public"
	}
	return c.Secret == "" && c.KeyFile == "" && (c.Assertion == nil || c.Assertion.KeyFile == "") && !slices.Contains(c.Auth, "tls")
}

// TokenEndpoint is the endpoint as it holds for a grant: what the grant gives, over the contract's.
func (c *Contract) TokenEndpoint(g *Grant) Endpoint {
	e := c.Endpoint
	if g == nil || g.Endpoint == nil {
		return e
	}
	if g.Endpoint.BaseURL != "" {
		e.BaseURL = g.Endpoint.BaseURL
	}
	if g.Endpoint.Path != "" {
		e.Path = g.Endpoint.Path
	}
	if len(g.Endpoint.Method) > 0 {
		e.Method = g.Endpoint.Method
	}
	if len(g.Endpoint.ContentType) > 0 {
		e.ContentType = g.Endpoint.ContentType
	}
	e.Parameters = overlay(e.Parameters, g.Endpoint.Parameters)
	return e
}

// overlay replaces fields by name and appends the rest.
func overlay(base, over []Field) []Field {
	out := slices.Clone(base)
	for _, f := range over {
		if i := slices.IndexFunc(out, func(o Field) bool { return o.Name == f.Name }); i >= 0 {
			out[i] = f
		} else {
			out = append(out, f)
		}
	}
	return out
}

// RequestParameters are all parameters of a grant: those of the endpoint first.
// A grant's own parameter replaces the endpoint's of the same name.
func (c *Contract) RequestParameters(g *Grant) []Field {
	return overlay(c.TokenEndpoint(g).Parameters, g.Parameters)
}

// RowFields are the members of an answer to which an error row applies: those
// of every error body with the row's own over them.
func (c *Contract) RowFields(row ErrorRow) []Field {
	kept := slices.DeleteFunc(slices.Clone(c.ErrorFields), func(f Field) bool { return slices.Contains(row.Dropped, f.Name) })
	return overlay(kept, row.Fields)
}

// Part is the part a response or error member plays: `as`, or its own last name
// where that is a standard one. Among several that play a part by name, the
// outermost counts: see FieldFor.
func (f Field) Part() string {
	if f.As != "" {
		return f.As
	}
	if len(f.Path) > 0 && slices.Contains(parts, f.Path[len(f.Path)-1]) {
		return f.Path[len(f.Path)-1]
	}
	return ""
}

// FieldFor finds the member that plays a part: one that says so with `as`, else
// the outermost of those that have the standard name.
func FieldFor(fields []Field, part string) (Field, bool) {
	best := -1
	for i, f := range fields {
		if f.As == part {
			return f, true
		}
		if f.As == "" && f.Part() == part && (best < 0 || len(f.Path) < len(fields[best].Path)) {
			best = i
		}
	}
	if best < 0 {
		return Field{}, false
	}
	return fields[best], true
}

// FieldFor finds the member of the grant's answer that plays a part.
func (g *Grant) FieldFor(part string) (Field, bool) { return FieldFor(g.Response.Fields, part) }

// standardSource maps the standard parameter names to where their values come from.
var standardSource = map[string]string{
	"client_id": "client.id", "client_secret": "client.secret", "client_assertion": "client.assertion", "redirect_uri": "client.redirect_uri",
	"username": "user.name", "password": "user.password", "scope": "scopes.request", "code": "code", "code_verifier": "code_verifier",
	"assertion": "assertion", "refresh_token": "refresh_token",
}

// ClientAssertionType is the standard's value of client_assertion_type (RFC 7523 section 2.2).
const ClientAssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Source tells where the value of a request parameter comes from: a source word
// ("client.id", "hook.NAME", …) or, if that is empty, a literal. ok is false for
// a parameter that has no value.
func (f Field) Source(grantType string) (word string, literal any, ok bool) {
	switch v := f.Value.(type) {
	case nil:
	case string:
		if isSource(v) && !f.fromReference {
			return v, nil, true
		}
		return "", v, v != ""
	default:
		return "", v, true
	}
	if f.Const != nil {
		return "", f.Const, true
	}
	if s, ok := standardSource[f.Name]; ok {
		return s, nil, true
	}
	switch f.Name {
	case "grant_type":
		return "", grantType, grantType != ""
	case "client_assertion_type":
		return "", ClientAssertionType, true
	}
	return "", nil, false
}

// Role is the standard name of the parameter that a field stands for, whatever
// the vendor calls it: client_key with value client.id is client_id.
func (f Field) Role() string {
	if v, ok := f.Value.(string); ok && !f.fromReference {
		for name, source := range standardSource {
			if source == v {
				return name
			}
		}
	}
	return f.Name
}

// unfed finds the first parameter that a grant cannot do without and that has
// no value, and the source it lacks.
func (c *Contract) unfed(g *Grant) (Field, string) {
	if g.Documented == "purpose_only" && !g.ParametersGiven && g.Type != GrantPassword {
		return Field{}, ""
	}
	for _, f := range c.RequestParameters(g) {
		if f.Required.Mode != "true" && f.Required.Mode != "implied" && !(f.Origin == "standard" && f.Required.Mode == "") {
			continue
		}
		word, _, ok := f.Source(g.Type)
		if !ok {
			return f, "value"
		}
		if word != "" && !c.has(word, g) {
			return f, word
		}
	}
	return Field{}, ""
}

// has tells whether the contract can feed a source word.
func (c *Contract) has(word string, g *Grant) bool {
	client := &c.Client
	if named, ok := c.ClientNamed(g.Client); ok {
		client = named
	}
	switch word {
	case "client.id":
		return client.ID != ""
	case "client.secret":
		return client.Secret != ""
	case "client.redirect_uri":
		return client.RedirectURI != "" || c.Client.RedirectURI != ""
	case "client.assertion":
		return client.KeyFile != "" || client.Assertion != nil
	case "user.name", "user.password":
		return c.User != nil || len(c.Users) > 0
	case "scopes.request":
		return len(c.Scopes.Request) > 0
	case "assertion":
		return g.Assertion != nil || client.Assertion != nil
	}
	if name, ok := strings.CutPrefix(word, "hook."); ok {
		return c.Hooks[name] != ""
	}
	return true // code, code_verifier, refresh_token, access_token, uuid: made by the run
}
