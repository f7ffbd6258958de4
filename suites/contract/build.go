package contract

import (
	"strings"
	"time"
)

// build turns a checked tree into the model. It is lenient: what the checker
// has refused is left at its zero value.
func build(n *node) *Contract {
	c := &Contract{
		Version:       int(n.get("contract").int64()),
		Name:          n.get("name").str(),
		Title:         n.get("title").str(),
		Extends:       n.get("extends").strs(),
		Abstract:      n.get("abstract").bool(),
		Edition:       n.get("edition").str(),
		Verdicts:      n.get("verdicts").strs(),
		Page:          n.get("page").strs(),
		Endpoint:      buildEndpoint(n.get("endpoint")),
		Client:        buildClient("", n.get("client")),
		Scopes:        buildScopes(n.get("scopes")),
		ErrorFields:   buildFields(n.get("error_fields")),
		Token:         buildToken(n.get("token")),
		RateLimits:    buildRateLimits(n.get("rate_limit")),
		Safety:        buildSafety(n.get("safety")),
		ClockSkew:     n.get("clock_skew").duration(),
		NotSpecified:  n.get("not_specified").strs(),
		Transport:     Transport{TLS: n.at("transport", "tls").str(), CAFile: n.at("transport", "ca_file").str(), CertFile: n.at("transport", "cert_file").str(), KeyFile: n.at("transport", "key_file").str()},
		Revocation:    buildProtected(n, "revocation"),
		Introspection: buildProtected(n, "introspection"),
		Resource:      buildResource(n.get("resource")),
	}
	if c.Edition == "" {
		c.Edition = editions[0]
	}
	if n.get("verdicts") == nil {
		c.Verdicts = []string{"documented", "standard"}
	}
	if n.get("clock_skew") == nil {
		c.ClockSkew = 2 * time.Minute
	}
	if len(c.Endpoint.Method) == 0 {
		c.Endpoint.Method = []string{"POST"}
	}
	if len(c.Endpoint.ContentType) == 0 {
		c.Endpoint.ContentType = requestTypes[:1:1]
	}
	if a := n.get("authorization_endpoint"); a != nil {
		c.AuthorizationEndpoint = &AuthorizationEndpoint{
			Path: a.get("path").str(), URL: a.get("url").str(),
			ScopeParameter: a.get("scope_parameter").str(), Parameters: buildFields(a.get("parameters")), PKCE: a.get("pkce").str(),
		}
	}
	if m := n.get("metadata"); m.get("issuer").str()+m.get("jwks").str() != "" {
		c.Metadata = &Metadata{Issuer: m.get("issuer").str(), JWKS: m.get("jwks").str()}
	}
	if l := n.get("login"); l != nil {
		c.Login = &Login{
			URL: l.get("url").str(), User: l.get("user").str(), Fields: l.get("fields").stringMap(),
			Consent: l.get("consent").str(), MaxSteps: int(l.get("max_steps").int64()),
		}
		if l.get("max_steps") == nil {
			c.Login.MaxSteps = 10
		}
	}
	for _, e := range n.get("clients").pairs() {
		fixture := buildClient(e.key.text, e.val)
		if fixture.RedirectURI == "" {
			fixture.RedirectURI = c.Client.RedirectURI
		}
		c.Clients = append(c.Clients, fixture)
	}
	if u := n.get("user"); u != nil {
		c.User = buildUser("", u)
	}
	for _, e := range n.get("users").pairs() {
		c.Users = append(c.Users, *buildUser(e.key.text, e.val))
	}
	for _, e := range n.get("grants").pairs() {
		c.Grants = append(c.Grants, buildGrant(e.key.text, e.val))
	}
	c.Hooks = n.get("hooks").stringMap()
	for _, r := range n.get("errors").list() {
		row := ErrorRow{
			When: r.get("when").strs(), Status: r.get("status").strs(), Code: r.get("code").values(),
			Grants: r.get("grants").strs(), Parameters: r.get("parameters").strs(),
			ContentType: r.get("content_type").str(), Meaning: r.get("meaning").str(),
		}
		for _, e := range r.get("fields").pairs() {
			switch e.val.kind {
			case null:
				row.Dropped = append(row.Dropped, e.key.text)
			case mapping:
				row.Fields = append(row.Fields, buildField(e.key.text, e.val))
			default:
				row.Fields = append(row.Fields, Field{Name: e.key.text, Path: splitPath(e.key.text), Const: e.val.value()})
			}
		}
		c.Errors = append(c.Errors, row)
	}
	for _, e := range n.get("headers").pairs() {
		h := HeaderField{Field: buildField(e.key.text, e.val)}
		for _, s := range e.val.get("status").each() {
			h.Status = append(h.Status, int(s.int64()))
		}
		c.Headers = append(c.Headers, h)
	}
	for _, s := range n.get("slo").list() {
		o := SLO{
			Metric: s.get("metric").str(), Percentile: s.get("percentile").float(), Max: s.get("max").duration(),
			For: s.get("for").duration(), Count429As: s.get("count_429_as").str(),
		}
		o.Min, _ = parseShare(s.get("min").str())
		o.Rate, _ = parseRate(s.get("rate").str())
		c.SLOs = append(c.SLOs, o)
	}
	for _, d := range n.get("deviations").list() {
		c.Deviations = append(c.Deviations, Deviation{
			Rules: d.get("rules").strs(), Documented: buildOutcome(d.get("documented")),
			Standard: buildOutcome(d.get("standard")), Mode: d.get("mode").str(), Reason: d.get("reason").str(),
		})
	}
	for _, w := range n.get("waivers").list() {
		expires, _ := time.Parse(time.DateOnly, w.get("expires").str())
		c.Waivers = append(c.Waivers, Waiver{Rule: w.get("rule").str(), Reason: w.get("reason").str(), Expires: expires, Owner: w.get("owner").str()})
	}
	return c
}

func buildEndpoint(n *node) Endpoint {
	return Endpoint{
		BaseURL: n.get("base_url").str(), Path: n.get("path").str(), Method: n.get("method").strs(),
		ContentType: n.get("content_type").strs(), Parameters: buildFields(n.get("parameters")), BrowserOrigin: n.get("browser_origin").str(),
	}
}

func buildProtected(root *node, name string) *Protected {
	n := root.get(name)
	if n == nil {
		return nil
	}
	p := &Protected{URL: n.get("url").str()}
	switch c := n.get("client"); {
	case c == nil:
	case c.kind == mapping:
		client := buildClient("", c)
		p.Client = &client
	case c.text != "":
		if fixture := root.at("clients", c.text); fixture != nil {
			client := buildClient(c.text, fixture)
			p.Client = &client
		}
	}
	return p
}

func buildResource(n *node) *Resource {
	if n == nil {
		return nil
	}
	return &Resource{
		URL: n.get("url").str(), Expect: int(n.get("expect").int64()), UserInfo: n.get("userinfo").bool(),
		Needs: n.get("needs").str(), Scoped: buildResource(n.get("scoped")),
	}
}

func buildClient(name string, n *node) Client {
	return Client{
		Name: name, Type: n.get("type").str(), ID: n.get("id").str(), Secret: n.get("secret").str(), KeyFile: n.get("key_file").str(),
		Auth: n.get("auth").strs(), URLEncoded: n.get("url_encoded").str(), Assertion: buildAssertion(n.get("assertion")),
		RedirectURI: n.get("redirect_uri").str(), SecretBy: n.get("secret_by").str(), When: n.get("when").str(),
	}
}

func buildAssertion(n *node) *Assertion {
	if n == nil {
		return nil
	}
	if n.kind == text {
		return &Assertion{Unspecified: true}
	}
	claims := func(n *node) (out []Claim) {
		for _, e := range n.pairs() {
			out = append(out, Claim{Name: e.key.text, Value: e.val.value(), Drop: e.val.kind == null})
		}
		return out
	}
	return &Assertion{
		Alg: n.get("alg").str(), Kid: n.get("kid").str(), Audience: n.get("audience").str(), Lifetime: n.get("lifetime").duration(),
		KeyFile: n.get("key_file").str(), Claims: claims(n.get("claims")), Header: claims(n.get("header")),
	}
}

func buildUser(name string, n *node) *User {
	return &User{Name: name, UserName: n.get("name").str(), Password: n.get("password").str(), When: n.get("when").str()}
}

func buildScopes(n *node) Scopes {
	s := Scopes{Request: n.get("request").scopes(), Grantable: n.get("grantable").scopes(), Forbidden: n.get("forbidden").scopes()}
	if d := n.get("default"); d != nil && d.kind == list {
		s.Default = d.strs()
	} else {
		s.DefaultText = d.str()
	}
	return s
}

func buildGrant(name string, n *node) Grant {
	g := Grant{
		Key: name, Type: n.get("type").str(), Client: n.get("client").str(), Auth: n.get("auth").strs(),
		Assertion: buildAssertion(n.get("assertion")), Documented: n.get("documented").str(), Enabled: n.get("enabled").str(),
		Code: n.get("code").str(), Rotation: n.get("rotation").str(),
	}
	if g.Type == "" {
		g.Type = name
	}
	if urn, ok := grantURNs[g.Type]; ok {
		g.Type = urn
	}
	if p := n.get("parameters"); p != nil {
		g.ParametersGiven = true
		g.Parameters = buildFields(p)
	} else {
		g.Parameters = standardParameters(g.Type)
	}
	r := n.get("response")
	g.Response = Response{Status: int(r.get("status").int64()), ContentType: r.get("content_type").str(), Fields: buildFields(r.get("fields"))}
	if e := n.get("endpoint"); e != nil {
		endpoint := buildEndpoint(e)
		g.Endpoint = &endpoint
	}
	if g.Documented == "" {
		g.Documented = "full"
	}
	if g.Enabled == "" {
		g.Enabled = "true"
	}
	if w := n.get("grace"); w.str() == "unlimited" {
		g.GraceUnlimited = true
	} else if w != nil {
		g.Grace, g.GraceGiven = w.duration(), true
	}
	return g
}

// standardParameters is the request of a grant whose page lists none: sent, never asserted as documented.
func standardParameters(grant string) []Field {
	f := func(name string) Field { return Field{Name: name, Path: []string{name}, Origin: "standard"} }
	optional := func(name string) Field {
		g := f(name)
		g.Required.Mode = "false"
		return g
	}
	first := f("grant_type")
	first.Const = grant
	switch grant {
	case GrantClientCredentials:
		return []Field{first, optional("scope")}
	case GrantPassword:
		return []Field{first, f("username"), f("password"), optional("scope")}
	case GrantAuthorizationCode:
		return []Field{first, f("code"), optional("redirect_uri"), optional("code_verifier")}
	case GrantRefreshToken:
		return []Field{first, f("refresh_token")}
	case GrantJWTBearer, GrantSAML2Bearer:
		return []Field{first, f("assertion"), optional("scope")}
	case GrantDeviceCode:
		return []Field{first, f("device_code")}
	case GrantTokenExchange:
		return []Field{first, f("subject_token"), f("subject_token_type"), optional("scope")}
	}
	return []Field{first}
}

func buildFields(n *node) (out []Field) {
	for _, e := range n.pairs() {
		if e.val.kind == mapping {
			out = append(out, buildField(e.key.text, e.val))
		}
	}
	return out
}

func buildField(name string, n *node) Field {
	f := Field{
		Name: name, Path: splitPath(name), Type: n.get("type").types(), Required: buildRequired(n.get("required")),
		Const: n.get("const").value(), Enum: n.get("enum").values(), Default: n.get("default").value(), Example: n.get("example").value(),
		Typical: n.get("typical").amount(), Tolerance: 0.1, Min: n.get("min").amount(), Max: n.get("max").amount(), Exact: n.get("exact").bool(),
		Format: n.get("format").str(), ExampleFormat: n.get("example_format").str(), List: n.get("list").str(), In: n.get("in").str(),
		Value: n.get("value").value(), As: n.get("as").str(), Unit: n.get("unit").str(), Origin: n.get("origin").str(),
		OnlyWhen: buildCondition(n.get("only_when")), URLEncoded: n.get("url_encoded").str(), Meaning: n.get("meaning").str(),
	}
	if t := n.get("tolerance"); t != nil {
		f.Tolerance, _ = parseShare(t.str())
	}
	if v := n.get("value"); v != nil {
		f.fromReference = v.resolved
	}
	if l := n.get("listed_as_required"); l != nil {
		b := l.bool()
		f.ListedAsRequired = &b
	}
	return f
}

func buildRequired(n *node) Required {
	switch {
	case n == nil || n.kind == null:
		return Required{}
	case n.kind == mapping:
		return Required{Mode: "conditional", Condition: buildCondition(n)}
	}
	return Required{Mode: n.str()}
}

func buildCondition(n *node) *Condition {
	if n == nil || n.kind != mapping {
		return nil
	}
	c := &Condition{Grants: n.get("grants").strs(), ScopeIncludes: n.get("scope_includes").str(), Client: n.get("client").str(), Auth: n.get("auth").str()}
	if p, ok := n.get("parameter").value().(map[string]any); ok {
		c.Parameter = p
	}
	return c
}

func buildOutcome(n *node) Outcome {
	if n != nil && n.kind == mapping {
		return Outcome{Status: n.get("status").strs(), Code: n.get("code").values(), Text: n.get("text").str()}
	}
	return Outcome{Text: n.str()}
}

func buildToken(n *node) Token {
	t := Token{
		Use: n.get("use").str(), Lifetime: buildLifetime(n.get("lifetime")), RefreshLifetime: buildLifetime(n.get("refresh_lifetime")),
		CodeLifetime: buildLifetime(n.get("code_lifetime")), Profile: n.get("profile").str(), Renewal: n.get("renewal").str(),
		SampleResource: n.get("sample_resource").str(),
	}
	if l := n.get("live"); l != nil && l.kind == mapping {
		t.Live, t.LivePer = int(l.get("max").int64()), l.get("per").str()
	} else {
		t.Live = int(l.int64())
	}
	return t
}

// buildLifetime gives numbers in seconds.
func buildLifetime(n *node) *Field {
	if n == nil || n.kind == null {
		return nil
	}
	f := &Field{Tolerance: 0.1, Unit: "seconds"}
	if n.kind == mapping {
		f.Typical, f.Min, f.Max = n.get("typical").amount(), n.get("min").amount(), n.get("max").amount()
		if t := n.get("tolerance"); t != nil {
			f.Tolerance, _ = parseShare(t.str())
		}
		return f
	}
	if a := n.amount(); a != nil {
		f.Const = *a
	}
	return f
}

func buildRateLimits(n *node) (out []RateLimit) {
	for _, r := range n.each() {
		if r.kind != mapping {
			continue
		}
		l := RateLimit{
			Documented: len(r.entries) > 0, Limit: int(r.get("limit").int64()), Window: r.get("window").duration(),
			Subject: r.get("subject").str(), Grants: r.get("grants").strs(), Counts: r.get("counts").str(), Status: int(r.get("status").int64()),
			Code: r.get("code").value(), RetryHint: buildHint(r.get("retry_hint")), Exclusive: r.get("exclusive").bool(),
		}
		if d := r.get("documented"); d != nil {
			l.Documented = d.bool()
		}
		for _, e := range r.get("headers").pairs() {
			if h := buildHint(e.val); h != nil {
				if l.Headers == nil {
					l.Headers = map[string]Hint{}
				}
				l.Headers[e.key.text] = *h
			}
		}
		out = append(out, l)
	}
	return out
}

func buildHint(n *node) *Hint {
	switch {
	case n == nil || n.kind == null || n.str() == "unspecified":
		return nil
	case n.kind == mapping:
		return &Hint{Name: n.get("name").str(), Unit: n.get("unit").str(), In: n.get("in").str()}
	}
	return &Hint{Name: n.str()}
}

func buildSafety(n *node) Safety {
	s := Safety{
		MaxRequests: int(n.get("max_requests").int64()), MaxTokens: int(n.get("max_tokens").int64()), Allow: n.get("allow").strs(),
		MaxBadClientLogins: int(n.get("max_bad_client_logins").int64()), MaxBadUserLogins: int(n.get("max_bad_user_logins").int64()),
	}
	s.MaxRate, _ = parseRate(n.get("max_rate").str())
	return s
}

// splitPath splits at dots that no backslash precedes.
func splitPath(name string) (path []string) {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		switch {
		case name[i] == '\\' && i+1 < len(name) && name[i+1] == '.':
			b.WriteByte('.')
			i++
		case name[i] == '.':
			path = append(path, b.String())
			b.Reset()
		default:
			b.WriteByte(name[i])
		}
	}
	return append(path, b.String())
}

// Readers of nodes: nil and the wrong kind give the zero value.

func (n *node) str() string {
	if n == nil || n.kind == null || n.kind == mapping || n.kind == list {
		return ""
	}
	return n.text
}

func (n *node) bool() bool { return n != nil && n.kind == boolean && n.text == "true" }

func (n *node) int64() int64 {
	if n != nil {
		if i, ok := n.number.(int64); ok {
			return i
		}
	}
	return 0
}

func (n *node) float() float64 {
	if n != nil {
		switch v := n.number.(type) {
		case int64:
			return float64(v)
		case float64:
			return v
		}
	}
	return 0
}

// duration reads "8h", or a number as seconds.
func (n *node) duration() time.Duration {
	if n == nil {
		return 0
	}
	if n.kind == integer {
		if s := n.int64(); s >= 0 && s < 1<<33 {
			return time.Duration(s) * time.Second
		}
		return 0
	}
	d, _ := parseDuration(n.str())
	return d
}

// amount reads a number, or a duration in seconds.
func (n *node) amount() *float64 {
	if n == nil {
		return nil
	}
	f := n.float()
	switch n.kind {
	case integer, float:
	case text:
		d, err := parseDuration(n.text)
		if err != nil {
			return nil
		}
		f = d.Seconds()
	default:
		return nil
	}
	return &f
}

func (n *node) pairs() []*entry {
	if n == nil || n.kind != mapping {
		return nil
	}
	return n.entries
}

func (n *node) list() []*node {
	if n == nil || n.kind != list {
		return nil
	}
	return n.items
}

// each is the items of a list, or the value itself.
func (n *node) each() []*node {
	switch {
	case n == nil || n.kind == null:
		return nil
	case n.kind == list:
		return n.items
	}
	return []*node{n}
}

func (n *node) strs() (out []string) {
	for _, i := range n.each() {
		if s := i.str(); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// scopes splits what one variable may hold: scope tokens have no spaces.
func (n *node) scopes() (out []string) {
	for _, i := range n.each() {
		out = append(out, strings.Fields(i.str())...)
	}
	return out
}

func (n *node) types() (out []string) {
	if n != nil && n.kind == null {
		return []string{"null"}
	}
	for _, i := range n.each() {
		if i.kind == null {
			out = append(out, "null")
		} else {
			out = append(out, i.str())
		}
	}
	return out
}

func (n *node) values() (out []any) {
	for _, i := range n.each() {
		out = append(out, i.value())
	}
	return out
}

func (n *node) stringMap() map[string]string {
	var out map[string]string
	for _, e := range n.pairs() {
		if out == nil {
			out = map[string]string{}
		}
		out[e.key.text] = e.val.str()
	}
	return out
}
