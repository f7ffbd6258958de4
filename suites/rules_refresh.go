package suites

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"grantcheck/suites/exchange"
)

// refreshRules is the group refresh of the catalogue.
var refreshRules = []Rule{
	{
		ID:    "refresh.happy-path",
		Title: "Exchanges a valid refresh token for a new access token",
		Group: "refresh",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §6",
		Editions: AllEditions,
		Summary:  "A valid, authorized refresh request yields an access token.",
		Why:      "Users are thrown out as soon as the first token expires.",
		Applies:  Applies{Grants: []string{"refresh_token"}, When: "a grant in the contract issues refresh tokens"},
		Requires: []string{"request.form-accepted"},
		Probe:    "grant_type=refresh_token with a refresh token from the contract's user grant and client authentication.",
		Expect:   "ok.",
		Tolerates: []string{
			"A new refresh_token may be present or absent.",
		},
		Fault:   "Answers valid refresh requests with invalid_grant.",
		Effects: []Effect{ConsumesRefresh, MintsToken},
		Check: func(c *Case) {
			c.happyPath("refresh_token")
		},
	},
	{
		ID:    "refresh.unknown-token-refused",
		Title: "Refuses a refresh token it never issued",
		Group: "refresh",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §6",
		Editions: AllEditions,
		Summary:  "The refresh token has to be validated.",
		Why:      "An invented or altered token gives lasting access.",
		Applies:  Applies{Grants: []string{"refresh_token"}},
		Requires: []string{"request.form-accepted"},
		Probe:    "Refresh request with a random refresh_token of realistic length.",
		Expect:   "refused.",
		Fault:    "Unknown refresh tokens yield a token for a default subject.",
		Provokes: []string{"bad_refresh_token"},
		Check: func(c *Case) {
			c.ExpectRefused(c.Probe(Step(c.Refresh(c.Target().Random(64), ""), "a refresh token the server never issued")))
		},
	},
	{
		ID:    "refresh.unknown-token-error",
		Title: "Reports an invalid refresh token as 400 invalid_grant",
		Group: "refresh",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.2",
		Editions: AllEditions,
		Summary:  "Invalid refresh tokens fall under invalid_grant.",
		Why:      "Clients cannot tell a stale sign-in, which only needs a new start, from a fault of their own.",
		Applies:  Applies{Grants: []string{"refresh_token"}},
		Requires: []string{"refresh.unknown-token-refused"},
		Probe:    "The answer to refresh.unknown-token-refused.",
		Expect:   "error invalid_grant (the status is judged by error.status-400).",
		Tolerates: []string{
			"invalid_request when the value is not even a possible token for the server (note).",
		},
		Fault:    "Answers 400 invalid_request for a refresh token it never issued.",
		Provokes: []string{"bad_refresh_token"},
		Check: func(c *Case) {
			c.Each(c.AnswersOf("refresh.unknown-token-refused"), "no refusal of an unknown refresh token was seen", func(s *Sample) {
				if !c.Tolerated(s, "invalid_request", "a made-up refresh token is refused with invalid_request, as one that is impossible by its form") {
					c.ExpectCode(s, "invalid_grant")
				}
			})
		},
	},
	{
		ID:    "refresh.tampered-refused",
		Title: "Refuses a modified refresh token",
		Group: "refresh",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §10.4",
		Editions: AllEditions,
		Summary:  "Refresh tokens must not be forgeable or alterable into other valid ones.",
		Why:      "An invented or altered token gives lasting access.",
		Applies:  Applies{Grants: []string{"refresh_token"}},
		Requires: []string{"refresh.happy-path", "refresh.unknown-token-refused"},
		Probe:    "Refresh request with one character changed in the middle of a live refresh token.",
		Expect:   "refused.",
		Tolerates: []string{
			"The change must alter decoded bits (avoid the last base64 character).",
		},
		Fault:    "Self-contained refresh token whose signature is not checked.",
		Provokes: []string{"bad_refresh_token"},
		Check: func(c *Case) {
			token, _ := c.RefreshToken("")
			c.ExpectRefused(c.Probe(Step(c.Refresh(tamper(token), ""), "one character changed in the middle")))
		},
	},
	{
		ID:    "refresh.missing-token",
		Title: "Refuses a refresh request without refresh_token as invalid_request",
		Group: "refresh",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:       "RFC 6749 §6, §5.2",
		Editions:     AllEditions,
		Summary:      "refresh_token is mandatory.",
		Why:          "A request that misses its key part is answered by chance.",
		Applies:      Applies{Grants: []string{"refresh_token"}},
		Requires:     []string{"request.form-accepted"},
		Probe:        "Refresh request without refresh_token.",
		Expect:       "refused; error invalid_request or invalid_grant.",
		StrictExpect: "error invalid_request.",
		Tolerates: []string{
			"invalid_grant (note).",
		},
		Fault:    "Uses the session's last refresh token.",
		Provokes: []string{"missing_parameter"},
		Check: func(c *Case) {
			s := c.Probe(Step(c.Refresh(c.Target().Random(64), "").Drop("refresh_token"), "no refresh_token"), About("refresh_token"))
			c.ExpectRefused(s)
			if !c.Tolerated(s, "invalid_grant", "a missing refresh_token is refused with invalid_grant; the clause's word is invalid_request") {
				c.ExpectCode(s, "invalid_request")
			}
		},
	},
	{
		ID:    "refresh.client-auth-required",
		Title: "Requires confidential clients to authenticate when refreshing",
		Group: "refresh",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §6",
		Editions: AllEditions,
		Summary:  "The server has to demand and check authentication of confidential clients.",
		Why:      "A stolen refresh token works without the client it belongs to.",
		Applies:  Applies{Grants: []string{"refresh_token"}, Auth: []string{"basic", "post", "jwt"}},
		Requires: []string{"refresh.happy-path", "client-auth.wrong-secret-refused", "client-auth.missing-refused"},
		Probe:    "Live refresh token with client_id only; again with a wrong secret.",
		Expect:   "refused, both.",
		Tolerates: []string{
			"400 or 401; invalid_client, invalid_request. The refresh token may be invalidated by the attempt; obtain a fresh one afterwards.",
		},
		Fault:    "Possession of the refresh token is sufficient.",
		Effects:  []Effect{BadClientCredentials, MayRevoke},
		Provokes: []string{"missing_client_auth", "wrong_secret"},
		Check: func(c *Case) {
			token, _ := c.RefreshToken("")
			req := c.Refresh(token, "")
			if req.Client().Public() || req.AuthMethod() == "none" {
				c.NotApplicable("the client of the refresh grant is public")
			}
			c.ExpectRefused(c.Probe(Step(req.NoSecret(), "client_id and no credential"), Provokes("missing_client_auth", "missing_parameter")))
			if _, secret := req.Credentials(); secret != "" {
				token, _ = c.RefreshToken("")
				req = c.Refresh(token, "")
				c.ExpectRefused(c.Probe(Step(req.Secret(c.WrongSecret(req)), "a wrong client secret"), Provokes("wrong_secret")))
			}
		},
	},
	{
		ID:    "refresh.bound-to-client",
		Title: "Refuses a refresh token issued to another client",
		Group: "refresh",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §6, §10.4",
		Editions: AllEditions,
		Summary:  "The refresh token is bound to its client and the binding has to be verified.",
		Why:      "A stolen refresh token works without the client it belongs to.",
		Applies:  Applies{Grants: []string{"refresh_token"}, When: "second fixture client supplied"},
		Requires: []string{"refresh.happy-path"},
		Probe:    "Refresh token of client A with valid credentials of client B.",
		Expect:   "refused.",
		Tolerates: []string{
			"invalid_grant expected; invalid_client or unauthorized_client as a note.",
		},
		Fault:    "Any authenticated client can use any refresh token.",
		Effects:  []Effect{MayRevoke},
		Provokes: []string{"bad_refresh_token"},
		Check: func(c *Case) {
			c.authenticates("second")
			token, _ := c.RefreshToken("")
			s := c.Probe(Step(c.Refresh(token, "second"), "another client's refresh token"))
			c.ExpectRefused(s)
			if code := s.Code(); code == "invalid_client" || code == "unauthorized_client" {
				c.Note("another client's refresh token is refused with %s; the clause's word is invalid_grant", code)
			}
		},
	},
	{
		ID:    "refresh.scope-not-widened",
		Title: "Does not widen the scope on refresh",
		Group: "refresh",
		Level: MustNot, Wording: Keyword, Binds: "both", Posture: Assert,
		Source:   "RFC 6749 §6",
		Editions: AllEditions,
		Summary:  "A refresh must not ask for scopes beyond the original grant, so they must not be granted.",
		Why:      "The application gains rights that the user never agreed to.",
		Applies:  Applies{Grants: []string{"refresh_token"}, When: "contract names a scope outside the original grant"},
		Requires: []string{"refresh.happy-path"},
		Probe:    "Refresh request with the original scope plus the extra one.",
		Expect:   "refused with invalid_scope; or ok with a reported scope that lacks the extra one.",
		Tolerates: []string{
			"invalid_grant or invalid_request as a note.",
			"ok without a scope member: inconclusive unless introspection or the JWT shows the scope; the silence itself is the business of response.scope-reported.",
		},
		Fault:    "Grants the extra scope on refresh.",
		Effects:  []Effect{ConsumesRefresh, MintsToken},
		Provokes: []string{"bad_scope"},
		Check: func(c *Case) {
			for _, place := range []string{"last", "first"} { // a comparison may look at the beginning alone, or the end
				token, original, extra := c.narrowRefreshToken()
				wider := append(slices.Clone(original), extra)
				if place == "first" {
					wider = append([]string{extra}, original...)
				}
				s := c.Probe(Step(c.Refresh(token, "").Set("scope", strings.Join(wider, " ")), "a scope beyond the original grant, named %s", place))
				if !s.Answer.OK() {
					c.ExpectRefused(s)
					if code := s.Code(); code == "invalid_grant" || code == "invalid_request" {
						c.Note("a wider scope is refused with %s; the clause's word is invalid_scope", code)
					}
					continue
				}
				scope, known := c.granted(s)
				if !known {
					c.look(s)
					c.Inconclusive("a token was issued, and nothing tells its scope")
				}
				if slices.Contains(scope, extra) {
					c.Violate(s, "a scope no wider than the original grant", "scope "+strings.Join(scope, " "))
				}
			}
		},
	},
	{
		ID:    "refresh.scope-default-original",
		Title: "An omitted scope on refresh means the original scope",
		Group: "refresh",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §6",
		Editions: AllEditions,
		Summary:  "Omission equals the scope originally granted.",
		Why:      "Rights vanish at a refresh and the application breaks in the middle of the day.",
		Applies:  Applies{Grants: []string{"refresh_token"}, When: "the original scope is known (response or contract)"},
		Requires: []string{"refresh.happy-path"},
		Probe:    "Refresh without scope.",
		Expect:   "The scope member is absent or equals the original set.",
		Tolerates: []string{
			"The server may grant less by policy if it reports the scope (note).",
		},
		Fault:   "Refreshed token silently has an empty reported scope.",
		Effects: []Effect{ConsumesRefresh, MintsToken},
		Check: func(c *Case) {
			token, from := c.RefreshToken("")
			original, known := from.Answer.Scopes()
			if !known {
				original = from.Exchange.Request.Scope()
			}
			if len(original) == 0 {
				c.NotApplicable("neither the answer nor the contract tells the original scope")
			}
			s := c.token(c.Accepted(Step(c.Refresh(token, "").Drop("scope"), "no scope")))
			scope, told := s.Answer.Scopes()
			switch {
			case !told || sameScope(scope, original):
			case len(scope) > 0 && within(scope, original):
				c.look(s)
				c.Note("without a scope parameter less than the original scope is granted, and the answer says so")
			default:
				c.Violate(s, "the original scope "+strings.Join(original, " ")+", or no scope member", fmt.Sprintf("scope %q", strings.Join(scope, " ")))
			}
		},
	},
	{
		ID:    "refresh.scope-identical-on-rotation",
		Title: "A replacement refresh token keeps the full original scope",
		Group: "refresh",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "RFC 6749 §6",
		Editions: AllEditions,
		Summary:  "If a new refresh token is issued, its scope equals that of the one it replaces, even if the access token was narrowed.",
		Why:      "Rights vanish at a refresh and the application breaks in the middle of the day.",
		Applies:  Applies{Grants: []string{"refresh_token"}, When: "rotation observed and two scopes available"},
		Requires: []string{"refresh.happy-path", "refresh.new-token-usable"},
		Probe:    "Refresh with a narrowed scope, then refresh the new refresh token without scope.",
		Expect:   "The second answer's scope is the full original set or absent.",
		Fault:    "Narrowing the access token permanently narrows the refresh token.",
		Effects:  []Effect{ConsumesRefresh, MintsToken},
		Check: func(c *Case) {
			a, b, two := c.twoPlainScopes()
			if !two {
				c.NotApplicable("the contract names no two scopes")
			}
			scope := append([]string{a, b}, keepsRefresh(c.Contract().Scopes.Request)...)
			token, from := c.refreshTokenFor(scope)
			original, known := from.Answer.Scopes()
			narrow := slices.DeleteFunc(slices.Clone(original), func(s string) bool { return s == "openid" || s == "offline_access" })
			if !known || len(original) < 2 || len(narrow) == 0 {
				c.NotApplicable("the original grant is not seen to hold two scopes")
			}
			first := c.Probe(Step(c.Refresh(token, "").Set("scope", narrow[0]), "a narrower scope"), Positive())
			next := first.Answer.Text("refresh_token")
			if !first.Answer.OK() || next == "" || next == token {
				c.NotApplicable("a refresh with a narrower scope gives no new refresh token")
			}
			s := c.Probe(Step(c.Refresh(next, "").Drop("scope"), "the new refresh token without scope"), Positive())
			c.token(s)
			if scope, told := s.Answer.Scopes(); told && !sameScope(scope, original) {
				c.Violate(s, "the scope of the original refresh token: "+strings.Join(original, " "), "scope "+strings.Join(scope, " "))
			}
		},
	},
	{
		ID:    "refresh.new-token-usable",
		Title: "A newly issued refresh token works",
		Group: "refresh",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §6",
		Editions: AllEditions,
		Summary:  "The client has to replace the old token by the new one, so the new one has to be usable.",
		Why:      "Users are thrown out as soon as the first token expires.",
		Applies:  Applies{Grants: []string{"refresh_token"}, When: "the refresh answer carried a refresh_token"},
		Requires: []string{"refresh.happy-path"},
		Probe:    "Refresh with the newly returned refresh_token.",
		Expect:   "ok.",
		Fault:    "Returned refresh tokens are never stored.",
		Effects:  []Effect{ConsumesRefresh, MintsToken},
		Check: func(c *Case) {
			_, next := c.rotated("")
			c.Expect(c.Probe(Step(c.Refresh(next, ""), "the new refresh token"), Positive())).To(BeTokenResponse())
		},
	},
	{
		ID:    "refresh.concurrent",
		Title: "Parallel use of one refresh token ends in a defined state",
		Group: "refresh",
		Level: Should, Wording: Derived, Binds: "server", Posture: Observe,
		Source:   "RFC 9700 §4.14.2; RFC 6749 §10.4",
		Editions: AllEditions,
		Summary:  "Rotation and retries meet in races: the outcome should be one live token family, a clean refusal, or equal answers.",
		Why:      "A race that leaves the client without any working refresh token throws users out at random.",
		Applies:  Applies{Grants: []string{"refresh_token"}},
		Requires: []string{"refresh.happy-path"},
		Probe:    "Send 5 identical refresh requests at the same instant over separate connections; then refresh once with each refresh token received.",
		Expect:   "No 5xx; and at least one of the refresh tokens now held works, or all of them are refused with invalid_grant.",
		Tolerates: []string{
			"Any number of ok answers while the server does not rotate; replay detection that ends the family; the rule reports what was seen.",
		},
		Fault:   "One of the parallel requests ends in 500 after the old token was deleted.",
		Effects: []Effect{ConsumesRefresh, Burst, MayRevoke},
		Alone:   true,
		Check: func(c *Case) {
			c.race()
		},
	},
	{
		ID:    "refresh.public-rotation",
		Title: "Refresh tokens of public clients rotate or are sender-constrained",
		Group: "refresh",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 9700 §2.2.2, §4.14.2",
		Editions: BCP | OAuth21,
		Summary:  "For public clients the server has to use rotation or sender constraint to detect replay.",
		Why:      "A refresh token stolen from an app works for months, and nobody notices.",
		Applies:  Applies{Grants: []string{"refresh_token"}, Auth: []string{"none"}, When: "fixture public client supplied"},
		Requires: []string{"refresh.happy-path"},
		Probe:    "Refresh as the public client.",
		Expect:   "The answer carries a refresh_token different from the one sent, or the token is DPoP- or mTLS-bound.",
		Tolerates: []string{
			"Server issues no refresh tokens to public clients (not applicable).",
			"Profiles that discourage rotation (FAPI 2.0) sender-constrain instead, which passes.",
		},
		Fault:   "Same long-lived bearer refresh token is returned or kept for the public client.",
		Effects: []Effect{ConsumesRefresh, MintsToken},
		Check: func(c *Case) {
			c.Fixture("public")
			token, _ := c.RefreshToken("public")
			s := c.token(c.Accepted(c.Refresh(token, "public")))
			next := s.Answer.Text("refresh_token")
			if bound(s) {
				return
			}
			switch next {
			case "":
				c.Violate(s, "a new refresh token for a public client", "none: the old one is kept")
			case token:
				c.Violate(s, "a new refresh token for a public client", "the same one again")
			}
		},
	},
	{
		ID:    "refresh.rotated-token-dead",
		Title: "A rotated-out refresh token of a public client is refused",
		Group: "refresh",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 9700 §4.14.2",
		Editions: BCP | OAuth21,
		Summary:  "Rotation means the previous refresh token becomes invalid.",
		Why:      "A refresh token stolen from an app works for months, and nobody notices.",
		Applies:  Applies{Grants: []string{"refresh_token"}, Auth: []string{"none"}},
		Requires: []string{"refresh.public-rotation", "refresh.unknown-token-refused"},
		Probe:    "Refresh, wait out the documented grace period (default 60 s), refresh again with the old token.",
		Expect:   "refused; error invalid_grant.",
		Tolerates: []string{
			"A grace window for network retries; inside it nothing is judged.",
		},
		Fault:    "Old refresh tokens keep working after rotation.",
		Effects:  []Effect{ConsumesRefresh, MayRevoke},
		Provokes: []string{"bad_refresh_token"},
		Check: func(c *Case) {
			c.Fixture("public")
			token, next := c.rotated("public")
			c.outlastGrace()
			s := c.Probe(Step(c.Refresh(token, "public"), "the refresh token that was replaced"))
			c.ExpectRefused(s, "invalid_grant")
			c.relied = nil // the replay may rightly end the family; nothing is asked of this client again
			_ = next
		},
	},
	{
		ID:    "refresh.replay-revokes-active",
		Title: "Replay of a rotated refresh token invalidates the active one",
		Group: "refresh",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 9700 §4.14.2",
		Editions: BCP | OAuth21,
		Summary:  "Since the server cannot tell thief from client, it revokes the active refresh token when an old one reappears.",
		Why:      "A refresh token stolen from an app works for months, and nobody notices.",
		Applies:  Applies{Grants: []string{"refresh_token"}, Auth: []string{"none"}},
		Requires: []string{"refresh.rotated-token-dead"},
		Probe:    "After the refused replay, refresh with the newest token.",
		Expect:   "refused.",
		Tolerates: []string{
			"Outside the grace window only.",
		},
		Fault:    "Replay is refused but the active token survives.",
		Effects:  []Effect{ConsumesRefresh, MayRevoke},
		Provokes: []string{"bad_refresh_token"},
		Check: func(c *Case) {
			c.Fixture("public")
			token, next := c.rotated("public")
			c.outlastGrace()
			c.ExpectRefused(c.Probe(Step(c.Refresh(token, "public"), "the refresh token that was replaced")))
			c.ExpectRefused(c.Probe(Step(c.Refresh(next, "public"), "the newest refresh token after the replay")))
		},
	},
	{
		ID:    "refresh.lost-response-retry",
		Title: "A refresh can be repeated when its answer was lost",
		Group: "refresh",
		Level: May, Wording: Derived, Binds: "server", Posture: Observe,
		Source:   "FAPI 2.0 Security Profile §5.3.2.1 (profile only)",
		Editions: AllEditions,
		Summary:  "Where rotation is used, a profile wants the previous token to work a little longer, so that a lost answer does not end the session.",
		Why:      "One dropped answer would otherwise sign the user out for good.",
		Applies:  Applies{Grants: []string{"refresh_token"}, When: "rotation observed"},
		Requires: []string{"refresh.new-token-usable"},
		Probe:    "Refresh, discard the answer, repeat the same request after 2 s, before the new token was ever used.",
		Expect:   "ok (reported together with refresh.rotated-token-dead).",
		Tolerates: []string{
			"Refusal: strict rotation is legitimate and demanded by other readings.",
		},
		Fault:   "The old token dies at once.",
		Effects: []Effect{ConsumesRefresh, MayRevoke},
		Check: func(c *Case) {
			token, _ := c.rotated("")
			c.Wait(2*time.Second, "what a client waits whose answer was lost")
			s := c.Probe(Step(c.Refresh(token, ""), "the same refresh request again, its answer lost"), Provokes("bad_refresh_token"))
			c.Fact("refresh.grace", "A refresh repeated after a lost answer", graceInWords(s), s)
			c.Expect(s).To(BeTokenResponse())
		},
	},
	{
		ID:    "refresh.access-token-not-accepted",
		Title: "Does not accept an access token as a refresh token",
		Group: "refresh",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §6",
		Editions: AllEditions,
		Summary:  "Only a refresh token can pass refresh validation.",
		Why:      "A short-lived token, seen by every API, turns into a permanent one.",
		Applies:  Applies{Grants: []string{"refresh_token"}},
		Requires: []string{"refresh.happy-path", "refresh.unknown-token-refused"},
		Probe:    "Refresh request with a live access token in refresh_token.",
		Expect:   "refused.",
		Fault:    "Both token kinds share one lookup table.",
		Provokes: []string{"bad_refresh_token"},
		Check: func(c *Case) {
			_, from := c.RefreshToken("")
			c.ExpectRefused(c.Probe(Step(c.Refresh(from.Answer.Text("access_token"), ""), "an access token in refresh_token")))
		},
	},
	{
		ID:    "refresh.strength",
		Title: "Refresh tokens are long and random enough to resist guessing",
		Group: "refresh",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:       "RFC 6749 §10.10, §10.4",
		Editions:     AllEditions,
		Summary:      "Refresh tokens fall under the same bound on guessing as access tokens.",
		Why:          "A guessed refresh token gives lasting access in the name of a user.",
		Applies:      Applies{Grants: []string{"refresh_token"}, When: "opt-in sample; token is opaque"},
		Requires:     []string{"refresh.happy-path"},
		Probe:        "Refresh tokens collected during the run (10 or more); estimate their varying part.",
		Expect:       "At least 96 bits estimated; no arithmetic sequence.",
		StrictExpect: "At least 128 bits estimated.",
		Tolerates: []string{
			"The same token returned again counts once; estimation can falsify, never prove.",
		},
		Fault:   "Refresh tokens are an incrementing counter in hex.",
		Effects: []Effect{ConsumesRefresh, MintsToken},
		Check: func(c *Case) {
			seen := map[string]bool{}
			for _, s := range c.Tokens() {
				if t := s.Answer.Text("refresh_token"); t != "" {
					seen[t] = true
				}
			}
			for range 10 {
				if len(seen) >= 10 {
					break
				}
				token, _ := c.RefreshToken("")
				seen[token] = true
			}
			tokens := slices.Sorted(maps.Keys(seen))
			if _, _, jwt := jwtOf(tokens[0]); jwt {
				c.NotApplicable("the refresh tokens are signed JWTs, not opaque")
			}
			if len(tokens) < 2 {
				c.NotApplicable("the same refresh token is handed out every time")
			}
			c.strong("refresh token", tokens)
		},
	},
}

// tamper changes one character in the middle of a token, in a way that changes what it decodes to.
func tamper(token string) string {
	b := []byte(token)
	for i := len(b) / 2; i < len(b)-2; i++ {
		switch ch := b[i]; {
		case b[i+1] == '.' || b[i+1] == '=':
		case ch >= '0' && ch <= '9':
			b[i] = '0' + (ch-'0'+5)%10
			return string(b)
		case ch >= 'a' && ch <= 'f', ch >= 'A' && ch <= 'F':
			b[i] = ch&^7 | (ch&7)%6 + 1
			if b[i] == ch {
				b[i] = ch&^7 | (ch&7+2)%6 + 1
			}
			return string(b)
		case ch >= 'a' && ch <= 'z':
			b[i] = 'a' + (ch-'a'+13)%26
			return string(b)
		case ch >= 'A' && ch <= 'Z':
			b[i] = 'A' + (ch-'A'+13)%26
			return string(b)
		}
	}
	return token + "x"
}

// narrowRefreshToken mints a refresh token whose original grant lacks a scope that the contract
// names, and returns both.
func (c *Case) narrowRefreshToken() (token string, original []string, extra string) {
	scopes := c.Contract().Scopes
	named := slices.Concat(scopes.Grantable, scopes.Forbidden)
	if len(named) == 0 {
		c.NotApplicable("the contract names no scope beyond the one that is asked for")
	}
	keep := named[:0:0]
	for _, s := range slices.Concat(scopes.Request, scopes.Grantable) {
		if !slices.Contains(keep, s) {
			keep = append(keep, s)
		}
	}
	if len(keep) > 1 && !slices.ContainsFunc(scopes.Grantable, func(s string) bool { return !slices.Contains(scopes.Request, s) }) {
		// All that could be granted is asked for: ask for less by one that is not about the kind of flow.
		for i := len(keep) - 1; i >= 0; i-- {
			if keep[i] != "openid" && keep[i] != "offline_access" {
				keep = slices.Delete(keep, i, i+1)
				break
			}
		}
	} else {
		keep = scopes.Request
	}
	token, from := c.refreshTokenFor(keep)
	original, known := from.Answer.Scopes()
	if !known {
		original = keep
	}
	for _, s := range named {
		if !slices.Contains(original, s) && s != "openid" && s != "offline_access" {
			return token, original, s
		}
	}
	c.NotApplicable("the original grant holds every scope that the contract names")
	return "", nil, ""
}

// refreshTokenFor mints a refresh token for a scope.
func (c *Case) refreshTokenFor(scope []string) (token string, from *Sample) {
	switch {
	case c.Documents("password"):
		p := c.run.pairFor("password", "")
		from = c.token(c.Accepted(c.Build(p.grant, p.auth, exchange.Inputs{Scope: scope})))
	case c.Documents("authorization_code"):
		from = c.token(c.Accepted(c.Redeem(c.Code("", func(a *exchange.Authorization) { a.Scope = scope }), "")))
	default:
		c.NotApplicable("no grant of the contract gives a refresh token")
	}
	if token = from.Answer.Text("refresh_token"); token == "" {
		c.NotApplicable("the answer to a request for scope %q carries no refresh token", strings.Join(scope, " "))
	}
	return token, from
}

// keepsRefresh returns the scopes without which a server may give no refresh token.
func keepsRefresh(scope []string) []string {
	return slices.DeleteFunc(slices.Clone(scope), func(s string) bool { return s != "openid" && s != "offline_access" })
}

// rotated refreshes once and returns the old and the new refresh token; without rotation the rule
// is not applicable.
func (c *Case) rotated(client string) (old, next string) {
	old, _ = c.RefreshToken(client)
	s := c.token(c.Accepted(c.Refresh(old, client)))
	if next = s.Answer.Text("refresh_token"); next == "" || next == old {
		c.look(s)
		c.NotApplicable("a refresh gives no new refresh token")
	}
	return old, next
}

// outlastGrace waits until the grace period of a replaced refresh token is over: the documented
// one, or a minute.
func (c *Case) outlastGrace() {
	grace := time.Minute
	if g, ok := c.run.grantOf("refresh_token"); ok {
		if g.GraceUnlimited {
			c.NotApplicable("the page documents that a replaced refresh token goes on working")
		}
		if g.GraceGiven {
			grace = g.Grace
		}
	}
	if grace > 0 {
		c.NeedsConsent(Slow)
		c.Wait(grace+time.Second, "the grace period of a replaced refresh token")
	}
}

// bound reports whether a token is bound to a key (RFC 9449, RFC 8705), so that nobody else can use it.
func bound(s *Sample) bool {
	if strings.EqualFold(s.Answer.Text("token_type"), "DPoP") {
		return true
	}
	_, claims, jwt := jwtOf(s.Answer.Text("access_token"))
	return jwt && claims.Get("cnf").Present()
}

// race uses one refresh token five times at the same instant, and tells what became of it.
func (c *Case) race() {
	token, _ := c.RefreshToken("")
	reqs := make([]exchange.Request, 5)
	for i := range reqs {
		reqs[i] = Step(c.Refresh(token, ""), "one of 5 at the same instant")
	}
	answers := c.Together(reqs, AsIs())
	var held []string
	var losers []string
	winners := 0
	for _, s := range answers {
		switch {
		case s.Answer.OK():
			winners++
			next := s.Answer.Text("refresh_token")
			if next == "" {
				next = token
			}
			if !slices.Contains(held, next) {
				held = append(held, next)
			}
		case s.Err == nil && !slices.Contains(losers, s.Came()):
			losers = append(losers, s.Came())
		}
	}
	if winners == 0 {
		held = []string{token}
	}
	works, refused := 0, 0
	for _, t := range held {
		s := c.Probe(Step(c.Refresh(t, ""), "a refresh token held after the race"), Provokes("bad_refresh_token"))
		switch {
		case s.Answer.OK():
			works++
		case s.Code() == "invalid_grant" || c.rowExcuses(s, aboutCode) != "":
			refused++
		}
	}
	told := fmt.Sprintf("%d of 5 got a token", winners)
	if len(losers) > 0 {
		told += ", the others " + strings.Join(losers, ", ")
	}
	if works == 0 {
		told += "; no refresh token held afterwards works: the family is dead"
	} else {
		told += fmt.Sprintf("; %d of %d refresh tokens held afterwards work", works, len(held))
	}
	c.Fact("refresh.race", "One refresh token used five times at once", told, answers...)
	for _, s := range answers {
		if s.Err == nil {
			c.Expect(s).To(belowFault())
		}
	}
	if works == 0 && refused < len(held) {
		c.Violate(answers[0], "a refresh token that works after the race, or invalid_grant for each", told)
	}
}

func graceInWords(s *Sample) string {
	if s.Answer.OK() {
		return "it is answered with a token: there is a grace period"
	}
	return "it is refused (" + s.Came() + "): the old refresh token dies at once"
}
