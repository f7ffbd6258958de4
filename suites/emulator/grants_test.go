package emulator

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"grantcheck/suites/contract"
)

const (
	verifierA  = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"
	challengeA = "RqIZl4LIgn8KxW9QO-nTnv7pf0CnNrksx9fF-CXP2FE"
)

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return b64.EncodeToString(sum[:])
}

func (r reply) is(t *testing.T, what string, status int, code string) {
	t.Helper()
	if r.status != status || r.code() != code {
		t.Errorf("%s: %d %s, want %d %q", what, r.status, r.body, status, code)
	}
	if status < 400 && r.text("access_token") == "" {
		t.Errorf("%s: no token in %s", what, r.body)
	}
}

// alive asks introspection for a token.
func (e *Emulator) alive(t *testing.T, token string) bool {
	t.Helper()
	r := e.ask(t, request{url: e.introspectionURL, form: form("token", token), basic: e.primary()})
	if r.status != 200 {
		t.Fatalf("introspection: %d %s", r.status, r.body)
	}
	return r.json["active"] == true
}

func TestAuthorizationCode(t *testing.T) {
	e := start(t, "standard", Options{})
	c := e.Contract()
	if challengeOf(verifierA) != challengeA {
		t.Fatalf("challenge %s", challengeOf(verifierA))
	}
	code := e.freshCode(t, codeWith(e))
	first := e.exchangeCode(t, code)
	first.is(t, "first use", 200, "")
	if !e.alive(t, first.text("access_token")) {
		t.Error("token is not active")
	}
	e.exchangeCode(t, code, "client_secret", "x").is(t, "unauthenticated replay", 400, "invalid_request")
	if !e.alive(t, first.text("access_token")) {
		t.Error("an invalid replay ended the token")
	}
	e.exchangeCode(t, code).is(t, "second use", 400, "invalid_grant")
	if e.alive(t, first.text("access_token")) || e.alive(t, first.text("refresh_token")) {
		t.Error("a replay left the tokens alive")
	}
	uri := c.Client.RedirectURI
	for _, other := range []string{"-", uri + "/", uri + "?a=b", strings.ToUpper(uri), "https://elsewhere.example/callback"} {
		e.exchangeCode(t, e.freshCode(t, codeWith(e)), "redirect_uri", other).is(t, "redirect_uri "+other, 400, "invalid_grant")
	}
	e.exchangeCode(t, "nonsense").is(t, "unknown code", 400, "invalid_grant")
	e.exchangeCode(t, "-", "code", "-").is(t, "no code", 400, "invalid_request")

	second, _ := c.ClientNamed("second")
	e.ask(t, request{form: form("grant_type", "authorization_code", "code", e.freshCode(t, codeWith(e)), "redirect_uri", uri), basic: [2]string{second.ID, second.Secret}}).
		is(t, "another client", 400, "invalid_grant")

	public, _ := c.ClientNamed("public")
	v := form("grant_type", "authorization_code", "code", e.freshCode(t, codeWith(e, "client", "public")), "redirect_uri", uri)
	if got := e.ask(t, request{form: v}); got.status < 400 {
		t.Error("a public client without client_id got a token")
	}
	v.Set("client_id", public.ID)
	e.ask(t, request{form: v}).is(t, "public client", 200, "")

	narrow := e.exchangeCode(t, e.freshCode(t, codeWith(e, "scope", "read")), "scope", "read write")
	if narrow.is(t, "scope at the exchange", 200, ""); narrow.text("scope") != "read" {
		t.Errorf("scope %q", narrow.text("scope"))
	}
}

func TestPKCE(t *testing.T) {
	e := start(t, "standard", Options{})
	with := func(extra ...any) string {
		return e.freshCode(t, codeWith(e, append([]any{"challenge", challengeA}, extra...)...))
	}
	e.exchangeCode(t, with(), "code_verifier", verifierA).is(t, "right verifier", 200, "")
	e.exchangeCode(t, with(), "code_verifier", strings.Repeat("x", 43)).is(t, "wrong verifier", 400, "invalid_grant")
	e.exchangeCode(t, with()).is(t, "no verifier", 400, "invalid_grant")
	e.exchangeCode(t, with(), "code_verifier", "").is(t, "empty verifier", 400, "invalid_grant")
	e.exchangeCode(t, with(), "code_verifier", challengeA, "code_challenge_method", "plain").is(t, "the challenge itself", 400, "invalid_grant")
	e.exchangeCode(t, e.freshCode(t, codeWith(e)), "code_verifier", verifierA).is(t, "verifier without challenge", 400, "invalid_grant")
	for n, status := range map[int]int{20: 400, 42: 400, 43: 200, 128: 200, 129: 400} {
		v := strings.Repeat("~", n)
		if got := e.exchangeCode(t, e.freshCode(t, codeWith(e, "challenge", challengeOf(v))), "code_verifier", v); got.status != status {
			t.Errorf("verifier of %d characters: %d %s", n, got.status, got.body)
		}
	}
	e.exchangeCode(t, with("challenge", verifierA, "challenge_method", "plain"), "code_verifier", verifierA).is(t, "plain", 200, "")

	bcp := start(t, "standard", Options{Edition: "bcp"})
	if got := bcp.ask(t, request{url: bcp.base + codeHookPath, raw: `{"client":"public"}`}); !strings.Contains(got.text("redirect"), "error=invalid_request") {
		t.Errorf("public client without challenge: %d %s", got.status, got.body)
	}
	unsupported := start(t, "", Options{Contract: edited(t, func(c *contract.Contract) {
		c.AuthorizationEndpoint = &contract.AuthorizationEndpoint{PKCE: "unsupported", Path: "/authorize"}
	})})
	unsupported.exchangeCode(t, unsupported.freshCode(t, codeWith(unsupported, "challenge", challengeA)), "code_verifier", strings.Repeat("y", 43)).
		is(t, "a server without PKCE", 200, "")
}

// edited is the standard contract, bound, with changes.
func edited(t *testing.T, change func(*contract.Contract)) *contract.Contract {
	t.Helper()
	c := start(t, "standard", Options{}).Contract()
	change(c)
	return c
}

func (e *Emulator) refreshWith(t *testing.T, token string, more ...string) reply {
	t.Helper()
	v := form(append([]string{"grant_type", "refresh_token", "refresh_token", token}, more...)...)
	return e.ask(t, request{form: v, basic: e.primary()})
}

func TestRefresh(t *testing.T) {
	clock := newClock()
	e := start(t, "standard", Options{Now: clock.now})
	c := e.Contract()
	fresh := func(scope string) reply {
		got := e.exchangeCode(t, e.freshCode(t, codeWith(e, "scope", scope)))
		got.is(t, "code", 200, "")
		return got
	}
	first := fresh("read write")
	narrowed := e.refreshWith(t, first.text("refresh_token"), "scope", "read")
	narrowed.is(t, "narrowed", 200, "")
	if narrowed.text("scope") != "read" {
		t.Errorf("narrowed scope %q", narrowed.text("scope"))
	}
	whole := e.refreshWith(t, narrowed.text("refresh_token"))
	if whole.is(t, "whole again", 200, ""); whole.text("scope") != "read write" {
		t.Errorf("scope after narrowing %q", whole.text("scope"))
	}
	e.refreshWith(t, whole.text("refresh_token"), "scope", "read write openid").is(t, "widened", 400, "invalid_scope")
	e.refreshWith(t, first.text("refresh_token")).is(t, "rotated away", 400, "invalid_grant")
	e.refreshWith(t, whole.text("refresh_token")).is(t, "after the replay of a confidential client", 200, "")
	e.refreshWith(t, whole.text("access_token")).is(t, "an access token", 400, "invalid_grant")
	e.refreshWith(t, "").is(t, "nothing", 400, "invalid_request")
	second, _ := c.ClientNamed("second")
	e.ask(t, request{form: form("grant_type", "refresh_token", "refresh_token", fresh("read").text("refresh_token")), basic: [2]string{second.ID, second.Secret}}).
		is(t, "another client", 400, "invalid_grant")

	// Lost answer: within the grace period, before the successor was used, the same token works again.
	lost := fresh("read").text("refresh_token")
	e.refreshWith(t, lost).is(t, "once", 200, "")
	clock.add(2 * time.Second)
	e.refreshWith(t, lost).is(t, "retried", 200, "")
	clock.add(15 * time.Second)
	e.refreshWith(t, lost).is(t, "after the grace period", 400, "invalid_grant")

	// Public clients: a replay ends the family.
	public, _ := c.ClientNamed("public")
	ask := func(token string) reply {
		return e.ask(t, request{form: form("grant_type", "refresh_token", "refresh_token", token, "client_id", public.ID)})
	}
	start := e.ask(t, request{form: form("grant_type", "authorization_code", "code", e.freshCode(t, codeWith(e, "client", "public")), "redirect_uri", c.Client.RedirectURI, "client_id", public.ID)})
	next := ask(start.text("refresh_token"))
	next.is(t, "public refresh", 200, "")
	clock.add(15 * time.Second)
	ask(start.text("refresh_token")).is(t, "public replay", 400, "invalid_grant")
	ask(next.text("refresh_token")).is(t, "newest after the replay", 400, "invalid_grant")
}

func TestRaces(t *testing.T) {
	e := start(t, "standard", Options{})
	together := func(n int, ask func() reply) []reply {
		out := make([]reply, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { out[i] = ask() })
		}
		wg.Wait()
		return out
	}
	code := e.freshCode(t, codeWith(e))
	won := 0
	for _, r := range together(8, func() reply { return e.exchangeCode(t, code) }) {
		if r.status == 200 {
			won++
		} else {
			r.is(t, "loser", 400, "invalid_grant")
		}
	}
	if won != 1 {
		t.Errorf("%d of 8 won", won)
	}
	token := e.exchangeCode(t, e.freshCode(t, codeWith(e))).text("refresh_token")
	seen := map[string]bool{}
	for _, r := range together(5, func() reply { return e.refreshWith(t, token) }) {
		r.is(t, "parallel refresh", 200, "")
		seen[r.text("access_token")] = true
		seen[r.text("refresh_token")] = true
	}
	if len(seen) != 10 {
		t.Errorf("%d different tokens of 10", len(seen))
	}
}

// assertion signs claims as a client of the emulator would.
func (e *Emulator) assertion(fixture string, change func(header, claims *object, key *signingKey)) string {
	c := e.fixture(fixture)
	key := *c.signing
	header := object{{Name: "alg", Value: key.alg}}
	claims := e.claimsOf(c.id)
	if change != nil {
		change(&header, &claims, &key)
	}
	return key.sign(header, claims)
}

func (e *Emulator) claimsOf(id string) object {
	now := e.now()
	return object{
		{Name: "iss", Value: id},
		{Name: "sub", Value: id},
		{Name: "aud", Value: e.URL()},
		{Name: "iat", Value: now.Unix()},
		{Name: "exp", Value: now.Add(time.Minute).Unix()},
		{Name: "jti", Value: e.randomToken()},
	}
}

func TestClientAssertion(t *testing.T) {
	e := start(t, "standard", Options{})
	ask := func(assertion string, more ...string) reply {
		return e.ask(t, request{form: form(append([]string{"grant_type", "client_credentials", "client_assertion_type", jwtBearerAssertion, "client_assertion", assertion}, more...)...)})
	}
	good := e.assertion("", nil)
	ask(good).is(t, "valid", 200, "")
	ask(good).is(t, "replayed", 401, "invalid_client")
	now := e.now()
	claim := func(name string, v any) func(*object, *object, *signingKey) {
		return func(_, claims *object, _ *signingKey) {
			if v == nil {
				claims.drop(name)
			} else {
				claims.set(name, v)
			}
		}
	}
	hour := int64(3600)
	for what, change := range map[string]func(*object, *object, *signingKey){
		"expired":       claim("exp", now.Unix()-hour),
		"no exp":        claim("exp", nil),
		"not yet":       claim("nbf", now.Unix()+hour),
		"wrong aud":     claim("aud", "https://elsewhere.example"),
		"no aud":        claim("aud", nil),
		"no iss":        claim("iss", nil),
		"wrong iss":     claim("iss", e.fixture("second").id),
		"no sub":        claim("sub", nil),
		"wrong sub":     claim("sub", e.fixture("second").id),
		"old iat":       claim("iat", now.Unix()-30*24*hour),
		"alg none":      func(h, _ *object, k *signingKey) { h.set("alg", "none"); k.alg = "none" },
		"another's key": func(_, _ *object, k *signingKey) { *k = *e.fixture("second").signing },
		"public key as MAC key": func(h, _ *object, k *signingKey) {
			h.set("alg", "HS256")
			k.alg, k.secret = "HS256", k.jwk().json()
		},
		"foreign key in jwk": func(h, _ *object, k *signingKey) {
			foreign := newECKey("key-1")
			foreign.alg = "ES256"
			h.set("jwk", foreign.jwk())
			h.set("alg", "ES256")
			*k = *foreign
		},
	} {
		ask(e.assertion("", change)).is(t, what, 401, "invalid_client")
	}
	flipped := []byte(e.assertion("", nil))
	flipped[len(flipped)-10] ^= 1
	ask(string(flipped)).is(t, "bad signature", 401, "invalid_client")
	for _, malformed := range []string{"abc", "e30.e30", "e30.bm90IGpzb24.e30"} {
		ask(malformed).is(t, malformed, 401, "invalid_client")
	}
	ask(e.assertion("", claim("aud", e.issuer))).is(t, "issuer as audience", 200, "")
	ask(e.assertion("", claim("aud", []string{e.URL()}))).is(t, "audience in a list", 200, "")
	ask(e.assertion("", claim("nbf", now.Unix()+8))).is(t, "clock skew", 200, "")
	ask(e.assertion("", nil), "client_id", e.fixture("second").id).is(t, "client_id of another", 400, "invalid_request")
	ask(e.assertion("", nil), "client_secret", e.primary()[1]).is(t, "and a secret", 400, "invalid_request")
	e.ask(t, request{form: form("grant_type", "client_credentials", "client_assertion", e.assertion("", nil))}).is(t, "no type", 401, "invalid_client")

	mac := e.fixture("client_secret_jwt")
	key := &signingKey{alg: "HS256", secret: []byte(mac.secret)}
	ask(key.sign(object{{Name: "alg", Value: "HS256"}}, e.claimsOf(mac.id))).is(t, "client_secret_jwt", 200, "")
}

func TestJWTBearer(t *testing.T) {
	e := start(t, "standard", Options{})
	g, _ := e.Contract().Grant("jwt_bearer")
	if g == nil {
		g, _ = e.Contract().GrantOfType(jwtBearer)
	}
	key := *e.keyFiles[g.Assertion.KeyFile]
	ask := func(change func(*object), more ...string) reply {
		claims := e.claimsOf(e.issuers.names[0])
		claims.set("sub", "alice")
		change(&claims)
		return e.ask(t, request{form: form(append([]string{"grant_type", jwtBearer, "assertion", key.sign(object{{Name: "alg", Value: key.alg}}, claims)}, more...)...), basic: e.primary()})
	}
	ask(func(*object) {}).is(t, "valid", 200, "")
	past := e.now().Add(-time.Hour).Unix()
	for what, change := range map[string]func(*object){
		"expired": func(c *object) { c.set("exp", past) }, "no exp": func(c *object) { c.drop("exp") },
		"not yet": func(c *object) { c.set("nbf", past+7200) }, "aud": func(c *object) { c.set("aud", "https://x.example") },
		"no aud": func(c *object) { c.drop("aud") }, "no iss": func(c *object) { c.drop("iss") }, "no sub": func(c *object) { c.drop("sub") },
	} {
		ask(change).is(t, what, 400, "invalid_grant")
	}
	e.ask(t, request{form: form("grant_type", jwtBearer), basic: e.primary()}).is(t, "no assertion", 400, "invalid_request")
}

func TestRevocation(t *testing.T) {
	e := start(t, "standard", Options{})
	second, _ := e.Contract().ClientNamed("second")
	revoke := func(token string, who [2]string, more ...string) reply {
		return e.ask(t, request{url: e.revocationURL, form: form(append([]string{"token", token}, more...)...), basic: who})
	}
	pair := e.exchangeCode(t, e.freshCode(t, codeWith(e)))
	access, refresh := pair.text("access_token"), pair.text("refresh_token")
	if got := revoke(access, [2]string{second.ID, second.Secret}); got.status != 200 || !e.alive(t, access) {
		t.Errorf("foreign revocation: %d, alive %v", got.status, e.alive(t, access))
	}
	if got := revoke(access, [2]string{e.primary()[0], "wrong"}); got.status != 401 || !e.alive(t, access) {
		t.Errorf("unauthenticated revocation: %d", got.status)
	}
	if got := revoke(refresh, e.primary(), "token_type_hint", "access_token"); got.status != 200 || e.alive(t, refresh) || e.alive(t, access) {
		t.Errorf("revocation: %d %v %v", got.status, e.alive(t, refresh), e.alive(t, access))
	}
	e.refreshWith(t, refresh).is(t, "revoked", 400, "invalid_grant")
	if got := revoke("unknown", e.primary()); got.status != 200 {
		t.Errorf("unknown token: %d", got.status)
	}
	if got := e.ask(t, request{url: e.revocationURL, raw: "x=y", basic: e.primary()}); got.status != 400 || got.code() != "invalid_request" {
		t.Errorf("no token: %d %s", got.status, got.body)
	}
	if got := e.ask(t, request{url: e.introspectionURL, form: form("token", access)}); got.status != 401 || got.header.Get("WWW-Authenticate") == "" {
		t.Errorf("anonymous introspection: %d %s", got.status, got.body)
	}
}

func TestBearer(t *testing.T) {
	clock := newClock()
	e := start(t, "standard", Options{Now: clock.now})
	c := e.Contract()
	token := e.ask(t, request{form: form("grant_type", "client_credentials"), basic: e.primary()}).text("access_token")
	get := func(address, authorization string) reply {
		q := request{method: "GET", url: address, header: map[string]string{}}
		if authorization != "" {
			q.header["Authorization"] = authorization
		}
		return e.ask(t, q)
	}
	for _, scheme := range []string{"Bearer", "bearer", "BEARER"} {
		if got := get(c.Resource.URL, scheme+" "+token); got.status != 200 || got.text("sub") == "" {
			t.Errorf("%s: %d %s", scheme, got.status, got.body)
		}
	}
	for what, one := range map[string]struct{ authorization, address, want string }{
		"no token":     {"", c.Resource.URL, `401 Bearer realm="grantcheck emulator"`},
		"random token": {"Bearer random", c.Resource.URL, `401 Bearer realm="grantcheck emulator", error="invalid_token"`},
		"scope":        {"Bearer " + token, c.Resource.Scoped.URL, `403 Bearer realm="grantcheck emulator", error="insufficient_scope"`},
	} {
		got := get(one.address, one.authorization)
		if s := fmt.Sprintf("%d %s", got.status, got.header.Get("WWW-Authenticate")); !strings.HasPrefix(s, one.want) || !strings.Contains(one.want, "error") && s != one.want {
			t.Errorf("%s: %s", what, s)
		}
	}
	if got := e.ask(t, request{url: c.Resource.URL, form: form("access_token", token)}); got.status != 200 {
		t.Errorf("form token: %d %s", got.status, got.body)
	}
	if got := get(c.Resource.URL+"?access_token="+token, ""); got.status != 200 || !strings.Contains(got.header.Get("Cache-Control"), "private") {
		t.Errorf("query token: %d %s", got.status, got.header.Get("Cache-Control"))
	}
	clock.add(2 * time.Hour)
	if got := get(c.Resource.URL, "Bearer "+token); got.status != 401 {
		t.Errorf("expired token: %d", got.status)
	}
	later := start(t, "standard", Options{Edition: "oauth21"})
	token = later.ask(t, request{form: form("grant_type", "client_credentials"), basic: later.primary()}).text("access_token")
	if got := later.ask(t, request{method: "GET", url: later.Contract().Resource.URL + "?access_token=" + token}); got.status != 401 {
		t.Errorf("query token of a later edition: %d", got.status)
	}
}

func TestMetadata(t *testing.T) {
	e := start(t, "standard", Options{})
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
		got := e.ask(t, request{method: "GET", url: e.base + path})
		if got.status != 200 || got.text("issuer") != e.Contract().Metadata.Issuer || got.text("token_endpoint") != e.URL() {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
		jwks := e.ask(t, request{method: "GET", url: got.text("jwks_uri")})
		if keys, _ := jwks.json["keys"].([]any); len(keys) < 2 {
			t.Errorf("keys %s", jwks.body)
		}
	}
}

func TestLoginPages(t *testing.T) {
	e := start(t, "standard", Options{})
	c := e.Contract()
	jar := map[string]string{}
	step := func(method string, v map[string]string) *http.Response {
		q := form("client_id", c.Client.ID, "redirect_uri", c.Client.RedirectURI, "response_type", "code", "state", "s", "scope", "read")
		for name, value := range v {
			q.Set(name, value)
		}
		req, _ := http.NewRequest(method, c.Login.URL+"?"+q.Encode(), nil)
		if method == "POST" {
			req, _ = http.NewRequest(method, c.Login.URL, strings.NewReader(q.Encode()))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if jar["session"] != "" {
			req.AddCookie(&http.Cookie{Name: "session", Value: jar["session"]})
		}
		resp, err := noRedirects.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		for _, k := range resp.Cookies() {
			jar[k.Name] = k.Value
		}
		return resp
	}
	if r := step("GET", nil); r.StatusCode != 200 {
		t.Fatal(r.Status)
	}
	if r := step("POST", map[string]string{"session": jar["session"], "action": "allow"}); r.StatusCode != 200 {
		t.Fatal("consent without login: " + r.Status)
	}
	if r := step("POST", map[string]string{"session": jar["session"], "action": "login", "login": c.User.UserName, "secret": c.User.Password}); r.StatusCode != 200 {
		t.Fatal(r.Status)
	}
	r := step("POST", map[string]string{"session": jar["session"], "action": "allow"})
	back, err := r.Location()
	if err != nil {
		t.Fatal(r.Status, err)
	}
	e.exchangeCode(t, back.Query().Get("code")).is(t, "code of the walk", 200, "")
}

// testClock stands still unless moved.
type testClock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *testClock { return &testClock{t: time.Unix(1790000000, 0)} }

func (c *testClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *testClock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}
