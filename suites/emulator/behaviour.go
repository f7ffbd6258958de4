package emulator

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// behaviour holds every decision the emulator takes, as data. A fault or a
// variation changes one of them and touches nothing else.
//
// There are three kinds of places to change:
//
//   - a check: a requirement with a name (type point), asked through flow.check;
//     skip, skipIf and instead change it;
//   - a choice: a func member with a standard answer; assign or wrap it;
//   - a hook: code run before or after a stage, on a refusal, on the claims of a
//     token, or on the finished answer of any endpoint.
type behaviour struct {
	// Choices while reading the request.

	// bodyKind tells how the body is read: "form", "json", "multipart", "query", or "" for 415.
	bodyKind func(f *flow) string
	// methodAllowed says whether the HTTP method is served at this endpoint.
	methodAllowed func(f *flow) bool
	// unescape decodes one form-encoded name or value.
	unescape func(f *flow, raw string) (string, error)
	// parameterName turns a decoded name into the one that is looked up.
	parameterName func(f *flow, name string) string
	// fromQuery says whether a query parameter counts as if it were in the body.
	fromQuery func(f *flow, name string) bool
	// duplicates decides which of several values of one known parameter counts; false refuses.
	duplicates func(f *flow, name string, values []string) (string, bool)
	// grantTypeOf reads the grant type from the request.
	grantTypeOf func(f *flow) string

	// Choices while authenticating.

	// schemeIs compares an authentication scheme with the wanted one.
	schemeIs func(f *flow, got, want string) bool
	// basicDecode lists the readings of one half of Basic credentials, in order.
	basicDecode func(f *flow, half string) []string
	// lookupClient finds a client by id; nil if there is none.
	lookupClient func(f *flow, id string) *client
	// methodFor says whether a client may authenticate this way: basic, post, jwt or none.
	methodFor func(f *flow, c *client, method string) bool
	// secretMatches compares a presented secret with the client's.
	secretMatches func(f *flow, c *client, presented string) bool
	// assertionKeys are the keys that may have signed an assertion of the client or issuer.
	assertionKeys func(f *flow, t *jws) []verifyKey

	// Choices in the grants.

	lookupUser      func(f *flow, name string) *user
	passwordMatches func(f *flow, u *user, presented string) bool
	// guesses is how many wrong secrets or passwords in a row are answered before a pause; 0: any number.
	guesses func(f *flow, what string) int
	// grantScope decides what is granted of what was asked for.
	grantScope func(f *flow, ask scopeAsk) ([]string, *refusal)
	// codeSpent marks a code as used and says whether it was already; it is atomic.
	codeSpent func(f *flow, c *code) bool
	// refreshSpent marks a refresh token as used in favour of the next one, and says what came before.
	refreshSpent func(f *flow, t *refreshToken) refreshState
	// rotates says whether a refresh answer carries a new refresh token.
	rotates func(f *flow) bool
	// revokesFamily says whether the refused replay of a refresh token ends its whole family.
	revokesFamily func(f *flow, t *refreshToken) bool
	// issuesRefresh says whether the answer to a first grant carries a refresh token.
	issuesRefresh func(f *flow) bool
	// lifetime is how long an access token is said to live, and how long it does.
	lifetime func(f *flow) (said, real time.Duration)
	// signingKey signs a kind of token: access_token, id_token.
	signingKey func(f *flow, kind string) *signingKey
	// wantsIDToken says whether the answer carries an id_token.
	wantsIDToken func(f *flow) bool
	// newToken makes a random value of a kind: access, refresh, code, jti, sid, sample.
	newToken func(f *flow, kind string) string
	// findAccess and findRefresh look a presented token up; nil if unknown.
	findAccess  func(f *flow, token string) *accessToken
	findRefresh func(f *flow, token string) *refreshToken
	findCode    func(f *flow, value string) *code
	// corsOrigin is the value of Access-Control-Allow-Origin for this request, or "".
	corsOrigin func(f *flow) string
	// retryAfter turns the wait until the limit allows a request again into header values.
	retryAfter func(f *flow, wait time.Duration) []string
	// limitFactor multiplies every rate limit in force.
	limitFactor float64

	// tls changes how TLS is spoken, where it is.
	tls func(o *TLS)

	// offersPassword keeps the password grant in editions that forbid it, though the
	// contract to judge by does not list it.
	offersPassword bool
	// leeway is what the emulator forgives a clock, codeLifetime how long a code lives.
	leeway       time.Duration
	codeLifetime time.Duration

	checks map[point]func(f *flow, standard func() *refusal) *refusal
	hooks  map[stage]*stageHooks

	claims  []func(f *flow, t *draft)
	refused []func(f *flow, r *refusal)
	answers []func(f *flow, a *answer)
	world   []func(e *Emulator)
}

type stageHooks struct{ before, after []func(f *flow) *refusal }

// point names a requirement; see points.go for all of them.
type point string

// skip lets the named checks pass whatever is presented.
func (b *behaviour) skip(points ...point) {
	for _, p := range points {
		b.skipIf(p, func(*flow) bool { return true })
	}
}

// skipIf lets the check pass where cond holds, and leaves it as it was elsewhere.
func (b *behaviour) skipIf(p point, cond func(f *flow) bool) {
	b.instead(p, func(f *flow, standard func() *refusal) *refusal {
		if cond(f) {
			return nil
		}
		return standard()
	})
}

// instead replaces a check. The standard one may be called or left; what it would
// have put into the flow (client, user, code …) is then the caller's to put there.
func (b *behaviour) instead(p point, fn func(f *flow, standard func() *refusal) *refusal) {
	if b.checks == nil {
		b.checks = map[point]func(*flow, func() *refusal) *refusal{}
	}
	if inner := b.checks[p]; inner != nil {
		b.checks[p] = func(f *flow, standard func() *refusal) *refusal {
			return fn(f, func() *refusal { return inner(f, standard) })
		}
		return
	}
	b.checks[p] = fn
}

// deny fails the named check whatever is presented.
func (b *behaviour) deny(p point, why reason) {
	b.instead(p, func(*flow, func() *refusal) *refusal { return refuse(why) })
}

// before and after run fn around a stage of the token request; a refusal ends it.
func (b *behaviour) before(s stage, fn func(f *flow) *refusal) {
	h := b.stageHooks(s)
	h.before = append(h.before, fn)
}

func (b *behaviour) after(s stage, fn func(f *flow) *refusal) {
	h := b.stageHooks(s)
	h.after = append(h.after, fn)
}

func (b *behaviour) stageHooks(s stage) *stageHooks {
	if b.hooks == nil {
		b.hooks = map[stage]*stageHooks{}
	}
	if b.hooks[s] == nil {
		b.hooks[s] = &stageHooks{}
	}
	return b.hooks[s]
}

// onClaims runs before a token is signed: access tokens, id_tokens.
func (b *behaviour) onClaims(fn func(f *flow, t *draft)) { b.claims = append(b.claims, fn) }

// onRefusal runs when a refusal has its documented status and code, of any endpoint.
func (b *behaviour) onRefusal(fn func(f *flow, r *refusal)) { b.refused = append(b.refused, fn) }

// recode gives one reason another error code (empty: kept) and status (0: kept) at the token endpoint.
func (b *behaviour) recode(why reason, status int, code string) {
	b.onRefusal(func(f *flow, r *refusal) {
		if r.Reason != why || f.endpoint != tokenEndpoint {
			return
		}
		if status != 0 {
			r.Status = status
		}
		if code != "" {
			r.Code = code
		}
	})
}

// onAnswer runs on the finished answer of every endpoint.
func (b *behaviour) onAnswer(fn func(f *flow, a *answer)) { b.answers = append(b.answers, fn) }

// onToken runs on successful answers of the token endpoint.
func (b *behaviour) onToken(fn func(f *flow, a *answer)) {
	b.onAnswer(func(f *flow, a *answer) {
		if f.endpoint == tokenEndpoint && f.issue != nil {
			fn(f, a)
		}
	})
}

// onError runs on refusals of the token endpoint.
func (b *behaviour) onError(fn func(f *flow, a *answer)) {
	b.onAnswer(func(f *flow, a *answer) {
		if f.endpoint == tokenEndpoint && f.refusal != nil {
			fn(f, a)
		}
	})
}

// onDocument runs on the answers of one other endpoint: metadata, JWKS, introspection …
func (b *behaviour) onDocument(at endpoint, fn func(f *flow, a *answer)) {
	b.onAnswer(func(f *flow, a *answer) {
		if f.endpoint == at {
			fn(f, a)
		}
	})
}

// onWorld runs once when clients, users and keys are made, before the first request.
func (b *behaviour) onWorld(fn func(e *Emulator)) { b.world = append(b.world, fn) }

// standardBehaviour is what a correct server does.
func standardBehaviour() *behaviour {
	return &behaviour{
		bodyKind:      standardBodyKind,
		methodAllowed: standardMethodAllowed,
		unescape:      func(_ *flow, raw string) (string, error) { return formUnescape(raw) },
		parameterName: func(_ *flow, name string) string { return name },
		fromQuery: func(f *flow, name string) bool {
			return f.e.dialect.queryParameters[name] || f.endpoint == resourceEndpoint && f.e.edition == "oauth20" // RFC 6750 section 2.3
		},
		duplicates:  func(*flow, string, []string) (string, bool) { return "", false },
		grantTypeOf: func(f *flow) string { return f.form["grant_type"] },

		schemeIs:    func(_ *flow, got, want string) bool { return strings.EqualFold(got, want) },
		basicDecode: standardBasicDecode,
		lookupClient: func(f *flow, id string) *client {
			return f.e.clients[id]
		},
		methodFor: func(_ *flow, c *client, method string) bool { return slices.Contains(c.methods, method) },
		secretMatches: func(_ *flow, c *client, presented string) bool {
			return c.secret != "" && equalSecret(c.secret, presented)
		},
		assertionKeys: standardAssertionKeys,

		lookupUser:      func(f *flow, name string) *user { return f.e.users[name] },
		passwordMatches: func(_ *flow, u *user, presented string) bool { return equalSecret(u.password, presented) },
		guesses: func(_ *flow, what string) int {
			if what == "password" {
				return 10
			}
			return 20
		},
		grantScope:    standardScope,
		codeSpent:     func(f *flow, c *code) bool { return f.e.store.spendCode(c) },
		refreshSpent:  func(f *flow, t *refreshToken) refreshState { return f.e.store.spendRefresh(t, f.now) },
		rotates:       standardRotates,
		revokesFamily: func(_ *flow, t *refreshToken) bool { return t.auth.client.public },
		issuesRefresh: standardIssuesRefresh,
		lifetime: func(f *flow) (time.Duration, time.Duration) {
			d := f.grant.lifetime
			return d, d
		},
		signingKey: func(f *flow, kind string) *signingKey {
			if kind == "access_token" && (f.e.opt.ES256 || f.e.opt.Fast) {
				return f.e.keys[1]
			}
			return f.e.keys[0]
		},
		wantsIDToken: standardWantsIDToken,
		newToken:     func(f *flow, _ string) string { return f.e.randomToken() },
		findAccess:   func(f *flow, token string) *accessToken { return f.e.store.access(token) },
		findRefresh:  func(f *flow, token string) *refreshToken { return f.e.store.refresh(token) },
		findCode:     func(f *flow, value string) *code { return f.e.store.code(value) },
		corsOrigin: func(f *flow) string {
			if o := f.r.Header.Get("Origin"); o != "" && o == f.e.bound.Endpoint.BrowserOrigin {
				return o
			}
			return ""
		},
		retryAfter:   func(_ *flow, wait time.Duration) []string { return []string{ceilSeconds(wait)} },
		limitFactor:  1,
		leeway:       60 * time.Second,
		codeLifetime: 60 * time.Second,
	}
}

// equalSecret compares whole values, in time that tells nothing of either.
func equalSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// standardBasicDecode reads a half of Basic credentials as RFC 6749 section 2.3.1 has
// it, form-encoded; the plain text counts too, which only the holder of the same
// secret could have sent.
func standardBasicDecode(f *flow, half string) []string {
	decoded, err := url.QueryUnescape(half)
	if err != nil || !utf8.ValidString(decoded) {
		return []string{half}
	}
	if decoded == half {
		return []string{half}
	}
	return []string{decoded, half}
}

// splitBasic decodes the token68 of Basic credentials strictly: standard
// alphabet, padding, nothing behind it, and a colon inside.
func splitBasic(token string) (id, secret string, ok bool) {
	raw, err := base64.StdEncoding.Strict().DecodeString(token)
	if err != nil || strings.ContainsAny(token, "\r\n") || !utf8.Valid(raw) {
		return "", "", false
	}
	return strings.Cut(string(raw), ":")
}
