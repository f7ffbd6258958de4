package contract

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// lint checks what no single key shows: names that must exist, values that must
// be there, statements that contradict each other.
func lint(c *Contract, opt Options) []Problem {
	l := &linter{c: c, root: c.tree, opt: opt}
	l.addresses()
	l.clients()
	l.scopes()
	l.grants()
	l.hooks()
	l.errorRows()
	l.limits()
	l.objectives()
	l.deviations()
	l.waivers()
	l.login()
	l.optionals()
	if !c.Abstract {
		l.complete()
	}
	return l.problems
}

type linter struct {
	c        *Contract
	root     *node
	opt      Options
	problems []Problem
}

func (l *linter) report(warning bool, n *node, path, format string, args ...any) {
	if n == nil {
		n = l.root
	}
	p := n.file.problem(n.line, n.col, path, fmt.Sprintf(format, args...))
	p.Warning = warning
	l.problems = append(l.problems, p)
}

func (l *linter) fail(n *node, path, format string, args ...any) {
	l.report(false, n, path, format, args...)
}

func (l *linter) warn(n *node, path, format string, args ...any) {
	l.report(true, n, path, format, args...)
}

// place is the key at a dotted place, or the nearest thing above it that exists.
func (l *linter) place(path ...string) *node {
	at, best := l.root, l.root
	for _, p := range path {
		if k := at.keyOf(p); k != nil {
			best = k
		}
		at = at.get(p)
	}
	return best
}

// complete: what a contract that is to be run cannot do without.
func (l *linter) complete() {
	c := l.c
	if e := l.root.get("endpoint"); !e.isPoisoned() && !l.root.poisoned {
		if c.Endpoint.BaseURL == "" {
			l.fail(l.place("endpoint"), "endpoint.base_url", "the endpoint has no base_url; write base_url: ${NAME} or the address")
		}
		if e.get("path") == nil {
			l.fail(l.place("endpoint"), "endpoint.path", "the endpoint has no path; it is joined to base_url as written")
		}
	}
	if cl := l.root.get("client"); !cl.isPoisoned() && !l.root.poisoned && c.Client.ID == "" && !slices.Contains(c.Client.Auth, "none") && !slices.Contains(c.Client.Auth, "tls") {
		l.fail(l.place("client"), "client.id", "the client has no id")
	}
	if len(c.Grants) == 0 && !l.root.poisoned && !l.root.get("grants").isPoisoned() {
		l.fail(l.place("grants"), "grants", "no grant is documented; the smallest is client_credentials: {}")
	}
	if len(c.Grants) > 0 && !slices.ContainsFunc(c.Grants, func(g Grant) bool { return g.Enabled == "true" }) {
		l.warn(l.place("grants"), "grants", "no grant is enabled: a run judges nothing unless the operator switches one on")
	}
	if len(c.Verdicts) == 0 {
		l.fail(l.place("verdicts"), "verdicts", "no verdict decides the exit code; name documented, standard or both")
	}
}

func (n *node) isPoisoned() bool { return n != nil && n.poisoned }

func (l *linter) addresses() {
	check := func(base bool, path ...string) {
		n := l.root.at(path...)
		s := n.str()
		if s == "" || strings.Contains(s, "${") {
			return
		}
		where := strings.Join(path, ".")
		u, err := url.Parse(s)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
			l.fail(n, where, "expected an absolute http or https address")
		case u.User != nil:
			n.file.conceal(n)
			l.fail(n, where, "an address holds no credentials")
		case u.Fragment != "":
			l.fail(n, where, "an address of an endpoint has no fragment (RFC 6749 section 3.2)")
		case base && u.RawQuery != "":
			l.fail(n, where, "the base has no query; it is joined with the path as written")
		case u.Scheme == "http" && !isLoopback(s):
			l.warn(n, where, "http to another machine: credentials and tokens travel readable")
		}
	}
	check(true, "endpoint", "base_url")
	for _, p := range [][]string{
		{"authorization_endpoint", "url"},
		{"metadata", "issuer"},
		{"metadata", "jwks"},
		{"revocation", "url"},
		{"introspection", "url"},
		{"resource", "url"},
		{"resource", "scoped", "url"},
		{"login", "url"},
	} {
		check(false, p...)
	}
	for _, e := range l.root.get("grants").pairs() {
		check(true, "grants", e.key.text, "endpoint", "base_url")
	}
	for _, p := range l.root.get("page").each() {
		if u, err := url.Parse(p.str()); err != nil || u.Host == "" {
			l.fail(p, "page", "expected the address of the documentation, http or https")
		}
	}
	if o := l.root.at("endpoint", "browser_origin"); o.str() != "" && !strings.Contains(o.str(), "${") {
		if u, err := url.Parse(o.str()); err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" {
			l.fail(o, "endpoint.browser_origin", "an origin is scheme, host and port: https://app.example.com")
		}
	}
	if a := l.root.get("authorization_endpoint"); a != nil {
		switch {
		case a.get("path") != nil && a.get("url") != nil:
			l.fail(a.keyOf("url"), "authorization_endpoint.url", "path and url are two answers to one question; keep one")
		case a.get("path") == nil && a.get("url") == nil && !a.poisoned && !l.c.Abstract:
			l.fail(l.place("authorization_endpoint"), "authorization_endpoint", "neither path nor url says where it is")
		}
	}
	for _, name := range []string{"revocation", "introspection", "resource"} {
		if n := l.root.get(name); n != nil && n.get("url") == nil && !n.poisoned && !l.c.Abstract {
			l.fail(l.place(name), name, "%s has no url", name)
		}
		if n := l.root.at(name, "client"); n != nil && n.kind == text {
			l.fixture(n, name+".client", n.text)
		}
	}
	if m := l.root.get("metadata"); m != nil && m.get("issuer") == nil && m.get("jwks") == nil && !m.poisoned && !l.c.Abstract {
		l.fail(l.place("metadata"), "metadata", "neither issuer nor jwks is given")
	}
	if s := l.root.at("resource", "scoped"); s != nil && !s.poisoned {
		if s.get("url") == nil || s.get("needs") == nil {
			l.fail(l.root.get("resource").keyOf("scoped"), "resource.scoped", "a scoped resource has a url and the scope it needs")
		}
		if n := s.get("needs").str(); n != "" && slices.Contains(l.c.Scopes.Request, n) {
			l.fail(s.get("needs"), "resource.scoped.needs", "the golden token has this scope: it stands in scopes.request")
		}
	}
	t := l.root.get("transport")
	if (t.get("cert_file") == nil) != (t.get("key_file") == nil) {
		l.fail(l.place("transport"), "transport", "a client certificate needs both cert_file and key_file")
	}
}

func (l *linter) fixture(n *node, path, name string) {
	var names []string
	for _, e := range l.root.get("clients").pairs() {
		names = append(names, e.key.text)
	}
	if !slices.Contains(names, name) {
		hint := didYouMean(name, names)
		if hint == "" && len(names) > 0 {
			hint = "; there are " + strings.Join(names, ", ")
		}
		l.fail(n, path, "unknown client %q under clients%s", name, hint)
	}
}

func (l *linter) clients() {
	all := []*entry{}
	if n := l.root.get("client"); n != nil {
		all = append(all, &entry{key: &node{text: "client"}, val: n})
	}
	for _, e := range l.root.get("clients").pairs() {
		all = append(all, &entry{key: &node{text: join("clients", e.key.text)}, val: e.val})
		if !l.c.Abstract && e.val.get("id") == nil && !e.val.poisoned {
			l.fail(e.key, join("clients", e.key.text), "the client %s has no id", e.key.text)
		}
	}
	for _, name := range []string{"revocation", "introspection"} {
		if n := l.root.at(name, "client"); n != nil && n.kind == mapping {
			all = append(all, &entry{key: &node{text: name + ".client"}, val: n})
		}
	}
	for _, e := range all {
		l.client(e.key.text, e.val)
	}
	users := []*entry{}
	if u := l.root.get("user"); u != nil {
		users = append(users, &entry{key: l.place("user"), val: u})
	}
	for _, u := range append(users, l.root.get("users").pairs()...) {
		if !l.c.Abstract && !u.val.poisoned && (u.val.get("name") == nil || u.val.get("password") == nil) {
			l.fail(u.key, u.key.text, "a user has a name and a password")
		}
	}
}

func (l *linter) client(path string, n *node) {
	if n.poisoned || l.c.Abstract {
		return
	}
	auth := n.get("auth")
	alg := n.at("assertion", "alg").str()
	unspecified := n.get("assertion").str() == "unspecified"
	if n.get("type").str() == "public" && n.get("secret") != nil {
		l.fail(n.keyOf("secret"), path+".secret", "a public client holds no secret; drop it or the type")
	}
	for i, m := range auth.each() {
		for _, o := range auth.each()[:i] {
			if o.str() == m.str() {
				l.fail(m, path+".auth", "%s stands here twice", m.str())
			}
		}
		switch m.str() {
		case "post":
			if n.get("secret") == nil && n.get("type").str() == "confidential" {
				l.fail(m, path+".auth", "post sends a secret and the client has none")
			}
		case "jwt":
			if unspecified {
				break
			}
			if strings.HasPrefix(alg, "HS") {
				if n.get("secret") == nil {
					l.fail(m, path+".auth", "%s signs with the client's secret and the client has none", alg)
				}
			} else if n.get("key_file") == nil && n.at("assertion", "key_file") == nil {
				l.fail(m, path+".auth", "jwt signs with a key: key_file: ${NAME}, or assertion: {alg: HS256} to sign with the secret")
			}
		case "tls":
			if l.root.at("transport", "cert_file") == nil {
				l.fail(m, path+".auth", "tls needs transport.cert_file and transport.key_file")
			}
		case "none":
			if n.get("type").str() == "confidential" && len(auth.each()) == 1 {
				l.warn(m, path+".auth", "a confidential client that does not authenticate; say type: public, or leave the type out")
			}
		}
	}
	if u := n.get("url_encoded"); u != nil && auth != nil && !slices.Contains(auth.strs(), "basic") {
		l.warn(u, path+".url_encoded", "url_encoded is about basic, which this client does not use")
	}
	if a := n.get("assertion"); a != nil && auth != nil && !slices.Contains(auth.strs(), "jwt") && !l.usesAssertion() {
		l.warn(n.keyOf("assertion"), path+".assertion", "nothing uses this assertion: jwt is not among the client's methods")
	}
}

// usesAssertion tells whether a parameter takes a value from client.assertion.
func (l *linter) usesAssertion() bool {
	for i := range l.c.Grants {
		g := &l.c.Grants[i]
		for _, f := range l.c.RequestParameters(g) {
			if w, _, _ := f.Source(g.Type); w == "client.assertion" {
				return true
			}
		}
	}
	return false
}

func (l *linter) scopes() {
	n := l.root.get("scopes")
	listed := map[string][]*node{}
	for _, k := range []string{"request", "grantable", "forbidden", "default"} {
		for _, s := range n.get(k).list() {
			if s.kind != text || strings.Contains(s.text, "${") {
				listed[k+" open"] = append(listed[k+" open"], s)
				continue
			}
			if i := strings.IndexFunc(s.text, func(r rune) bool { return r <= 0x20 || r == '"' || r == '\\' || r > 0x7e }); i >= 0 || s.text == "" {
				hint := ""
				if strings.Contains(strings.TrimSpace(s.text), " ") {
					hint = "; write each scope as an item of the list"
				}
				l.fail(s, "scopes."+k, "not a scope (RFC 6749 section 3.3 allows printable ASCII without space, quotation mark and backslash)%s", hint)
				continue
			}
			for _, o := range listed[k] {
				if o.text == s.text {
					l.fail(s, "scopes."+k, "%s stands here twice", s.text)
				}
			}
			listed[k] = append(listed[k], s)
		}
	}
	has := func(k, scope string) bool {
		return slices.ContainsFunc(listed[k], func(n *node) bool { return n.text == scope })
	}
	for _, s := range listed["forbidden"] {
		for _, k := range []string{"request", "grantable", "default"} {
			if has(k, s.text) {
				l.fail(s, "scopes.forbidden", "%s is forbidden here and stands under %s too", s.text, k)
			}
		}
	}
	if n.get("grantable") != nil && len(listed["grantable open"]) == 0 {
		for _, s := range listed["request"] {
			if !has("grantable", s.text) {
				l.fail(s, "scopes.request", "%s is requested and not grantable", s.text)
			}
		}
	}
}

func (l *linter) grants() {
	for i := range l.c.Grants {
		g := &l.c.Grants[i]
		n := l.root.at("grants", g.Key)
		path := join("grants", g.Key)
		if n.kind != mapping {
			continue
		}
		key := l.root.get("grants").keyOf(g.Key)
		known := []string{"client_credentials", "password", "authorization_code", "refresh_token", "jwt_bearer", "saml2_bearer", "token_exchange", "device_code"}
		standard := slices.Contains(known, g.Type) || strings.HasPrefix(g.Type, "urn:ietf:params:oauth:grant-type:")
		if !standard && n.get("type") == nil {
			if hint := didYouMean(g.Key, known); hint != "" {
				l.warn(key, path, "%q is no registered grant type%s if it is the vendor's own or a label, say so with type", g.Key, hint)
			} else if !g.ParametersGiven && g.Documented != "purpose_only" {
				l.warn(key, path, "a grant of the vendor's own without parameters: only grant_type is sent")
			}
		}
		if t := n.get("type").str(); t != "" && !standard {
			if hint := didYouMean(t, known); hint != "" {
				l.warn(n.get("type"), path+".type", "%q is no registered grant type%s", t, hint)
			}
		}
		if cl := n.get("client"); cl != nil {
			l.fixture(cl, path+".client", cl.str())
		}
		if n.get("rotation") != nil && g.Type != GrantRefreshToken {
			l.fail(n.keyOf("rotation"), path+".rotation", "rotation is about the refresh_token grant")
		}
		if n.get("grace") != nil && (g.Type != GrantRefreshToken || g.Rotation == "never") {
			l.fail(n.keyOf("grace"), path+".grace", "grace is about refresh tokens that rotate")
		}
		if n.get("code") != nil && g.Type != GrantAuthorizationCode {
			l.fail(n.keyOf("code"), path+".code", "a code hook is about the authorization_code grant")
		}
		for _, f := range g.Parameters {
			if f.Name == "grant_type" && f.Const != nil && g.Type != "" && !strings.Contains(g.Type, "${") {
				if s, ok := f.Const.(string); ok && s != g.Type && grantURNs[s] != g.Type && !strings.Contains(s, "${") {
					l.fail(n.at("parameters", "grant_type").keyOf("const"), path+".parameters.grant_type", "grant_type is %q here and the grant is %q; set type or correct one of them", s, g.Type)
				}
			}
		}
		l.fields(n.get("parameters"), path+".parameters", true)
		l.fields(n.at("endpoint", "parameters"), path+".endpoint.parameters", true)
		l.fields(n.at("response", "fields"), path+".response.fields", false)
		if s := n.at("response", "status"); s != nil {
			if first := s.text[:1]; first == "4" || first == "5" {
				l.fail(s, path+".response.status", "a success answer has a 2xx status; refusals stand under errors")
			}
		}
		if !n.poisoned && !n.get("parameters").isPoisoned() && !l.c.Abstract {
			l.fed(g, n, path)
		}
		l.grantAuth(g, n, path)
	}
	l.fields(l.root.at("endpoint", "parameters"), "endpoint.parameters", true)
	l.fields(l.root.at("authorization_endpoint", "parameters"), "authorization_endpoint.parameters", true)
	l.fields(l.root.get("error_fields"), "error_fields", false)
	l.fields(l.root.get("headers"), "headers", false)
	for i, r := range l.root.get("errors").list() {
		l.fields(r.get("fields"), fmt.Sprintf("errors[%d].fields", i), false)
	}
}

// grantAuth: methods that a grant names need the credentials of its client.
func (l *linter) grantAuth(g *Grant, n *node, path string) {
	client := l.root.get("client")
	if g.Client != "" {
		client = l.root.at("clients", g.Client)
	}
	if client == nil || client.poisoned {
		return
	}
	for _, m := range n.get("auth").each() {
		switch {
		case m.str() == "post" && client.get("secret") == nil:
			l.fail(m, path+".auth", "post sends a secret and the client has none")
		case m.str() == "tls" && l.root.at("transport", "cert_file") == nil:
			l.fail(m, path+".auth", "tls needs transport.cert_file and transport.key_file")
		case m.str() == "jwt" && client.get("key_file") == nil && client.get("assertion") == nil:
			l.fail(m, path+".auth", "jwt needs the client's key_file")
		}
	}
}

// fed: a required parameter has a value.
func (l *linter) fed(g *Grant, n *node, path string) {
	f, lacks := l.c.unfed(g)
	if lacks == "" {
		return
	}
	at := l.root.get("grants").keyOf(g.Key)
	if k := n.get("parameters").keyOf(f.Name); k != nil {
		at = k
	} else if k := l.root.at("endpoint", "parameters").keyOf(f.Name); k != nil {
		at = k
	}
	where := join(path+".parameters", f.Name)
	switch {
	case lacks == "value":
		l.fail(at, where, "the parameter %s is needed and has no value; give value: a source, ${NAME} or a literal", f.Name)
	case strings.HasPrefix(lacks, "hook."):
		var names []string
		for h := range l.c.Hooks {
			names = append(names, h)
		}
		slices.Sort(names)
		l.fail(at, where, "the parameter %s takes its value from %s, and hooks has no %s%s", f.Name, lacks, lacks[5:], didYouMean(lacks[5:], names))
	case lacks == "assertion":
		l.fail(at, where, "the parameter %s needs an assertion: describe it under %s.assertion, or take it from a hook", f.Name, path)
	default:
		of := ""
		if g.Client != "" && strings.HasPrefix(lacks, "client.") {
			of = " of the client " + g.Client
		}
		l.fail(at, where, "the parameter %s takes its value from %s%s, which the contract does not give", f.Name, lacks, of)
	}
}

// fields: what one field says must fit together.
func (l *linter) fields(n *node, path string, request bool) {
	for _, e := range n.pairs() {
		f, at := e.val, join(path, e.key.text)
		if f.kind != mapping {
			continue
		}
		field := buildField(e.key.text, f)
		if slices.Contains(field.Path, "") && e.key.text != "" {
			l.fail(e.key, at, "a dot without a name beside it; a dot that belongs to the name is written \\.")
		}
		if v := f.get("value"); v != nil && v.kind == text {
			if !request {
				l.fail(f.keyOf("value"), at+".value", "value is about parameters of a request; an answer has const or enum")
			} else if !isSource(v.text) && looksLikeSource(v.text) {
				l.warn(v, at+".value", "%q is sent as it stands%s", v.text, didYouMean(v.text, sources))
			}
		}
		if v := f.get("in"); v != nil && !request {
			l.fail(f.keyOf("in"), at+".in", "in is about parameters of a request; response headers stand under headers")
		}
		if v := f.get("as"); v != nil && request {
			l.fail(f.keyOf("as"), at+".as", "as is about members of an answer; a parameter says what it carries with value")
		}
		if field.Exact && field.Const == nil {
			l.fail(f.keyOf("exact"), at+".exact", "exact belongs beside const")
		}
		if c := f.get("const"); c != nil && len(field.Enum) > 0 && !slices.ContainsFunc(field.Enum, func(v any) bool { return fmt.Sprint(v) == fmt.Sprint(field.Const) }) {
			l.fail(c, at+".const", "const is not among the values of enum")
		}
		if c := f.get("const"); c != nil && len(field.Type) > 0 && c.kind != mapping && c.kind != list && !strings.Contains(c.str(), "${") && !fits(c, field.Type) && !(request && slices.Contains(field.Type, "string")) {
			l.fail(c, at+".const", "const is %s and type says %s", c.kind, strings.Join(field.Type, " or "))
		}
		if field.Min != nil && field.Max != nil && *field.Min > *field.Max {
			l.fail(f.keyOf("min"), at+".min", "min is greater than max")
		}
		if t := field.Typical; t != nil && (field.Min != nil && *t < *field.Min || field.Max != nil && *t > *field.Max) {
			l.fail(f.keyOf("typical"), at+".typical", "typical lies outside min and max")
		}
		if f.get("tolerance") != nil && field.Typical == nil {
			l.warn(f.keyOf("tolerance"), at+".tolerance", "tolerance does nothing without typical")
		}
		if field.Required.Mode == "true" && field.OnlyWhen != nil {
			l.fail(f.keyOf("only_when"), at+".only_when", "required: true and only_when contradict each other; give required the same condition")
		}
		l.condition(f.get("required"), at+".required")
		l.condition(f.get("only_when"), at+".only_when")
	}
}

// looksLikeSource finds source words that are nearly spelt right.
func looksLikeSource(s string) bool {
	section, _, dot := strings.Cut(s, ".")
	return dot && slices.Contains([]string{"client", "clients", "user", "users", "scope", "scopes", "hooks"}, section) && !strings.ContainsAny(s, " /:")
}

func fits(n *node, types []string) bool {
	for _, t := range types {
		switch t {
		case "string":
			if n.kind == text {
				return true
			}
		case "integer":
			if n.kind == integer {
				return true
			}
		case "number":
			if n.kind == integer || n.kind == float {
				return true
			}
		case "boolean":
			if n.kind == boolean {
				return true
			}
		case "null":
			if n.kind == null {
				return true
			}
		default:
			return true
		}
	}
	return false
}

// condition: names in a condition exist, and it can come true.
func (l *linter) condition(n *node, path string) {
	if n == nil || n.kind != mapping {
		return
	}
	if len(n.entries) == 0 {
		l.fail(n, path, "a condition without parts always holds; write true")
	}
	l.grantNames(n.get("grants"), path+".grants")
	c := l.c
	if s := n.get("scope_includes"); s != nil && l.root.at("scopes", "request") != nil && !strings.Contains(strings.Join(c.Scopes.Request, " "), "${") &&
		!slices.Contains(c.Scopes.Request, s.str()) && !slices.Contains(c.Scopes.Grantable, s.str()) {
		l.warn(s, path+".scope_includes", "never so: no request asks for the scope %s", s.str())
	}
	if p := n.get("client"); p.str() == "public" && !c.Abstract && !c.Client.Public() && !slices.ContainsFunc(c.Clients, func(c Client) bool { return c.Public() }) {
		l.warn(p, path+".client", "never so: the contract has no public client")
	}
	if a := n.get("auth"); a != nil && !c.Abstract {
		methods := slices.Clone(c.Client.Methods())
		for i := range c.Clients {
			methods = append(methods, c.Clients[i].Methods()...)
		}
		for i := range c.Grants {
			methods = append(methods, c.Grants[i].Auth...)
		}
		if !slices.Contains(methods, a.str()) {
			l.warn(a, path+".auth", "never so: no client of the contract uses %s", a.str())
		}
	}
	for _, e := range n.get("parameter").pairs() {
		found := false
		if a := c.AuthorizationEndpoint; a != nil {
			found = slices.ContainsFunc(a.Parameters, func(f Field) bool { return f.Name == e.key.text })
		}
		for i := range c.Grants {
			found = found || slices.ContainsFunc(c.RequestParameters(&c.Grants[i]), func(f Field) bool { return f.Name == e.key.text })
		}
		if !found {
			l.warn(e.key, path+".parameter", "never so: no request has a parameter %s", e.key.text)
		}
	}
}

func (l *linter) grantNames(n *node, path string) {
	var names []string
	for _, g := range l.c.Grants {
		names = append(names, g.Key)
	}
	for _, g := range n.each() {
		if s := g.str(); s != "" && !slices.Contains(names, s) && !l.c.Abstract {
			hint := didYouMean(s, names)
			if hint == "" {
				hint = "; there are " + strings.Join(names, ", ")
			}
			l.fail(g, path, "unknown grant %q%s", s, hint)
		}
	}
}

func (l *linter) hooks() {
	used := map[string]bool{}
	mark := func(v any) {
		for _, x := range flatten(v) {
			if s, ok := x.(string); ok && strings.HasPrefix(s, "hook.") {
				used[strings.TrimPrefix(s, "hook.")] = true
			}
		}
	}
	for i := range l.c.Grants {
		g := &l.c.Grants[i]
		for _, f := range l.c.RequestParameters(g) {
			mark(f.Value)
			if s, ok := f.Value.(string); ok && strings.HasPrefix(s, "hook.") && l.c.Hooks[s[5:]] == "" && (f.Required.Mode == "" || f.Required.Mode == "false" || f.Required.Mode == "conditional") {
				at := l.root.at("grants", g.Key, "parameters", f.Name).keyOf("value")
				l.fail(at, join(join("grants", g.Key)+".parameters", f.Name), "hooks has no %s", s[5:])
			}
		}
		if g.Assertion != nil {
			for _, cl := range append(slices.Clone(g.Assertion.Claims), g.Assertion.Header...) {
				mark(cl.Value)
			}
		}
	}
	for _, cl := range append([]Client{l.c.Client}, l.c.Clients...) {
		if cl.Assertion != nil {
			for _, c := range append(slices.Clone(cl.Assertion.Claims), cl.Assertion.Header...) {
				mark(c.Value)
			}
		}
	}
	for _, e := range l.root.get("hooks").pairs() {
		if !used[e.key.text] && !l.c.Abstract {
			l.warn(e.key, join("hooks", e.key.text), "nothing takes a value from hook.%s", e.key.text)
		}
	}
}

func flatten(v any) []any {
	if items, ok := v.([]any); ok {
		return items
	}
	return []any{v}
}

// Which grant a condition needs before it can be provoked.
var conditionGrant = map[string][]string{
	"bad_code": {GrantAuthorizationCode, GrantDeviceCode}, "used_code": {GrantAuthorizationCode, GrantDeviceCode},
	"redirect_mismatch": {GrantAuthorizationCode}, "bad_verifier": {GrantAuthorizationCode},
	"bad_refresh_token": {GrantRefreshToken}, "unknown_user": {GrantPassword}, "wrong_password": {GrantPassword},
	"bad_assertion": {GrantJWTBearer, GrantSAML2Bearer},
}

func (l *linter) errorRows() {
	for i, n := range l.root.get("errors").list() {
		path := fmt.Sprintf("errors[%d]", i)
		if n.kind != mapping || i >= len(l.c.Errors) {
			continue
		}
		row := l.c.Errors[i]
		if len(row.When) == 0 && !n.poisoned {
			l.fail(n, path+".when", "the row has no when; say unspecified if the page names no condition")
		}
		if len(row.Status) == 0 && len(row.Code) == 0 && len(row.Fields) == 0 && len(row.Dropped) == 0 && !n.poisoned {
			l.fail(n, path, "the row says nothing about the answer: give status, code or fields")
		}
		l.grantNames(n.get("grants"), path+".grants")
		l.rowParameters(row, n, path)
		for j, w := range n.get("when").list() {
			for _, o := range n.get("when").list()[:j] {
				if o.str() == w.str() {
					l.fail(w, path+".when", "%s stands here twice", w.str())
				}
			}
			needs := conditionGrant[w.str()]
			if needs == nil || l.c.Abstract {
				continue
			}
			can := slices.ContainsFunc(l.c.Grants, func(g Grant) bool {
				return slices.Contains(needs, g.Type) && (len(row.Grants) == 0 || slices.Contains(row.Grants, g.Key))
			})
			if w.str() == "bad_assertion" && !can {
				can = slices.ContainsFunc(append([]Client{l.c.Client}, l.c.Clients...), func(c Client) bool { return slices.Contains(c.Auth, "jwt") })
			}
			if !can {
				l.warn(w, path+".when", "%s is never provoked: the row is about no grant that could bring it about", w.str())
			}
		}
		// A const that every error has, and a row's code for the member that plays error.
		if f, ok := FieldFor(l.c.ErrorFields, "error"); ok && f.Const != nil && len(row.Code) > 0 &&
			!slices.ContainsFunc(row.Code, func(c any) bool { return fmt.Sprint(c) == fmt.Sprint(f.Const) }) {
			l.fail(n.keyOf("code"), path+".code", "the code contradicts error_fields.%s, which is always %v", f.Name, f.Const)
		}
		if f, ok := FieldFor(row.Fields, "error"); ok && f.Const != nil && len(row.Code) > 0 &&
			!slices.ContainsFunc(row.Code, func(c any) bool { return fmt.Sprint(c) == fmt.Sprint(f.Const) }) {
			l.fail(n.keyOf("code"), path+".code", "code and fields.%s give the same member two values", f.Name)
		}
		for j := range i {
			if first := l.c.Errors[j]; sameRow(first, row) {
				l.warn(n, path, "the same as the row on line %d", l.root.get("errors").items[j].line)
			} else if what := contradiction(first, row); what != "" {
				l.fail(n, path, "contradicts the row on line %d: %s", l.root.get("errors").items[j].line, what)
			}
		}
	}
}

func sameRow(a, b ErrorRow) bool {
	a.Meaning, b.Meaning = "", ""
	return fmt.Sprintf("%+v", a) == fmt.Sprintf("%+v", b)
}

// contradiction: several rows may share a condition, and any of them then fits.
// But one that pins a condition and one that says the page leaves it open cannot both be the page.
func contradiction(a, b ErrorRow) string {
	for _, w := range b.When {
		if w == "other" || w == "unspecified" || !slices.Contains(a.When, w) {
			continue
		}
		if !slices.Equal(a.Grants, b.Grants) || !slices.Equal(a.Parameters, b.Parameters) || len(a.Code) == 0 || len(b.Code) == 0 {
			continue
		}
		if fmt.Sprint(a.Code) == fmt.Sprint(b.Code) && len(a.Status) > 0 && len(b.Status) > 0 && fmt.Sprint(a.Fields, a.Dropped) == fmt.Sprint(b.Fields, b.Dropped) &&
			!slices.ContainsFunc(a.Status, func(s string) bool { return slices.Contains(b.Status, s) }) {
			return fmt.Sprintf("%s with the same code has status %s there and %s here; write one row with a list if either is fine",
				w, strings.Join(a.Status, " or "), strings.Join(b.Status, " or "))
		}
	}
	return ""
}

func (l *linter) rowParameters(row ErrorRow, n *node, path string) {
	if len(row.Parameters) == 0 || l.c.Abstract {
		return
	}
	var names []string
	for i := range l.c.Grants {
		g := &l.c.Grants[i]
		if len(row.Grants) > 0 && !slices.Contains(row.Grants, g.Key) {
			continue
		}
		for _, f := range l.c.RequestParameters(g) {
			names = append(names, f.Name)
		}
		names = append(names, "client_id", "client_secret")
	}
	for _, p := range n.get("parameters").each() {
		if !slices.Contains(names, p.str()) {
			l.fail(p, path+".parameters", "unknown parameter %q: no request of these grants has it%s", p.str(), didYouMean(p.str(), names))
		}
	}
	if !slices.Contains(row.When, "missing_parameter") && !slices.Contains(row.When, "invalid_parameter") {
		l.fail(n.keyOf("parameters"), path+".parameters", "parameters restricts missing_parameter and invalid_parameter, and the row has neither")
	}
}

func (l *linter) limits() {
	for i, n := range l.root.get("rate_limit").each() {
		if n.kind != mapping {
			continue
		}
		path := "rate_limit"
		if l.root.get("rate_limit").kind == list {
			path = fmt.Sprintf("rate_limit[%d]", i)
		}
		if d := n.get("documented"); d != nil && !d.bool() && len(n.entries) > 1 {
			l.fail(d, path+".documented", "documented: false, and what follows documents a limit")
		}
		l.grantNames(n.get("grants"), path+".grants")
		s := n.get("status")
		for j, row := range l.c.Errors {
			if !slices.Contains(row.When, "rate_limited") || s == nil || len(row.Status) == 0 || len(row.Grants) > 0 {
				continue
			}
			if !slices.ContainsFunc(row.Status, func(r string) bool {
				return r == s.text || len(r) == 3 && strings.HasSuffix(r, "xx") && r[0] == s.text[0] || strings.HasSuffix(s.text, "xx") && s.text[0] == r[0]
			}) {
				l.fail(s, path+".status", "the limit answers %s here and %s in the row on line %d", s.text, strings.Join(row.Status, " or "), l.root.get("errors").items[j].line)
			}
		}
		if v := n.get("limit"); v != nil && v.kind == integer && v.int64() == 0 {
			l.fail(v, path+".limit", "a limit of 0 lets nothing through; write unspecified if the page gives no number")
		}
	}
	t := l.root.get("token")
	for _, k := range []string{"lifetime", "refresh_lifetime", "code_lifetime"} {
		if f := buildLifetime(t.get(k)); f != nil && f.Min != nil && f.Max != nil && *f.Min > *f.Max {
			l.fail(t.keyOf(k), "token."+k, "min is greater than max")
		}
	}
	if v := t.get("live"); v != nil && l.c.Token.Live == 0 {
		l.fail(v, "token.live", "0 live tokens; leave it out if the page sets no bound")
	}
}

func (l *linter) objectives() {
	for i, n := range l.root.get("slo").list() {
		path := fmt.Sprintf("slo[%d]", i)
		switch n.get("metric").str() {
		case "":
			l.fail(n, path+".metric", "an objective has a metric: latency or success")
		case "latency":
			if p := n.get("percentile").float(); p <= 0 || p >= 100 {
				l.fail(n, path+".percentile", "latency needs a percentile between 0 and 100")
			}
			if n.get("max") == nil {
				l.fail(n, path+".max", "latency needs max")
			}
		case "success":
			if n.get("min") == nil {
				l.fail(n, path+".min", "success needs min")
			}
		}
	}
}

func (l *linter) rule(n *node, path string) {
	s := n.str()
	switch {
	case strings.ContainsAny(s, "*?["):
		l.fail(n, path, "one rule each; patterns are not allowed")
	case l.opt.KnownRules != nil && !slices.Contains(l.opt.KnownRules, s):
		l.fail(n, path, "unknown rule %s%s", strconv.Quote(s), nearRule(s, l.opt.KnownRules))
	}
}

func nearRule(s string, known []string) string {
	if hint := didYouMean(s, known); hint != "" {
		return hint
	}
	_, last, _ := strings.Cut(s, ".")
	for _, k := range known {
		if _, kl, _ := strings.Cut(k, "."); last != "" && kl == last {
			return fmt.Sprintf("; did you mean %q?", k)
		}
	}
	return "; grantcheck rules lists them"
}

func (l *linter) deviations() {
	seen := map[string]int{}
	for i, n := range l.root.get("deviations").list() {
		path := fmt.Sprintf("deviations[%d]", i)
		if n.poisoned || n.kind != mapping {
			continue
		}
		if len(n.get("rules").list()) == 0 {
			l.fail(n, path+".rules", "a deviation names the rules that it is about")
		}
		for _, r := range n.get("rules").list() {
			l.rule(r, path+".rules")
			if line := seen[r.str()]; line > 0 {
				l.warn(r, path+".rules", "%s stands in the deviation on line %d too", r.str(), line)
			}
			seen[r.str()] = r.line
		}
		for _, k := range []string{"documented", "standard", "mode", "reason"} {
			if n.get(k) == nil {
				l.fail(n, path+"."+k, "a deviation needs %s", k)
			}
		}
		if a, b := l.c.Deviations[i].Documented, l.c.Deviations[i].Standard; fmt.Sprint(a) == fmt.Sprint(b) && n.get("standard") != nil {
			l.fail(n.keyOf("standard"), path+".standard", "documented and standard are the same: that is no deviation")
		}
	}
}

func (l *linter) waivers() {
	seen := map[string]int{}
	for i, n := range l.root.get("waivers").list() {
		path := fmt.Sprintf("waivers[%d]", i)
		if n.poisoned || n.kind != mapping {
			continue
		}
		for _, k := range []string{"rule", "reason", "expires"} {
			if v := n.get(k); v == nil || strings.TrimSpace(v.str()) == "" {
				l.fail(n, path+"."+k, "a waiver needs %s", k)
			}
		}
		if r := n.get("rule"); r != nil {
			l.rule(r, path+".rule")
			if line := seen[r.str()]; line > 0 {
				l.fail(r, path+".rule", "%s is waived on line %d already", r.str(), line)
			}
			seen[r.str()] = r.line
		}
		if l.opt.Now != nil && l.c.Waivers[i].Expired(l.opt.Now()) {
			l.warn(n.get("expires"), path+".expires", "the waiver of %s expired on %s and stopped counting", n.get("rule").str(), n.get("expires").str())
		}
	}
}

// Expired tells whether the day named by expires is over (UTC).
func (w Waiver) Expired(now time.Time) bool {
	return !w.Expires.IsZero() && !now.Before(w.Expires.AddDate(0, 0, 1))
}

func (l *linter) login() {
	n := l.root.get("login")
	if n == nil || n.poisoned || l.c.Abstract {
		return
	}
	if u := n.get("user"); u != nil {
		var names []string
		for _, e := range l.root.get("users").pairs() {
			names = append(names, e.key.text)
		}
		if !slices.Contains(names, u.str()) {
			l.fail(u, "login.user", "unknown user %q under users%s", u.str(), didYouMean(u.str(), names))
		}
	} else if l.c.User == nil {
		l.fail(l.place("login"), "login", "a login needs a user: give user: {name, password}")
	}
	if n.get("url") == nil && l.c.AuthorizationEndpoint == nil {
		l.fail(l.place("login"), "login", "a login starts at url or at the authorization endpoint, and the contract gives neither")
	}
	if !slices.ContainsFunc(l.c.Grants, func(g Grant) bool { return g.Type == GrantAuthorizationCode }) {
		l.warn(l.place("login"), "login", "a login obtains codes, and no grant takes one")
	}
}

// optionals: `optional` names keys that are there and hold references.
func (l *linter) optionals() {
	var walk func(n *node, s *shape, path string)
	walk = func(n *node, s *shape, path string) {
		m := s.forKind(mapping)
		if n.kind != mapping || m == nil {
			return
		}
		for _, name := range n.get("optional").list() {
			if n.get(name.str()) == nil || name.str() == "optional" {
				var names []string
				for _, e := range n.entries {
					names = append(names, e.key.text)
				}
				l.fail(name, join(path, "optional"), "optional names %q, which is not here%s", name.str(), didYouMean(name.str(), names))
			}
		}
		for _, e := range n.entries {
			if m.elem != nil {
				walk(e.val, m.elem, join(path, e.key.text))
			} else if k, ok := m.key(e.key.text); ok && k.is != nil && k.name != "optional" {
				walk(e.val, k.is, join(path, e.key.text))
			}
		}
	}
	walk(l.root, contractShape, "")
}
