package suites

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"grantcheck/suites/contract"
	"grantcheck/suites/exchange"
)

// authorizationCodeRules is the group authorization-code of the catalogue.
var authorizationCodeRules = []Rule{
	{
		ID:    "code.happy-path",
		Title: "Exchanges a fresh authorization code for a token",
		Group: "authorization-code",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §4.1.4, §5.1",
		Editions: AllEditions,
		Summary:  "A valid code presented by its client yields an access token.",
		Why:      "Nobody can finish signing in.",
		Applies:  Applies{Grants: []string{"authorization_code"}, When: "an authorization code source (scripted login, operator paste, or issuer hook)"},
		Requires: []string{"request.form-accepted"},
		Probe:    "grant_type=authorization_code with a fresh code, the same redirect_uri as in the authorization request, the PKCE verifier if used, and client authentication.",
		Expect:   "ok.",
		Tolerates: []string{
			"redirect_uri is sent only when it was part of the authorization request; an OAuth 2.1 server ignores it.",
		},
		Fault:   "Answers every exchange with invalid_grant.",
		Effects: []Effect{ConsumesCode, MintsToken},
		Check: func(c *Case) {
			c.happyPath("authorization_code")
		},
	},
	{
		ID:    "code.unknown-code-refused",
		Title: "Refuses an authorization code it never issued",
		Group: "authorization-code",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §4.1.3",
		Editions: AllEditions,
		Summary:  "The code has to be verified as valid.",
		Why:      "An attacker signs in with a made-up code.",
		Applies:  Applies{Grants: []string{"authorization_code"}},
		Requires: []string{"request.form-accepted"},
		Probe:    "Exchange request with a random code.",
		Expect:   "refused.",
		Fault:    "A code the server never issued is exchanged for a token of a default user.",
		Provokes: []string{"bad_code"},
		Check: func(c *Case) {
			c.ExpectRefused(c.Probe(Step(c.redeemUnknown(), "a code the server never issued")))
		},
	},
	{
		ID:    "code.unknown-code-error",
		Title: "Reports an invalid code as 400 invalid_grant",
		Group: "authorization-code",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.2",
		Editions: AllEditions,
		Summary:  "Invalid, expired, revoked or foreign grants share one error code.",
		Why:      "Clients cannot tell a stale sign-in, which only needs a new start, from a fault of their own.",
		Applies:  Applies{Grants: []string{"authorization_code"}},
		Requires: []string{"code.unknown-code-refused"},
		Probe:    "The answer to code.unknown-code-refused.",
		Expect:   "error invalid_grant (the status is judged by error.status-400).",
		Tolerates: []string{
			"invalid_request when the code is also syntactically impossible for the server (note).",
		},
		Fault:    "Answers 400 invalid_client for a code it never issued.",
		Provokes: []string{"bad_code"},
		Check: func(c *Case) {
			c.Each(c.AnswersOf("code.unknown-code-refused"), "no refusal of an unknown code was seen", func(s *Sample) {
				if !c.Tolerated(s, "invalid_request", "a made-up code is refused with invalid_request, as one that is impossible by its form") {
					c.ExpectCode(s, "invalid_grant")
				}
			})
		},
	},
	{
		ID:    "code.missing-code",
		Title: "Refuses an exchange without a code as invalid_request",
		Group: "authorization-code",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:       "RFC 6749 §4.1.3, §5.2",
		Editions:     AllEditions,
		Summary:      "code is mandatory; its absence is a missing required parameter.",
		Why:          "An attacker signs in with a made-up code.",
		Applies:      Applies{Grants: []string{"authorization_code"}},
		Requires:     []string{"request.form-accepted"},
		Probe:        "Exchange request without code.",
		Expect:       "refused; error invalid_request or invalid_grant.",
		StrictExpect: "error invalid_request.",
		Tolerates: []string{
			"invalid_grant (note).",
		},
		Fault:    "Missing code falls back to the last code issued to the client.",
		Provokes: []string{"missing_parameter"},
		Check: func(c *Case) {
			s := c.Probe(Step(c.redeemUnknown().Drop("code"), "no code"), About("code"))
			c.ExpectRefused(s)
			if !c.Tolerated(s, "invalid_grant", "a missing code is refused with invalid_grant; the clause's word is invalid_request") {
				c.ExpectCode(s, "invalid_request")
			}
		},
	},
	{
		ID:    "code.reuse-denied",
		Title: "Denies a second use of an authorization code",
		Group: "authorization-code",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §4.1.2, §10.5",
		Editions: AllEditions,
		Summary:  "Codes are single-use; a repeated use has to be denied.",
		Why:      "A code that leaked through a log, a referrer or a browser history buys a second token.",
		Applies:  Applies{Grants: []string{"authorization_code"}},
		Requires: []string{"code.happy-path"},
		Probe:    "Exchange a code successfully, then send the identical request again after the first answer arrived.",
		Expect:   "Second answer refused.",
		Tolerates: []string{
			"Any error code here (judged by code.reuse-error).",
		},
		Fault:    "The code stays valid until it expires.",
		Effects:  []Effect{ConsumesCode, MayRevoke},
		Provokes: []string{"used_code"},
		Check: func(c *Case) {
			granted := c.Code("", nil)
			c.token(c.Accepted(c.Redeem(granted, "")))
			c.ExpectRefused(c.Probe(Step(c.Redeem(granted, ""), "the same code again")))
		},
	},
	{
		ID:    "code.reuse-error",
		Title: "Reports a reused code as invalid_grant",
		Group: "authorization-code",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.2",
		Editions: AllEditions,
		Summary:  "A spent code is an invalid grant.",
		Why:      "Clients cannot tell a stale sign-in, which only needs a new start, from a fault of their own.",
		Applies:  Applies{Grants: []string{"authorization_code"}},
		Requires: []string{"code.reuse-denied"},
		Probe:    "The second answer of code.reuse-denied.",
		Expect:   "error invalid_grant (the status is judged by error.status-400).",
		Fault:    "Answers a reused code with 400 unauthorized_client.",
		Effects:  []Effect{ConsumesCode},
		Provokes: []string{"used_code"},
		Check: func(c *Case) {
			c.Each(c.AnswersOf("code.reuse-denied"), "no refusal of a used code was seen", func(s *Sample) {
				c.ExpectCode(s, "invalid_grant")
			})
		},
	},
	{
		ID:    "code.reuse-denied-later",
		Title: "A code stays spent half a minute later",
		Group: "authorization-code",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §4.1.2",
		Editions: AllEditions,
		Summary:  "The denial of a second use knows no time limit; servers that forget spent codes before they expire accept them again.",
		Why:      "A code found later in a log or browser history would still buy a token.",
		Applies:  Applies{Grants: []string{"authorization_code"}},
		Requires: []string{"code.reuse-denied"},
		Probe:    "Exchange a code, wait 30 s, send the identical request again.",
		Expect:   "refused.",
		Tolerates: []string{
			"Any error code here; the token of the first exchange may have been revoked by an earlier replay of the same code, so use a fresh code.",
		},
		Fault:    "Spent codes are remembered for ten seconds only, though codes live for minutes.",
		Effects:  []Effect{ConsumesCode, MayRevoke, Slow},
		Provokes: []string{"used_code"},
		Check: func(c *Case) {
			granted := c.Code("", nil)
			c.token(c.Accepted(c.Redeem(granted, "")))
			c.Wait(30*time.Second, "a spent code to be forgotten")
			c.ExpectRefused(c.Probe(Step(c.Redeem(granted, ""), "the same code again after 30 s")))
		},
	},
	{
		ID:    "code.reuse-revokes",
		Title: "Revokes tokens already issued from a reused code",
		Group: "authorization-code",
		Level: Should, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "RFC 6749 §4.1.2, §10.5",
		Editions: AllEditions,
		Summary:  "On reuse the server should revoke, where possible, every token issued from that code.",
		Why:      "The thief who was faster keeps his token although the theft has been noticed.",
		Applies:  Applies{Grants: []string{"authorization_code"}, When: "introspection endpoint or a protected resource is configured"},
		Requires: []string{"code.reuse-denied"},
		Probe:    "After the denied reuse, present the first access token (and refresh token) at introspection or the resource, polling up to 30 s.",
		Expect:   "The tokens are inactive or refused.",
		Tolerates: []string{
			"Self-contained tokens cannot be revoked everywhere - the clause says where possible; propagation delay; a short idempotency window for network retries.",
		},
		Fault:   "First token stays active after a valid replay of its code.",
		Effects: []Effect{ConsumesCode, MayRevoke},
		Check: func(c *Case) {
			c.observable()
			granted := c.Code("", nil)
			first := c.token(c.Accepted(c.Redeem(granted, "")))
			token := first.Answer.Text("access_token")
			c.mustLive(token)
			c.ExpectRefused(c.Probe(Step(c.Redeem(granted, ""), "the same code again")))
			dead, last := c.dies(token)
			switch {
			case dead:
			case c.selfContained(token):
				c.look(last)
				c.Note("the first access token lives on after its code was replayed; it is self-contained, and the clause says where possible")
			default:
				c.Violate(last, "the access token of a replayed code to be revoked", "it is still accepted")
			}
			if refresh := first.Answer.Text("refresh_token"); refresh != "" && c.Documents("refresh_token") {
				s := c.Eventually(spread, func() *Sample {
					return c.Probe(Step(c.Refresh(refresh, ""), "the refresh token of the replayed code"), Provokes("bad_refresh_token"))
				}, func(s *Sample) bool { return !s.Answer.OK() })
				c.Expect(s).To(BeRefused())
			}
		},
	},
	{
		ID:    "code.invalid-replay-keeps-tokens",
		Title: "Does not revoke tokens when the replay itself is invalid",
		Group: "authorization-code",
		Level: ShouldNot, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "draft-ietf-oauth-v2-1-15 §7.5.2",
		Editions: OAuth21,
		Summary:  "Revocation belongs to a second valid request; revoking on a replay that fails client authentication or PKCE would hand attackers a denial-of-service lever.",
		Why:      "Anyone who has seen a code can sign the user out by replaying it badly.",
		Applies:  Applies{Grants: []string{"authorization_code"}, When: "introspection endpoint or a protected resource is configured"},
		Requires: []string{"code.happy-path", "code.reuse-denied"},
		Probe:    "Exchange a code, replay it with a wrong verifier (a wrong secret where PKCE is not used), then check the first token.",
		Expect:   "First token is still active.",
		Fault:    "Any replay, authenticated or not, revokes the tokens.",
		Effects:  []Effect{ConsumesCode, BadClientCredentials},
		Check: func(c *Case) {
			c.observable()
			granted := c.Code("", nil)
			first := c.token(c.Accepted(c.Redeem(granted, "")))
			token := first.Answer.Text("access_token")
			c.mustLive(token)
			replay := c.Redeem(granted, "")
			switch {
			case granted.Authorization.Verifier != "":
				replay = Step(replay.Set("code_verifier", c.Target().Verifier(43)), "the same code with a wrong verifier")
			case replay.AuthMethod() == "basic" || replay.AuthMethod() == "post":
				replay = Step(replay.Secret(c.WrongSecret(replay)), "the same code with a wrong secret")
			default:
				c.NotApplicable("neither PKCE nor a client secret is used that could be wrong")
			}
			c.ExpectRefused(c.Probe(replay))
			if ok, s := c.alive(token); !ok {
				c.Violate(s, "the first access token still active after an invalid replay", "it is revoked")
			}
		},
	},
	{
		ID:    "code.concurrent-single-use",
		Title: "Grants at most one token set when one code is redeemed in parallel",
		Group: "authorization-code",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §4.1.2, §10.5; draft-ietf-oauth-v2-1-15 §4.1.3",
		Editions: AllEditions,
		Summary:  "Single use has to hold under races as well; OAuth 2.1 words it as returning an access token only once per code.",
		Why:      "A code that leaked through a log, a referrer or a browser history buys a second token.",
		Applies:  Applies{Grants: []string{"authorization_code"}},
		Requires: []string{"code.reuse-denied"},
		Probe:    "Send 8 identical exchange requests for one code at the same instant over separate connections.",
		Expect:   "At most one ok answer, and at least two answers that are neither 429, 5xx nor lost; otherwise inconclusive.",
		Tolerates: []string{
			"Zero ok answers (the server may treat the race as reuse); several ok answers carrying the same access_token value are a note (idempotent replay cache).",
			"Fewer than two requests actually overlapping on the server cannot be seen from outside; repeat with three codes before passing.",
		},
		Fault:    "Check-then-delete without locking: several different tokens are issued.",
		Effects:  []Effect{ConsumesCode, Burst, MayRevoke},
		Provokes: []string{"used_code"},
		Alone:    true,
		Check: func(c *Case) {
			for range 3 {
				granted := c.Code("", nil)
				reqs := make([]exchange.Request, 8)
				for i := range reqs {
					reqs[i] = Step(c.Redeem(granted, ""), "one of 8 at the same instant")
				}
				c.oneWins(c.Together(reqs, AsIs()))
			}
		},
	},
	{
		ID:    "code.concurrent-across-addresses",
		Title: "Single use of a code holds across all addresses of the endpoint",
		Group: "authorization-code",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §4.1.2, §10.5",
		Editions: AllEditions,
		Summary:  "Single use belongs to the authorization server, not to one of its nodes.",
		Why:      "Nodes that do not share state let one stolen code be spent once on each of them.",
		Applies:  Applies{Grants: []string{"authorization_code"}, When: "the host resolves to two addresses or more, all reachable with a valid certificate"},
		Requires: []string{"code.concurrent-single-use"},
		Probe:    "The same code redeemed at the same instant through each resolved address.",
		Expect:   "At most one ok answer, and at least two answers that are neither 429, 5xx nor lost; otherwise inconclusive.",
		Tolerates: []string{
			"Zero ok answers; several ok answers with the same access_token (note).",
		},
		Fault:   "Two nodes keep spent codes each for itself.",
		Effects: []Effect{ConsumesCode, Burst, MayRevoke},
		Alone:   true,
		Check: func(c *Case) {
			addresses, err := c.run.client.Addresses(c.ctx)
			if err != nil || len(addresses) < 2 {
				c.NotApplicable("the host resolves to one address")
			}
			var reachable []string
			for _, a := range addresses {
				if s := c.Try(Step(c.redeemUnknown().To(a), "an unknown code at %s", a), AsIs()); s.Err == nil {
					reachable = append(reachable, a)
				}
			}
			if len(reachable) < 2 {
				c.NotApplicable("fewer than two of its %d addresses answer from here", len(addresses))
			}
			for range 3 {
				granted := c.Code("", nil)
				var reqs []exchange.Request
				for i := range max(4, len(reachable)) {
					a := reachable[i%len(reachable)]
					reqs = append(reqs, Step(c.Redeem(granted, "").To(a), "the same instant at %s", a))
				}
				c.oneWins(c.Together(reqs, AsIs()))
			}
		},
	},
	{
		ID:    "code.bound-to-client",
		Title: "Refuses a code issued to another client",
		Group: "authorization-code",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §4.1.3, §10.5",
		Editions: AllEditions,
		Summary:  "The code has to have been issued to the client that presents it.",
		Why:      "A code stolen from one application opens the account through another.",
		Applies:  Applies{Grants: []string{"authorization_code"}, When: "second fixture client supplied"},
		Requires: []string{"code.happy-path"},
		Probe:    "Obtain a code for client A; exchange it with valid credentials of client B, the same redirect_uri and the right code_verifier.",
		Expect:   "refused.",
		Tolerates: []string{
			"invalid_grant expected; invalid_client or unauthorized_client as a note.",
		},
		Fault:    "Code lookup ignores the client; B gets the token.",
		Effects:  []Effect{ConsumesCode},
		Provokes: []string{"bad_code"},
		Check: func(c *Case) {
			other := c.authenticates("second")
			granted := c.Code("", nil)
			p := c.run.pairFor("authorization_code", other.Name)
			in := granted.Inputs()
			in.Client = other
			s := c.Probe(Step(c.Build(p.grant, p.auth, in), "another client's code"))
			c.ExpectRefused(s)
			if code := s.Code(); code == "invalid_client" || code == "unauthorized_client" {
				c.Note("another client's code is refused with %s; the clause's word is invalid_grant", code)
			}
		},
	},
	{
		ID:    "code.redirect-uri-required",
		Title: "Requires redirect_uri when the authorization request carried it",
		Group: "authorization-code",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §4.1.3",
		Editions: OAuth20 | BCP,
		Summary:  "If redirect_uri was part of the authorization request, the exchange has to repeat it.",
		Why:      "An attacker redeems a code that was sent to a manipulated address.",
		Applies:  Applies{Grants: []string{"authorization_code"}, When: "redirect_uri was sent in the authorization request"},
		Requires: []string{"code.happy-path"},
		Probe:    "Exchange a fresh code without redirect_uri.",
		Expect:   "refused.",
		Tolerates: []string{
			"invalid_grant or invalid_request. Not evaluated for servers declared OAuth 2.1 or OIDC servers documented to allow omission when exactly one URI is registered (OIDC Core 3.1.3.2 grants that liberty).",
		},
		Fault:    "Missing redirect_uri is not checked.",
		Effects:  []Effect{ConsumesCode},
		Provokes: []string{"missing_parameter", "redirect_mismatch"},
		Check: func(c *Case) {
			granted, openid := c.codeWithoutOpenID()
			if granted.Authorization.RedirectURI == "" {
				c.NotApplicable("no redirect_uri is sent in the authorization request")
			}
			req := c.Redeem(granted, "")
			optional := slices.ContainsFunc(req.Grant().Parameters, func(f contract.Field) bool {
				return f.Role() == "redirect_uri" && f.Required.Mode == "false" && f.Origin != "standard"
			})
			if optional {
				c.PageSays("the page documents redirect_uri as optional")
				openid = openid || slices.Contains(c.Contract().Scopes.Request, "openid")
			}
			s := c.Probe(Step(req.Drop("redirect_uri"), "no redirect_uri"), About("redirect_uri"))
			if s.Answer.OK() && openid {
				c.look(s)
				c.Note("redirect_uri may be left out here, as OpenID Connect Core §3.1.3.2 allows where one is registered")
				return
			}
			c.ExpectRefused(s)
		},
	},
	{
		ID:    "code.redirect-uri-identical",
		Title: "Refuses a redirect_uri that differs from the authorization request",
		Group: "authorization-code",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §4.1.3, §10.6",
		Editions: OAuth20 | BCP,
		Summary:  "Both values have to be identical.",
		Why:      "An attacker redeems a code that was sent to a manipulated address.",
		Applies:  Applies{Grants: []string{"authorization_code"}, When: "redirect_uri was sent in the authorization request"},
		Requires: []string{"code.happy-path"},
		Probe:    "Four fresh codes with redirect_uri changed by: another host; an added trailing slash; an added query parameter; another letter case in the path.",
		Expect:   "refused, all four.",
		Tolerates: []string{
			"invalid_grant or invalid_request. OAuth 2.1 servers may ignore the parameter: not evaluated there.",
		},
		Fault:    "Prefix comparison accepts an appended path or query.",
		Effects:  []Effect{ConsumesCode},
		Provokes: []string{"redirect_mismatch"},
		Check: func(c *Case) {
			first := c.Code("", nil)
			if first.Authorization.RedirectURI == "" {
				c.NotApplicable("no redirect_uri is sent in the authorization request")
			}
			for i, change := range alteredRedirects(first.Authorization.RedirectURI) {
				granted := first
				if i > 0 {
					granted = c.Code("", nil)
				}
				c.ExpectRefused(c.Probe(Step(c.Redeem(granted, "").Set("redirect_uri", change.uri), "redirect_uri with %s", change.what)))
			}
		},
	},
	{
		ID:    "code.client-auth-required",
		Title: "Requires confidential clients to authenticate at the exchange",
		Group: "authorization-code",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §4.1.3",
		Editions: AllEditions,
		Summary:  "The server has to demand authentication from confidential clients.",
		Why:      "A stolen code is as good as a sign-in, without the client.",
		Applies:  Applies{Grants: []string{"authorization_code"}, Auth: []string{"basic", "post", "jwt"}},
		Requires: []string{"code.happy-path", "client-auth.wrong-secret-refused", "client-auth.missing-refused"},
		Probe:    "Exchange a fresh code with client_id in the body and no credential; separately with a wrong secret.",
		Expect:   "refused, both.",
		Tolerates: []string{
			"400 or 401; invalid_client, invalid_request.",
		},
		Fault:    "Presence of a PKCE verifier waives client authentication.",
		Effects:  []Effect{ConsumesCode, BadClientCredentials},
		Provokes: []string{"missing_client_auth", "wrong_secret"},
		Check: func(c *Case) {
			req := c.Redeem(c.Code("", nil), "")
			if req.Client().Public() || req.AuthMethod() == "none" {
				c.NotApplicable("the client of the code grant is public")
			}
			c.ExpectRefused(c.Probe(Step(req.NoSecret(), "client_id and no credential"), Provokes("missing_client_auth", "missing_parameter")))
			req = c.Redeem(c.Code("", nil), "")
			if _, secret := req.Credentials(); secret != "" {
				c.ExpectRefused(c.Probe(Step(req.Secret(c.WrongSecret(req)), "a wrong client secret"), Provokes("wrong_secret")))
			}
		},
	},
	{
		ID:    "code.public-client-id-required",
		Title: "Requires client_id from a client that does not authenticate",
		Group: "authorization-code",
		Level: Must, Wording: Keyword, Binds: "both", Posture: Assert,
		Source:   "RFC 6749 §3.2.1, §4.1.3",
		Editions: AllEditions,
		Summary:  "An unauthenticated client has to send client_id, and the server has to match the code against it.",
		Why:      "A code stolen from one application opens the account through another.",
		Applies:  Applies{Grants: []string{"authorization_code"}, Auth: []string{"none"}, When: "fixture public client supplied"},
		Requires: []string{"code.happy-path"},
		Probe:    "Exchange a fresh code of the public client without client_id.",
		Expect:   "refused.",
		Tolerates: []string{
			"invalid_request, invalid_client or invalid_grant.",
		},
		Fault:    "The client is inferred from the code.",
		Effects:  []Effect{ConsumesCode},
		Provokes: []string{"missing_client_auth", "missing_parameter"},
		Check: func(c *Case) {
			c.Fixture("public")
			c.token(c.Accepted(c.Redeem(c.Code("public", nil), "public")))
			c.ExpectRefused(c.Probe(Step(c.Redeem(c.Code("public", nil), "public").Drop("client_id"), "no client_id"), About("client_id")))
		},
	},
	{
		ID:    "code.expires",
		Title: "Authorization codes expire within ten minutes",
		Group: "authorization-code",
		Level: Should, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "RFC 6749 §4.1.2",
		Editions: AllEditions,
		Summary:  "Codes have to expire shortly after issue; ten minutes is the recommended maximum.",
		Why:      "A code that leaked through a log, a referrer or a browser history buys a second token.",
		Applies:  Applies{Grants: []string{"authorization_code"}, When: "opt-in for slow probes"},
		Requires: []string{"code.happy-path"},
		Probe:    "Hold a fresh code for 10 minutes plus 30 s skew, then exchange it.",
		Expect:   "refused; error invalid_grant.",
		Tolerates: []string{
			"A longer lifetime documented in the contract moves the deadline; the SHOULD then remains an advisory.",
		},
		Fault:    "Codes never expire.",
		Effects:  []Effect{ConsumesCode, Slow},
		Provokes: []string{"bad_code"},
		Check: func(c *Case) {
			life := 10 * time.Minute
			if d, ok := lifetimeOf(c.Contract().Token.CodeLifetime); ok && d > life {
				life = d
				c.Note("the page documents a code lifetime of %s; ten minutes is the most that is recommended", d)
			}
			granted := c.Code("", nil)
			c.Wait(life+30*time.Second, "a code to expire")
			s := c.Probe(Step(c.Redeem(granted, ""), "a code %s old", life+30*time.Second))
			c.ExpectRefused(s, "invalid_grant")
		},
	},
	{
		ID:    "code.strength",
		Title: "Authorization codes are long and random enough to resist guessing",
		Group: "authorization-code",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:       "RFC 6749 §10.10",
		Editions:     AllEditions,
		Summary:      "Codes fall under the same bound on guessing as tokens.",
		Why:          "A guessable code lets a stranger redeem a sign-in that a user has just approved.",
		Applies:      Applies{Grants: []string{"authorization_code"}, When: "opt-in sample of codes from the hook"},
		Requires:     []string{"code.happy-path"},
		Probe:        "Collect 10 codes; estimate their varying part.",
		Expect:       "At least 96 bits estimated; no arithmetic sequence.",
		StrictExpect: "At least 128 bits estimated.",
		Tolerates: []string{
			"Self-contained codes that are encrypted or signed; estimation can falsify, never prove.",
		},
		Fault:   "Codes are six decimal digits.",
		Effects: []Effect{ConsumesCode},
		Check: func(c *Case) {
			var codes []string
			for range 10 {
				codes = append(codes, c.Code("", nil).Code)
			}
			c.strong("code", codes)
		},
	},
	{
		ID:    "code.scope-not-widened",
		Title: "A scope parameter at the exchange cannot widen the granted scope",
		Group: "authorization-code",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §3.2, §4.1.3",
		Editions: AllEditions,
		Summary:  "The exchange defines no scope parameter, so it counts as unrecognized; the grant is what the user approved.",
		Why:      "The application gains rights that the user never agreed to.",
		Applies:  Applies{Grants: []string{"authorization_code"}, When: "contract names two scopes, one of which is authorized"},
		Requires: []string{"code.happy-path"},
		Probe:    "Exchange a fresh code (authorized for scope a) with scope=\"a b\".",
		Expect:   "ok with a granted scope not containing b, or refused with invalid_scope or invalid_request.",
		Tolerates: []string{
			"Scope absent from the answer is read as the authorized scope only when introspection or the JWT confirms it; otherwise inconclusive.",
		},
		Fault:    "The exchange grants whatever scope it is asked for.",
		Effects:  []Effect{ConsumesCode, MintsToken},
		Provokes: []string{"bad_scope"},
		Check: func(c *Case) {
			a, b, ok := c.twoPlainScopes()
			if !ok {
				c.NotApplicable("the contract names no two scopes of which one could be authorized alone")
			}
			only := func(z *exchange.Authorization) { z.Scope = []string{a} }
			plain := c.token(c.Accepted(c.Redeem(c.Code("", only), "")))
			if scope, known := c.granted(plain); known && slices.Contains(scope, b) {
				c.NotApplicable("the server grants %s whether it is asked for or not", b)
			}
			s := c.Probe(Step(c.Redeem(c.Code("", only), "").Set("scope", a+" "+b), "a wider scope than was authorized"), Provokes("bad_scope"))
			if !s.Answer.OK() {
				c.Expect(s).To(BeRefused())
				c.rely(s)
				if code := s.Code(); code != "" && code != "invalid_scope" && code != "invalid_request" {
					c.Note("a scope beyond the authorized one is refused with %s", code)
				}
				return
			}
			scope, known := c.granted(s)
			if !known {
				c.look(s)
				c.Inconclusive("a token was issued, and nothing tells its scope")
			}
			if slices.Contains(scope, b) {
				c.Violate(s, "a granted scope without "+b, "scope "+strings.Join(scope, " "))
			}
		},
	},
}

// redeemUnknown is the exchange of a code that the server never issued.
func (c *Case) redeemUnknown() exchange.Request {
	p := c.run.pairFor("authorization_code", "")
	if p.grant == nil {
		c.NotApplicable("the contract documents no authorization_code grant")
	}
	in := exchange.Inputs{Code: c.Target().Random(43)}
	if a, err := c.Target().Authorization(p.grant, nil); err == nil && a.Verifier != "" {
		in.CodeVerifier = a.Verifier
	}
	return c.Build(p.grant, p.auth, in)
}

// oneWins holds the answers of a race for one code: at most one token, or the same one again.
func (c *Case) oneWins(answers []*Sample) {
	var tokens []string
	decided := 0
	for _, s := range answers {
		c.look(s)
		if s.Answer.OK() {
			tokens = append(tokens, s.Answer.Text("access_token"))
		}
		if s.Answer.OK() || s.Answer.Refused() {
			decided++
		}
		c.rely(s)
	}
	slices.Sort(tokens)
	switch different := len(slices.Compact(slices.Clone(tokens))); {
	case different > 1:
		c.Violate(answers[0], "at most one token for one code", fmt.Sprintf("%d different tokens", different))
	case len(tokens) > 1:
		c.Note("%d of the parallel requests were given the same token: an idempotent answer", len(tokens))
	case decided < 2:
		c.Inconclusive("fewer than two of the parallel requests were really answered")
	}
}

// codeWithoutOpenID obtains a code of a flow that is plain OAuth, where the server runs one:
// OpenID Connect has liberties of its own.
func (c *Case) codeWithoutOpenID() (granted exchange.Granted, openid bool) {
	granted, err := c.CodeRefused("", func(a *exchange.Authorization) {
		openid = slices.Contains(a.Scope, "openid")
		a.Scope = slices.DeleteFunc(slices.Clone(a.Scope), func(s string) bool { return s == "openid" || s == "offline_access" })
		a.Nonce = ""
	})
	if err != nil && openid {
		return c.Code("", nil), true
	}
	c.orNeed(err)
	return granted, false
}

type alteredRedirect struct{ what, uri string }

// alteredRedirects are addresses that a prefix or loose comparison would take for the registered one.
func alteredRedirects(uri string) []alteredRedirect {
	u, err := url.Parse(uri)
	if err != nil {
		return nil
	}
	with := func(change func(*url.URL)) string { v := *u; change(&v); return v.String() }
	out := []alteredRedirect{
		{"another host", with(func(v *url.URL) { v.Host = "grantcheck.example" })},
		{"another port", with(func(v *url.URL) { v.Host = v.Hostname() + ":1" })},
		{"an added trailing slash", with(func(v *url.URL) { v.Path += "/" })},
		{"an added query parameter", with(func(v *url.URL) { v.RawQuery = strings.TrimPrefix(v.RawQuery+"&grantcheck=1", "&") })},
	}
	if swapped := exchange.SwapCase(u.Path); swapped != u.Path {
		out = append(out, alteredRedirect{"another letter case in the path", with(func(v *url.URL) { v.Path = swapped })})
	}
	return out
}

// lifetimeOf reads a documented lifetime.
func lifetimeOf(f *contract.Field) (time.Duration, bool) {
	if f == nil {
		return 0, false
	}
	for _, v := range []*float64{f.Max, f.Typical, f.Min} {
		if v != nil {
			return time.Duration(*v * float64(time.Second)), true
		}
	}
	var seconds float64
	if _, err := fmt.Sscan(fmt.Sprint(f.Const), &seconds); f.Const != nil && err == nil {
		return time.Duration(seconds * float64(time.Second)), true
	}
	return 0, false
}

// strong holds an estimate of the varying part of a sample of values; it can refute, never prove.
func (c *Case) strong(what string, values []string) {
	bar := 96.0
	if c.Strict() {
		bar = 128
	}
	bits, sequence := strength(values)
	expected := fmt.Sprintf("at least %.0f bits that vary from one %s to the next", bar, what)
	if sequence != "" {
		c.Violate(nil, expected, sequence)
	}
	if bits < bar {
		c.Violate(nil, expected, fmt.Sprintf("an estimate of %.0f bits over %d values", bits, len(values)))
	}
}

// twoPlainScopes returns two scopes that the client may ask for, neither of them one that changes the
// kind of flow.
func (c *Case) twoPlainScopes() (a, b string, ok bool) {
	var names []string
	for _, s := range slices.Concat(c.Contract().Scopes.Grantable, c.Contract().Scopes.Request) {
		if s != "openid" && s != "offline_access" && !slices.Contains(names, s) {
			names = append(names, s)
		}
	}
	if len(names) < 2 {
		return "", "", false
	}
	return names[0], names[1], true
}
