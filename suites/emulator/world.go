package emulator

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"grantcheck/suites/contract"
)

// user is a resource owner.
type user struct {
	fixture  string
	name     string
	password string
	sub      string
}

// issuers are those whose assertions the jwt-bearer grant trusts.
type issuers struct {
	names     []string
	algs      []string
	audiences []string
	keys      []verifyKey
	noSubject bool // the page drops sub
}

// scopes as the emulator knows them.
type scopes struct {
	known, grantable, standard []string // standard: granted when none is asked for
	needed                     string   // by the scoped resource
}

const (
	jwksPath     = "/jwks"
	userInfoPath = "/userinfo"
	resourcePath = "/resource"
	scopedPath   = "/resource/scoped"
	loginPath    = "/login"
	codeHookPath = "/hooks/code"
	hookPath     = "/hooks"
)

// build makes everything that depends on the address: the bound contract, clients, users,
// keys and routes. What was made at random stays when it is called again.
func (e *Emulator) build(base string) error {
	e.base = base
	if err := e.bind(); err != nil {
		return err
	}
	c := e.bound
	for _, ch := range e.changes {
		if ch.setup.Prepare != nil {
			ch.setup.Prepare(c)
		}
	}
	e.refer(c)
	e.pkceUnsupported = c.AuthorizationEndpoint != nil && c.AuthorizationEndpoint.PKCE == "unsupported"
	e.metadata = c.Metadata != nil && c.Metadata.Issuer != ""
	e.issuer = e.base
	if e.metadata {
		e.issuer = c.Metadata.Issuer
	}
	if e.store == nil {
		e.store, e.sessions = newStore(), newBounded[*user](1000)
	}
	e.store.grace = 10 * time.Second
	e.refreshLifetime = 30 * 24 * time.Hour
	for _, g := range c.Grants {
		switch {
		case g.Type != refreshGrant:
		case g.GraceUnlimited:
			e.store.grace = -1
		case g.GraceGiven || g.Grace > 0:
			e.store.grace = g.Grace
		}
	}
	if l := c.Token.CodeLifetime; l != nil {
		if n, ok := l.Const.(float64); ok {
			e.behaviour.codeLifetime = time.Duration(n * float64(time.Second))
		}
	}
	e.dialect = newDialect(c)
	e.makeScopes()
	if err := e.makeClients(); err != nil {
		return err
	}
	e.makeUsers()
	e.makeLimits()
	if len(e.keys) == 0 {
		e.keys = []*signingKey{pooledRSA("rs-1"), newECKey("es-2")}
	}
	for _, fn := range e.behaviour.world {
		fn(e)
	}
	e.makeRoutes()
	return nil
}

// own says whether the contract is the operator's own, and no page's: then the emulator
// adds what it can.
func own(c *contract.Contract) bool { return len(c.Page) == 0 && len(c.NotSpecified) == 0 }

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

var (
	processMu     sync.Mutex
	processValues = map[string]*signingKey{}
)

// pooledRSA makes an RSA key once per process: making one takes long.
func pooledRSA(kid string) *signingKey {
	processMu.Lock()
	defer processMu.Unlock()
	if processValues[kid] == nil {
		processValues[kid] = newRSAKey(kid, 2048)
	}
	return processValues[kid]
}

// made is a random text of 43 characters, the same each time for one label of one emulator;
// with fixed credentials the same in every process.
func (e *Emulator) made(label string) string {
	if e.opt.FixedCredentials {
		sum := sha256.Sum256([]byte("grantcheck test credential, worth nothing: " + label))
		return strings.NewReplacer("-", "x", "_", "y").Replace(b64.EncodeToString(sum[:]))
	}
	if e.store == nil {
		e.store, e.sessions = newStore(), newBounded[*user](1000)
	}
	if e.store.made == nil {
		e.store.made = map[string]string{}
	}
	if e.store.made[label] == "" {
		e.store.made[label] = strings.NewReplacer("-", "x", "_", "y").Replace(e.randomToken())
	}
	return e.store.made[label]
}

// directory is where key and certificate files go.
func (e *Emulator) directory() (string, error) {
	if e.dir != "" {
		return e.dir, nil
	}
	var err error
	if e.opt.FixedCredentials {
		e.dir = filepath.Join(os.TempDir(), fmt.Sprintf("grantcheck-emulator-%d", os.Getuid()))
		err = os.MkdirAll(e.dir, 0o700)
	} else {
		e.dir, err = os.MkdirTemp("", "grantcheck-emulator-")
	}
	if err != nil {
		return "", fmt.Errorf("emulator: key files: %w", err)
	}
	return e.dir, nil
}

// keyFile is a file with a private key, PKCS #8 PEM.
func (e *Emulator) keyFile(label, alg string) (string, error) {
	dir, err := e.directory()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, strings.NewReplacer(".", "-", "/", "-").Replace(label)+"."+alg+".pem")
	if e.keyFiles[path] != nil {
		return path, nil
	}
	if e.keyFiles == nil {
		e.keyFiles = map[string]*signingKey{}
	}
	if e.opt.FixedCredentials {
		if k, err := readKey(path, alg); err == nil {
			e.keyFiles[path] = k
			return path, nil
		}
	}
	k := newKey("key-1", alg, label)
	var private any = k.ec
	if k.rsa != nil {
		private = k.rsa
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", fmt.Errorf("emulator: key file: %w", err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		return "", fmt.Errorf("emulator: key file: %w", err)
	}
	e.keyFiles[path] = k
	return path, nil
}

// newKey makes a client's key of the type that its alg needs.
func newKey(kid, alg, label string) *signingKey {
	k := newECKey(kid)
	if strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS") {
		pooled := *pooledRSA("client " + label)
		k = &pooled
	}
	k.kid, k.alg = kid, alg
	return k
}

// readKey reads a private key file.
func readKey(path, alg string) (*signingKey, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block", path)
	}
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	k := &signingKey{kid: "key-1", alg: alg}
	switch p := private.(type) {
	case *rsa.PrivateKey:
		k.rsa = p
	case *ecdsa.PrivateKey:
		k.ec = p
	default:
		return nil, fmt.Errorf("%s holds a key of an unknown type", path)
	}
	return k, nil
}

// caFile is a file with the CA certificate.
func (e *Emulator) caFile() (string, error) {
	if e.certificate == nil {
		return "", nil
	}
	dir, err := e.directory()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(path, e.certificate.ca, 0o600); err != nil {
		return "", fmt.Errorf("emulator: CA file: %w", err)
	}
	return path, nil
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

// makeScopes learns the scopes of the contract.
func (e *Emulator) makeScopes() {
	s, c := &e.scopes, e.bound.Scopes
	*s = scopes{grantable: slices.Clone(c.Grantable)}
	for _, list := range [][]string{c.Request, c.Default} {
		for _, n := range list {
			if !slices.Contains(s.grantable, n) {
				s.grantable = append(s.grantable, n)
			}
		}
	}
	s.standard = c.Default
	if len(s.standard) == 0 {
		s.standard = c.Request
	}
	if len(s.grantable) == 0 {
		for _, g := range e.bound.Grants { // an answer that always tells a scope has one
			if f, ok := contract.FieldFor(g.Response.Fields, "scope"); ok && (f.Required.Mode == "true" || f.Required.Mode == "implied") {
				s.grantable = []string{"read", "write"}
			}
		}
	}
	if len(s.standard) == 0 && len(s.grantable) > 0 {
		s.standard = s.grantable[:1]
	}
	s.known = append(slices.Clone(s.grantable), c.Forbidden...)
	s.needed = "admin"
	if r := e.bound.Resource; r != nil && r.Scoped != nil && r.Scoped.Needs != "" {
		s.needed = r.Scoped.Needs
	}
}

// makeClients registers every client of the contract.
func (e *Emulator) makeClients() error {
	c := e.bound
	e.clients, e.registered = map[string]*client{}, nil
	list := []*contract.Client{&c.Client}
	for i := range c.Clients {
		list = append(list, &c.Clients[i])
	}
	for _, p := range []*contract.Protected{c.Introspection, c.Revocation} {
		if p != nil && p.Client != nil {
			list = append(list, p.Client)
		}
	}
	for i, cc := range list {
		if cc.ID == "" {
			continue
		}
		cl := &client{name: cc.Name, id: cc.ID, secret: cc.Secret, public: cc.Public(), methods: slices.Clone(cc.Methods())}
		cl.seesAll = i == 0 || i > len(c.Clients)
		if cc.RedirectURI != "" {
			cl.redirectURIs = []string{cc.RedirectURI}
		}
		if cc.Name == "no_grant" {
			cl.grants = []string{}
		}
		for _, one := range [][2]string{{"basic", "post"}, {"post", "basic"}} { // RFC 6749 section 2.3.1: a secret may come either way
			if slices.Contains(cl.methods, one[0]) && !slices.Contains(cl.methods, one[1]) {
				cl.methods = append(cl.methods, one[1])
			}
		}
		if err := e.addKey(cl, cc); err != nil {
			return err
		}
		if first := e.clients[cl.id]; first != nil { // one id, several ways to use it
			for _, m := range cl.methods {
				if !slices.Contains(first.methods, m) {
					first.methods = append(first.methods, m)
				}
			}
			first.mayOmitSecret = first.mayOmitSecret || slices.Contains(cl.methods, "none")
			first.keys, first.algs = append(first.keys, cl.keys...), append(first.algs, cl.algs...)
			if first.secret == "" {
				first.secret = cl.secret
			}
			continue
		}
		e.clients[cl.id] = cl
		e.registered = append(e.registered, cl)
	}
	return e.makeIssuers()
}

// addKey registers what verifies the assertions of a client.
func (e *Emulator) addKey(cl *client, cc *contract.Client) error {
	if !slices.Contains(cl.methods, "jwt") {
		return nil
	}
	alg, path := "RS256", cc.KeyFile
	if a := cc.Assertion; a != nil {
		if a.Alg != "" {
			alg = a.Alg
		}
		if a.KeyFile != "" {
			path = a.KeyFile
		}
		if strings.Contains(a.Audience, ":") {
			cl.audiences = append(cl.audiences, a.Audience)
		}
	}
	cl.algs = []string{alg}
	if strings.HasPrefix(alg, "HS") || path == "" {
		return nil
	}
	k, err := e.keyAt(path, alg)
	if err != nil {
		return fmt.Errorf("emulator: client %s: %w", cl.id, err)
	}
	pub := k.public()
	pub.kid = ""
	if cc.Assertion != nil {
		pub.kid = cc.Assertion.Kid
	}
	cl.keys, cl.signing = []verifyKey{pub}, k
	return nil
}

func (e *Emulator) keyAt(path, alg string) (*signingKey, error) {
	if k := e.keyFiles[path]; k != nil {
		return k, nil
	}
	return readKey(path, alg)
}

// makeIssuers registers whose assertions the jwt-bearer grant takes.
func (e *Emulator) makeIssuers() error {
	e.issuers = issuers{}
	is := &e.issuers
	for i := range e.bound.Grants {
		g := &e.bound.Grants[i]
		if g.Type != jwtBearer || g.Assertion == nil {
			continue
		}
		a := g.Assertion
		alg, path := a.Alg, a.KeyFile
		if alg == "" {
			alg = "RS256"
		}
		if path == "" {
			path = e.bound.Client.KeyFile
		}
		k, err := e.keyAt(path, alg)
		if err != nil {
			return fmt.Errorf("emulator: grant %s: %w", g.Key, err)
		}
		is.keys, is.algs = append(is.keys, k.public()), append(is.algs, alg)
		is.keys[len(is.keys)-1].kid = a.Kid
		if strings.Contains(a.Audience, ":") {
			is.audiences = append(is.audiences, a.Audience)
		}
		name := e.bound.Client.ID
		for _, cl := range a.Claims {
			switch v, _ := cl.Value.(string); {
			case cl.Name == "iss" && v != "" && v != "client.id":
				name = v
			case cl.Name == "sub" && cl.Drop:
				is.noSubject = true
			}
		}
		is.names = append(is.names, name)
	}
	return nil
}

// audiences are the names that this server answers to in an assertion.
func (e *Emulator) audiences() []string { return []string{e.issuer, e.URL()} }

// makeUsers registers every user of the contract, and one for codes.
func (e *Emulator) makeUsers() {
	e.users = map[string]*user{}
	add := func(u contract.User) *user {
		sum := sha256.Sum256([]byte(u.UserName))
		nu := &user{fixture: u.Name, name: u.UserName, password: u.Password, sub: "user-" + hex.EncodeToString(sum[:6])}
		e.users[nu.name] = nu
		return nu
	}
	if e.bound.User != nil {
		e.primaryUser = add(*e.bound.User)
	} else {
		e.primaryUser = add(contract.User{UserName: userName("user"), Password: e.made("user.password")[:24]})
	}
	for _, u := range e.bound.Users {
		add(u)
	}
}

// fixture finds a client by its fixture name.
func (e *Emulator) fixture(name string) *client {
	for _, c := range e.registered {
		if c.name == name {
			return c
		}
	}
	return nil
}

// clientOfSecret finds the client where the page sends a secret and no id.
func (e *Emulator) clientOfSecret(secret string) string {
	if secret == "" || e.bound == nil {
		return ""
	}
	for _, g := range e.dialect.grants {
		if slices.ContainsFunc(g.Parameters, func(p contract.Field) bool { return e.dialect.part(p.Name) == "client_id" }) || !g.ParametersGiven {
			return ""
		}
	}
	for _, c := range e.registered {
		if c.secret != "" && equalSecret(c.secret, secret) {
			return c.id
		}
	}
	return e.bound.Client.ID // refused for its secret
}

// makeLimits puts the limits in force: those asked for, or the documented ones.
func (e *Emulator) makeLimits() {
	e.limiters = nil
	if e.opt.Unlimited {
		return
	}
	limits := e.opt.Limits
	if len(limits) == 0 {
		for _, l := range e.bound.RateLimits {
			if l.Limit > 0 && l.Window > 0 {
				by := l.Subject
				if by != "address" && by != "endpoint" {
					by = "client"
				}
				limits = append(limits, Limit{Requests: l.Limit, Per: l.Window, Kind: "sliding", By: by, Grants: l.Grants, Counts: l.Counts})
			}
		}
		if len(limits) == 0 && e.throttles() {
			// No number is documented: a small quota of tokens for the client that may be spent.
			l := Limit{Requests: 60, Per: 10 * time.Second, Kind: "sliding", Clients: []string{"sacrificial"}, Counts: "successes"}
			if own(e.bound) {
				l.Headers = true
				e.document(l)
				e.bound.RateLimits[0].Subject, e.bound.RateLimits[0].Exclusive = "the sacrificial client", true
			}
			limits = []Limit{l}
		}
	} else {
		e.document(limits[0])
	}
	for i, l := range limits {
		name := l.By
		if name == "" {
			name = "client"
		}
		e.limiters = append(e.limiters, newLimiter(fmt.Sprintf("%s-%d", name, i+1), l))
	}
}

// throttles says whether an answer to too many requests would be a documented one, or
// nothing is documented that it could break.
func (e *Emulator) throttles() bool {
	c := e.bound
	return own(c) || slices.ContainsFunc(c.RateLimits, func(l contract.RateLimit) bool { return l.Documented || l.Status != 0 }) ||
		slices.ContainsFunc(c.Errors, func(r contract.ErrorRow) bool { return slices.Contains(r.When, "rate_limited") })
}

// document writes a limit that was asked for into the contract to judge by.
func (e *Emulator) document(l Limit) {
	c := e.bound
	if len(c.RateLimits) == 0 || !c.RateLimits[0].Documented && c.RateLimits[0].Status == 0 {
		c.RateLimits = []contract.RateLimit{{Documented: true, Status: http.StatusTooManyRequests, RetryHint: &contract.Hint{Name: "Retry-After", Unit: "seconds", In: "header"}}}
	}
	d := &c.RateLimits[0]
	d.Documented, d.Limit, d.Window, d.Grants, d.Counts = true, l.Requests, l.Per, l.Grants, l.Counts
	if d.Subject = l.By; d.Subject == "" {
		d.Subject = "client"
	}
	e.dialect = newDialect(c)
}

// makeRoutes says what answers where; the token endpoint comes last and wins.
func (e *Emulator) makeRoutes() {
	e.routes = map[string]*route{}
	at := func(path string, ep endpoint, serve func(*flow) *answer) {
		if path == "" {
			path = "/"
		}
		e.routes[path] = &route{ep, serve}
	}
	c := e.bound
	authorizePath := "/authorize"
	if a := c.AuthorizationEndpoint; a != nil {
		switch {
		case a.URL != "":
			authorizePath = pathOf(a.URL)
		case a.Path != "":
			authorizePath = pathOf(c.Endpoint.BaseURL) + a.Path
		}
	}
	e.authorizationURL = e.base + authorizePath
	at(authorizePath, authorizationEndpoint, (*flow).serveAuthorize)
	at(loginPath, authorizationEndpoint, (*flow).serveLogin)
	if c.Login != nil && c.Login.URL == "" {
		at(authorizePath, authorizationEndpoint, (*flow).serveLogin)
	} else if c.Login != nil {
		at(pathOf(c.Login.URL), authorizationEndpoint, (*flow).serveLogin)
	}
	at(codeHookPath, hookEndpoint, (*flow).serveCodeHook)
	for name := range c.Hooks {
		at(hookPath+"/"+name, hookEndpoint, (*flow).serveValueHook)
	}
	at(jwksPath, jwksEndpoint, (*flow).serveJWKS)
	if c.Metadata != nil && c.Metadata.JWKS != "" {
		at(pathOf(c.Metadata.JWKS), jwksEndpoint, (*flow).serveJWKS)
	}
	if e.metadata {
		issuerPath := pathOf(e.issuer)
		for _, p := range []string{"/.well-known/oauth-authorization-server" + issuerPath, "/.well-known/openid-configuration" + issuerPath, issuerPath + "/.well-known/openid-configuration"} {
			at(p, metadataEndpoint, (*flow).serveMetadata)
		}
	}
	e.revocationURL, e.introspectionURL = e.base+"/revoke", e.base+"/introspect"
	if c.Revocation != nil && c.Revocation.URL != "" {
		e.revocationURL = c.Revocation.URL
	}
	if c.Introspection != nil && c.Introspection.URL != "" {
		e.introspectionURL = c.Introspection.URL
	}
	at(pathOf(e.revocationURL), revocationEndpoint, (*flow).serveRevocation)
	at(pathOf(e.introspectionURL), introspectionEndpoint, (*flow).serveIntrospection)
	at(resourcePath, resourceEndpoint, (*flow).serveResource)
	at(userInfoPath, resourceEndpoint, (*flow).serveResource)
	at(scopedPath, resourceEndpoint, (*flow).serveScopedResource)
	if r := c.Resource; r != nil {
		at(pathOf(r.URL), resourceEndpoint, (*flow).serveResource)
		if r.Scoped != nil {
			at(pathOf(r.Scoped.URL), resourceEndpoint, (*flow).serveScopedResource)
		}
	}
	if s := c.Token.SampleResource; s != "" {
		at(pathOf(c.Endpoint.BaseURL)+s, resourceEndpoint, (*flow).serveResource)
	}
	at(e.dialect.path(nil), tokenEndpoint, (*flow).serveToken)
	for path := range e.dialect.byPath {
		at(path, tokenEndpoint, (*flow).serveToken)
	}
}

// methodsAt are the methods for an Allow field.
func (e *Emulator) methodsAt(at endpoint, path string) []string {
	switch at {
	case tokenEndpoint:
		return e.dialect.methods(path)
	case revocationEndpoint, introspectionEndpoint:
		return []string{http.MethodPost}
	case authorizationEndpoint, hookEndpoint, resourceEndpoint:
		return []string{http.MethodGet, http.MethodPost}
	}
	return []string{http.MethodGet, http.MethodHead}
}

// Env is the value of every reference of the contract, as it is for this emulator.
func (e *Emulator) Env() map[string]string {
	out := make(map[string]string, len(e.env))
	for name, v := range e.env {
		out[name] = v
	}
	return out
}

// Contract is the contract to judge this emulator by: bound, with every fixture.
func (e *Emulator) Contract() *contract.Contract {
	c := e.bound.Clone()
	if e.behaviour.offersPassword && e.edition != "oauth20" {
		c.Grants = withoutPassword(c.Grants)
	}
	for _, ch := range e.changes {
		if ch.setup.Judge != nil {
			ch.setup.Judge(c)
		}
	}
	return c
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
