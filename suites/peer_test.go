package suites_test

import (
	"cmp"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"math/big"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"grantcheck/report"
	"grantcheck/suites"
	"grantcheck/suites/contract"
	"grantcheck/suites/exchange"
)

// A peer is a whole authorization server of its own, written apart from the emulator and in another
// manner: as one would with a web framework and a map for a database. It conforms; a test bends one
// func of it and sees what a run makes of that.
type peer struct {
	*httptest.Server
	clock *suites.SkippingClock

	mu      sync.Mutex
	clients map[string]*peerClient
	users   map[string]string
	codes   map[string]*peerCode
	tokens  map[string]*peerToken // access tokens
	refresh map[string]*peerToken
	keys    []*rsa.PrivateKey
	trusts  *rsa.PrivateKey // verifies client assertions

	// What can be bent. All have a conforming default.
	before     func(w http.ResponseWriter, r *http.Request) bool // answers by itself, or leaves it
	find       func(id string) *peerClient
	secretIs   func(stored, given string) bool
	basic      func(credentials string) (id, secret string, ok bool)
	proves     func(challenge, verifier string) bool
	redirectIs func(registered, given string) bool
	codeFor    func(c *peerCode, client *peerClient) bool
	spent      func(c *peerCode) bool // marks a code as used; false when it was
	replayed   func(c *peerCode, f url.Values) (answer map[string]any)
	refreshFor func(t *peerToken, client *peerClient) bool
	narrow     func(original, asked []string) (granted []string, ok bool)
	rotate     func(old string, t *peerToken) (next string)
	token      func(client *peerClient, t *peerToken) string
	onToken    func(form url.Values, m map[string]any)
	onError    func(r *http.Request, form url.Values, status *int, m map[string]any, h http.Header)
	write      func(w http.ResponseWriter, status int, m map[string]any)
	onClaims   func(claims map[string]any)
	signID     func(client *peerClient, claims map[string]any) string
	onMetadata func(m map[string]any)
	onActive   func(m map[string]any)
	revoke     func(client *peerClient, token string)
	assertion  func(token string) *peerClient
	lapse      time.Duration // between looking a code up and marking it
	assertions map[string]bool

	pkceOnly bool                       // the authorization endpoint refuses flows without PKCE
	shape    func(c *contract.Contract) // changes the bound contract it is judged by
}

type peerClient struct {
	id, secret string
	public     bool
	grants     []string
	redirect   string
}

type peerCode struct {
	client    *peerClient
	user      string
	redirect  string
	scope     []string
	challenge string
	nonce     string
	made      time.Time
	used      bool
	answer    map[string]any
}

type peerToken struct {
	client *peerClient
	user   string
	scope  []string
	made   time.Time
	life   time.Duration
	family string
	dead   bool
	auth   time.Time
}

const (
	peerSecret  = "rT4-kq.Wz~9_xY2vLmB7nC0p"
	peerSpecial = "p%2B+q :r/ü&=" + "8sKd03Lq"
)

var peerKeys = sync.OnceValue(func() []*rsa.PrivateKey {
	var keys []*rsa.PrivateKey
	for range 3 {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys = append(keys, k)
	}
	return keys
})

// peerKeyFile writes the key that the client signs its assertions with.
func peerKeyFile(t *testing.T) string {
	der, err := x509.MarshalPKCS8PrivateKey(peerKeys()[2])
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// newPeer starts one; bend changes it first.
func newPeer(t *testing.T, bend func(*peer)) *peer {
	t.Helper()
	all := []string{"client_credentials", "password", "authorization_code", "refresh_token"}
	p := &peer{
		clock: &suites.SkippingClock{},
		clients: map[string]*peerClient{
			"Web-App":    {id: "Web-App", secret: peerSecret, grants: all, redirect: "http://127.0.0.1/Back/here"},
			"worker-two": {id: "worker-two", secret: "Jq8-mPz.Ns3~VtX5_cR1bHd6", grants: all, redirect: "http://127.0.0.1/Back/here"},
			"mobile":     {id: "mobile", public: true, grants: []string{"authorization_code", "refresh_token"}, redirect: "http://127.0.0.1/Back/here"},
			"idle":       {id: "idle", secret: "Gk2-wEz.Ht5~LyQ7_dS9vNm4", grants: []string{"implicit"}},
			"odd:id":     {id: "odd:id", secret: peerSpecial, grants: all, redirect: "http://127.0.0.1/Back/here"},
			"lengthy":    {id: "lengthy", secret: strings.Repeat("Yb7-wQc.Ut4~", 8), grants: all, redirect: "http://127.0.0.1/Back/here"},
			"victim":     {id: "victim", secret: "Ba6-uJc.Fr1~MxO3_eT8yKw0", grants: all, redirect: "http://127.0.0.1/Back/here"},
		},
		users:   map[string]string{"anna": "Correct horse 1", "bert": "Battery staple 2"},
		codes:   map[string]*peerCode{},
		tokens:  map[string]*peerToken{},
		refresh: map[string]*peerToken{},
		keys:    peerKeys()[:2], trusts: peerKeys()[2],
		assertions: map[string]bool{},
	}
	p.defaults()
	if bend != nil {
		bend(p)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/as/token", p.serveToken)
	mux.HandleFunc("/as/hook", p.serveHook)
	mux.HandleFunc("/as/introspect", p.serveIntrospection)
	mux.HandleFunc("/as/revoke", p.serveRevocation)
	mux.HandleFunc("/api/me", p.serveResource)
	mux.HandleFunc("/as/keys", p.serveKeys)
	mux.HandleFunc("/.well-known/oauth-authorization-server", p.serveMetadata)
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Server.Close)
	return p
}

func (p *peer) defaults() {
	p.find = func(id string) *peerClient { return p.clients[id] }
	p.secretIs = func(stored, given string) bool { return hmac.Equal([]byte(stored), []byte(given)) && given != "" }
	p.basic = func(credentials string) (string, string, bool) {
		raw, err := base64.StdEncoding.DecodeString(credentials)
		id, secret, ok := strings.Cut(string(raw), ":")
		id, e1 := url.QueryUnescape(id)
		secret, e2 := url.QueryUnescape(secret)
		return id, secret, ok && err == nil && e1 == nil && e2 == nil
	}
	p.proves = func(challenge, verifier string) bool {
		if challenge == "" || len(verifier) < 43 || len(verifier) > 128 {
			return challenge == "" && verifier == ""
		}
		sum := sha256.Sum256([]byte(verifier))
		return base64.RawURLEncoding.EncodeToString(sum[:]) == challenge
	}
	p.redirectIs = func(registered, given string) bool { return registered == given }
	p.codeFor = func(c *peerCode, client *peerClient) bool { return c.client == client }
	p.spent = func(c *peerCode) bool {
		was := c.used
		if p.lapse > 0 {
			p.mu.Unlock()
			time.Sleep(p.lapse)
			p.mu.Lock()
		}
		c.used = true
		return !was
	}
	p.refreshFor = func(t *peerToken, client *peerClient) bool { return t.client == client }
	p.narrow = func(original, asked []string) ([]string, bool) {
		for _, s := range asked {
			if !slices.Contains(original, s) {
				return nil, false
			}
		}
		return asked, true
	}
	p.rotate = func(old string, t *peerToken) string {
		t.dead = true
		next := *t
		next.dead = false
		token := "r." + word()
		p.refresh[token] = &next
		return token
	}
	p.token = func(*peerClient, *peerToken) string { return word() }
	p.write = func(w http.ResponseWriter, status int, m map[string]any) {
		w.Header().Set("Content-Type", "application/json;charset=UTF-8")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(m)
	}
	p.signID = func(_ *peerClient, claims map[string]any) string {
		return signRS(p.keys[0], map[string]any{"alg": "RS256", "kid": "one"}, claims)
	}
	p.revoke = func(client *peerClient, token string) {
		for _, m := range []map[string]*peerToken{p.tokens, p.refresh} {
			if t := m[token]; t != nil && t.client == client {
				for _, m := range []map[string]*peerToken{p.tokens, p.refresh} {
					for _, o := range m {
						o.dead = o.dead || o.family == t.family
					}
				}
			}
		}
	}
	p.assertion = p.clientOfAssertion
}

func word() string {
	b := make([]byte, 24)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

func signRS(key *rsa.PrivateKey, header, claims map[string]any) string {
	text := segmentOf(header) + "." + segmentOf(claims)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func segmentOf(m map[string]any) string {
	b, _ := json.Marshal(m)
	return base64.RawURLEncoding.EncodeToString(b)
}

// A refusal on its way out.
type peerError struct {
	status int
	code   string
	text   string
}

func (p *peer) serveToken(w http.ResponseWriter, r *http.Request) {
	if p.before != nil && p.before(w, r) {
		return
	}
	for name, value := range map[string]string{"Cache-Control": "no-store, no-cache, max-age=0, must-revalidate, private", "Pragma": "no-cache", "X-Content-Type-Options": "nosniff"} {
		w.Header().Set(name, value)
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST, OPTIONS")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	form, m, bad := p.handle(r)
	if bad == nil {
		p.mu.Lock()
		if p.onToken != nil {
			p.onToken(form, m)
		}
		p.mu.Unlock()
		p.write(w, 200, m)
		return
	}
	status, e := bad.status, map[string]any{"error": bad.code, "error_description": bad.text}
	if status == 401 && r.Header.Get("Authorization") != "" {
		w.Header().Set("WWW-Authenticate", `Basic realm="peer, \"test\"", charset="UTF-8"`)
	} else if status == 401 {
		status = 400
	}
	if p.onError != nil {
		p.onError(r, form, &status, e, w.Header())
	}
	p.write(w, status, e)
}

func (p *peer) handle(r *http.Request) (form url.Values, m map[string]any, bad *peerError) {
	fail := func(status int, code, text string) (url.Values, map[string]any, *peerError) {
		return form, nil, &peerError{status, code, text}
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err == nil && media == "application/x-www-form-urlencoded" {
		form, err = url.ParseQuery(string(body))
	}
	if err != nil || media != "application/x-www-form-urlencoded" {
		return fail(400, "invalid_request", "the body is no form")
	}
	for name, values := range form {
		if name != "resource" && len(values) > 1 {
			return fail(400, "invalid_request", "a parameter is repeated")
		}
		if values[0] == "" {
			delete(form, name)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	client, bad := p.authenticate(r, form)
	if bad != nil {
		return form, nil, bad
	}
	grant := form.Get("grant_type")
	handlers := map[string]func(*peerClient, url.Values) (map[string]any, *peerError){
		"client_credentials": p.clientCredentials, "password": p.password, "authorization_code": p.code, "refresh_token": p.refreshing,
	}
	h := handlers[grant]
	switch {
	case grant == "":
		return fail(400, "invalid_request", "grant_type is missing")
	case h == nil:
		return fail(400, "unsupported_grant_type", "not here")
	case !slices.Contains(client.grants, grant):
		return fail(400, "unauthorized_client", "not for this client")
	}
	m, bad = h(client, form)
	return form, m, bad
}

func (p *peer) authenticate(r *http.Request, form url.Values) (*peerClient, *peerError) {
	no := &peerError{401, "invalid_client", "client authentication failed"}
	if scheme, credentials, _ := strings.Cut(r.Header.Get("Authorization"), " "); scheme != "" {
		if !strings.EqualFold(scheme, "Basic") {
			return nil, no
		}
		id, secret, ok := p.basic(strings.TrimSpace(credentials))
		client := p.find(id)
		switch {
		case !ok || client == nil || client.public || !p.secretIs(client.secret, secret):
			return nil, no
		case form.Has("client_secret") || form.Has("client_assertion") || form.Has("client_id") && form.Get("client_id") != id:
			return nil, &peerError{400, "invalid_request", "more than one client"}
		}
		return client, nil
	}
	if form.Has("client_assertion") {
		client := p.assertion(form.Get("client_assertion"))
		if client == nil || form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" ||
			form.Has("client_id") && form.Get("client_id") != client.id || form.Has("client_secret") {
			return nil, no
		}
		return client, nil
	}
	client := p.find(form.Get("client_id"))
	if client == nil || client.public == form.Has("client_secret") || !client.public && !p.secretIs(client.secret, form.Get("client_secret")) {
		return nil, no
	}
	return client, nil
}

// verifyRS checks the signature of a client assertion.
func verifyRS(p *peer, parts []string) bool {
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	return err == nil && rsa.VerifyPKCS1v15(&p.trusts.PublicKey, crypto.SHA256, sum[:], sig) == nil
}

func (p *peer) clientOfAssertion(token string) *peerClient {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil
	}
	var header struct{ Alg string }
	var claims struct {
		Iss, Sub, Jti string
		Aud           any
		Exp, Nbf, Iat float64
	}
	for i, into := range []any{&header, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(raw, into) != nil {
			return nil
		}
	}
	client := p.clients[claims.Sub]
	now := float64(p.clock.Now().Unix())
	audience := []any{claims.Aud}
	if list, ok := claims.Aud.([]any); ok {
		audience = list
	}
	switch {
	case header.Alg != "RS256" || client == nil || client.id != "Web-App" || claims.Iss != claims.Sub,
		!verifyRS(p, parts),
		claims.Exp < now-10, claims.Nbf > now+30, claims.Iat > now+30, claims.Exp == 0, claims.Jti != "" && p.assertions[claims.Jti],
		!slices.Contains(audience, any(p.URL+"/as/token")) && !slices.Contains(audience, any(p.URL)):
		return nil
	}
	p.assertions[claims.Jti] = true
	return client
}

var peerScopes = []string{"openid", "offline_access", "read", "write", "list"}

// scope returns what is granted of what is asked for.
func peerScope(form url.Values) ([]string, *peerError) {
	asked := strings.Split(form.Get("scope"), " ")
	if form.Get("scope") == "" {
		return []string{"read"}, nil
	}
	for _, s := range asked {
		if !slices.Contains(peerScopes, s) {
			return nil, &peerError{400, "invalid_scope", "an unknown scope"}
		}
	}
	return asked, nil
}

func (p *peer) clientCredentials(client *peerClient, form url.Values) (map[string]any, *peerError) {
	scope, bad := peerScope(form)
	if bad != nil {
		return nil, bad
	}
	return p.issue(&peerToken{client: client, scope: scope}, false), nil
}

func (p *peer) password(client *peerClient, form url.Values) (map[string]any, *peerError) {
	if !form.Has("username") || !form.Has("password") {
		return nil, &peerError{400, "invalid_request", "username or password is missing"}
	}
	if p.users[form.Get("username")] != form.Get("password") {
		return nil, &peerError{400, "invalid_grant", "no such login"}
	}
	scope, bad := peerScope(form)
	if bad != nil {
		return nil, bad
	}
	return p.issue(&peerToken{client: client, user: form.Get("username"), scope: scope}, true), nil
}

func (p *peer) code(client *peerClient, form url.Values) (map[string]any, *peerError) {
	if !form.Has("code") {
		return nil, &peerError{400, "invalid_request", "code is missing"}
	}
	c := p.codes[form.Get("code")]
	no := &peerError{400, "invalid_grant", "the code is no good"}
	if c == nil || !p.codeFor(c, client) || p.clock.Now().Sub(c.made) > time.Minute || !p.redirectIs(c.redirect, form.Get("redirect_uri")) || !p.proves(c.challenge, form.Get("code_verifier")) {
		return nil, no
	}
	if !p.spent(c) {
		if p.replayed != nil {
			if m := p.replayed(c, form); m != nil {
				return m, nil
			}
		}
		for _, m := range []map[string]*peerToken{p.tokens, p.refresh} {
			for _, t := range m {
				t.dead = t.dead || t.family == form.Get("code")
			}
		}
		return nil, no
	}
	t := &peerToken{client: client, user: c.user, scope: c.scope, family: form.Get("code"), auth: c.made}
	m := p.issue(t, true)
	if slices.Contains(c.scope, "openid") {
		m["id_token"] = p.idToken(t, c.nonce, m["access_token"].(string))
	}
	c.answer = maps.Clone(m)
	return m, nil
}

func (p *peer) refreshing(client *peerClient, form url.Values) (map[string]any, *peerError) {
	if !form.Has("refresh_token") {
		return nil, &peerError{400, "invalid_request", "refresh_token is missing"}
	}
	old := form.Get("refresh_token")
	t := p.refresh[old]
	if t == nil || !p.refreshFor(t, client) {
		return nil, &peerError{400, "invalid_grant", "the refresh token is no good"}
	}
	if t.dead {
		for _, o := range p.refresh {
			o.dead = o.dead || o.family == t.family
		}
		return nil, &peerError{400, "invalid_grant", "the refresh token is no good"}
	}
	scope := t.scope
	if form.Has("scope") {
		var ok bool
		if scope, ok = p.narrow(t.scope, strings.Fields(form.Get("scope"))); !ok {
			return nil, &peerError{400, "invalid_scope", "more than was granted"}
		}
	}
	now := *t
	now.scope = scope
	m := p.issue(&now, false)
	if next := p.rotate(old, t); next != "" {
		m["refresh_token"] = next
	}
	if slices.Contains(scope, "openid") {
		m["id_token"] = p.idToken(t, "", m["access_token"].(string))
	}
	return m, nil
}

func (p *peer) issue(t *peerToken, withRefresh bool) map[string]any {
	t.made, t.life = p.clock.Now(), 30*time.Minute
	t.family = cmp.Or(t.family, word())
	if t.auth.IsZero() {
		t.auth = t.made
	}
	access := p.token(t.client, t)
	p.tokens[access] = t
	m := map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 1800, "scope": strings.Join(t.scope, " ")}
	if withRefresh {
		kept := *t
		token := "r." + word()
		p.refresh[token] = &kept
		m["refresh_token"] = token
	}
	return m
}

func (p *peer) idToken(t *peerToken, nonce, access string) string {
	sum := sha256.Sum256([]byte(access))
	now := p.clock.Now().Unix()
	claims := map[string]any{
		"iss": p.URL, "sub": "user|" + t.user, "aud": t.client.id, "exp": now + 600, "iat": now, "auth_time": t.auth.Unix(),
		"at_hash": base64.RawURLEncoding.EncodeToString(sum[:16]),
	}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	if p.onClaims != nil {
		p.onClaims(claims)
	}
	return p.signID(t.client, claims)
}

// serveHook is the login of a user who has consented before: it hands the redirect out.
func (p *peer) serveHook(w http.ResponseWriter, r *http.Request) {
	var asked struct{ Parameters map[string]string }
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	q := asked.Parameters
	p.mu.Lock()
	defer p.mu.Unlock()
	client := p.clients[q["client_id"]]
	back := func(with url.Values) {
		with.Set("state", q["state"])
		_ = json.NewEncoder(w).Encode(map[string]string{"redirect": q["redirect_uri"] + "?" + with.Encode()})
	}
	if client == nil || client.redirect != q["redirect_uri"] {
		http.Error(w, "no such client", 400)
		return
	}
	if (client.public || p.pkceOnly) && q["code_challenge"] == "" || q["code_challenge"] != "" && q["code_challenge_method"] != "S256" {
		back(url.Values{"error": {"invalid_request"}})
		return
	}
	code := "c" + word()
	p.codes[code] = &peerCode{client: client, user: "anna", redirect: q["redirect_uri"], scope: strings.Fields(q["scope"]), challenge: q["code_challenge"], nonce: q["nonce"], made: p.clock.Now()}
	back(url.Values{"code": {code}})
}

func (p *peer) caller(w http.ResponseWriter, r *http.Request) (*peerClient, url.Values) {
	_ = r.ParseForm()
	p.mu.Lock()
	defer p.mu.Unlock()
	client, bad := p.authenticate(r, r.PostForm)
	if bad != nil {
		w.Header().Set("WWW-Authenticate", `Basic realm="peer"`)
		p.write(w, 401, map[string]any{"error": "invalid_client"})
		return nil, nil
	}
	return client, r.PostForm
}

func (p *peer) alive(t *peerToken) bool {
	return t != nil && !t.dead && p.clock.Now().Sub(t.made) < t.life
}

func (p *peer) serveIntrospection(w http.ResponseWriter, r *http.Request) {
	_, form := p.caller(w, r)
	if form == nil {
		return
	}
	p.mu.Lock()
	t := p.tokens[form.Get("token")]
	if t == nil {
		t = p.refresh[form.Get("token")]
	}
	m := map[string]any{"active": false}
	if p.alive(t) {
		m = map[string]any{"active": true, "client_id": t.client.id, "scope": strings.Join(t.scope, " "), "exp": t.made.Add(t.life).Unix(), "username": t.user}
	}
	if p.onActive != nil {
		p.onActive(m)
	}
	p.mu.Unlock()
	p.write(w, 200, m)
}

func (p *peer) serveRevocation(w http.ResponseWriter, r *http.Request) {
	client, form := p.caller(w, r)
	if form == nil {
		return
	}
	if form.Get("token") == "" {
		p.write(w, 400, map[string]any{"error": "invalid_request"})
		return
	}
	p.mu.Lock()
	p.revoke(client, form.Get("token"))
	p.mu.Unlock()
	w.WriteHeader(200)
}

func (p *peer) serveResource(w http.ResponseWriter, r *http.Request) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	p.mu.Lock()
	ok := p.alive(p.tokens[token])
	p.mu.Unlock()
	switch {
	case scheme == "":
		w.Header().Add("WWW-Authenticate", `DPoP algs="ES256 RS256", Bearer realm="api"`)
		w.WriteHeader(401)
	case !strings.EqualFold(scheme, "Bearer") || !ok:
		w.Header().Add("WWW-Authenticate", `DPoP algs="ES256 RS256"`)
		w.Header().Add("WWW-Authenticate", `Bearer realm="api", error="invalid_token", error_description="gone"`)
		w.WriteHeader(401)
	default:
		p.write(w, 200, map[string]any{"hello": "there"})
	}
}

func (p *peer) serveKeys(w http.ResponseWriter, _ *http.Request) {
	var keys []map[string]any
	for i, k := range p.keys {
		keys = append(keys, map[string]any{
			"kty": "RSA", "kid": []string{"one", "two"}[i], "alg": "RS256", "use": "sig",
			"n": base64.RawURLEncoding.EncodeToString(k.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(k.E)).Bytes()),
		})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": keys})
}

func (p *peer) serveMetadata(w http.ResponseWriter, _ *http.Request) {
	m := map[string]any{
		"issuer": p.URL, "token_endpoint": p.URL + "/as/token", "jwks_uri": p.URL + "/as/keys", "authorization_endpoint": p.URL + "/as/authorize",
		"grant_types_supported":                            []string{"client_credentials", "password", "authorization_code", "refresh_token"},
		"response_types_supported":                         []string{"code"},
		"code_challenge_methods_supported":                 []string{"S256"},
		"token_endpoint_auth_methods_supported":            []string{"client_secret_basic", "client_secret_post", "private_key_jwt", "none"},
		"token_endpoint_auth_signing_alg_values_supported": []string{"RS256"},
	}
	if p.onMetadata != nil {
		p.onMetadata(m)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(m)
}

// judge runs every rule against the peer, by the contract that needs nothing but the standards.
func (p *peer) judge(t *testing.T, change func(values map[string]string, c *contract.Contract, cfg *suites.Config)) *report.Run {
	t.Helper()
	values := map[string]string{
		"BASE_URL": p.URL, "TOKEN_PATH": "/as/token", "CLIENT_ID": "Web-App", "CLIENT_SECRET": peerSecret, "REDIRECT_URI": "http://127.0.0.1/Back/here",
		"CODE_HOOK": p.URL + "/as/hook", "INTROSPECTION_URL": p.URL + "/as/introspect", "REVOCATION_URL": p.URL + "/as/revoke", "RESOURCE_URL": p.URL + "/api/me",
		"ISSUER": p.URL, "AUTHORIZATION_URL": p.URL + "/as/authorize", "USERNAME": "anna", "PASSWORD": "Correct horse 1",
		"SECOND_CLIENT_ID": "worker-two", "SECOND_CLIENT_SECRET": "Jq8-mPz.Ns3~VtX5_cR1bHd6", "PUBLIC_CLIENT_ID": "mobile",
		"NO_GRANT_CLIENT_ID": "idle", "NO_GRANT_CLIENT_SECRET": "Gk2-wEz.Ht5~LyQ7_dS9vNm4", "SPECIAL_CLIENT_ID": "odd:id", "SPECIAL_CLIENT_SECRET": peerSpecial,
		"SACRIFICIAL_CLIENT_ID": "victim", "SACRIFICIAL_CLIENT_SECRET": "Ba6-uJc.Fr1~MxO3_eT8yKw0",
		"LONG_CLIENT_ID": "lengthy", "LONG_CLIENT_SECRET": strings.Repeat("Yb7-wQc.Ut4~", 8), "CLIENT_KEY_FILE": peerKeyFile(t),
		"SCOPE": "openid read", "GRANTABLE_SCOPE": "read write",
	}
	c, err := contract.Open("standard")
	if err != nil {
		t.Fatal(err)
	}
	cfg := suites.Config{Exchange: exchange.Options{Timeout: 5 * time.Second}, Allow: []string{"all"}, Parallel: 1, Plain: true, MaxRequests: -1, Clock: p.clock}
	zero := 0.0
	cfg.Rate = &zero
	if change != nil {
		change(values, c, &cfg)
	}
	bound, secrets, err := c.Bind(func(name string) (string, bool) {
		v, ok := values[strings.TrimPrefix(name, "GRANTCHECK_")]
		return v, ok && v != ""
	}, contract.BindOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if p.shape != nil {
		p.shape(bound)
	}
	cfg.Contract, cfg.Exchange.Secrets = bound, secrets
	run, err := suites.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return run
}
