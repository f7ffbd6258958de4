package suites

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"grantcheck/report"
	"grantcheck/suites/exchange"
)

// robustnessRules is the group robustness of the catalogue.
var robustnessRules = []Rule{
	{
		ID:    "robust.empty-body",
		Title: "An empty body is refused as a client error",
		Group: "robustness",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.2",
		Editions: AllEditions,
		Summary:  "A request that misses everything is an invalid request.",
		Why:      "One malformed request ends in a fault: noise in alerts at best, an outage at worst.",
		Requires: []string{"request.form-accepted"},
		Probe:    "POST, form content type, zero-length body, no Authorization.",
		Expect:   "refused.",
		Tolerates: []string{
			"invalid_request, invalid_client, unsupported_grant_type; 411 or 415.",
		},
		Fault:    "500.",
		Provokes: []string{"missing_parameter", "missing_client_auth"},
		Check: func(c *Case) {
			c.ExpectRefused(c.Probe(Step(c.Dummy().NoAuth().DropAll(), "an empty body")))
		},
	},
	{
		ID:    "robust.json-body",
		Title: "A JSON request body causes no server fault",
		Group: "robustness",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §4.x.2",
		Editions: AllEditions,
		Summary:  "Only the form encoding is defined; other encodings are at best an extension.",
		Why:      "One malformed request ends in a fault: noise in alerts at best, an outage at worst.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden parameters as a JSON object, Content-Type application/json.",
		Expect:   "Not 5xx. 400, 401 or 415 expected.",
		Tolerates: []string{
			"200 (documented or undocumented extension: note).",
		},
		Fault:    "500.",
		Effects:  []Effect{MintsToken},
		Provokes: []string{"wrong_content_type"},
		Check: func(c *Case) {
			if c.Dummy().Format() == exchange.JSONType {
				c.NotApplicable("the page documents JSON requests")
			}
			c.survives(Step(c.Golden().AsJSON(), "parameters as a JSON object"), "a JSON body")
		},
	},
	{
		ID:    "robust.wrong-content-type",
		Title: "A mislabelled or unlabelled body causes no server fault",
		Group: "robustness",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §4.x.2",
		Editions: AllEditions,
		Summary:  "See robust.json-body.",
		Why:      "One malformed request ends in a fault: noise in alerts at best, an outage at worst.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden body with Content-Type text/plain, multipart/form-data (properly encoded), and none.",
		Expect:   "Not 5xx, for all three.",
		Tolerates: []string{
			"200 (note).",
		},
		Fault:    "500 for a missing Content-Type.",
		Effects:  []Effect{MintsToken},
		Provokes: []string{"wrong_content_type"},
		Check: func(c *Case) {
			for _, m := range mislabelled {
				c.survives(Step(m.change(c.Golden()), "body labelled as %s", m.what), "a body labelled as "+m.what)
			}
		},
	},
	{
		ID:    "robust.bad-percent-encoding",
		Title: "Broken percent-encoding is a client error",
		Group: "robustness",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.2 (otherwise malformed)",
		Editions: AllEditions,
		Summary:  "Malformed requests are answered as invalid requests.",
		Why:      "One malformed request ends in a fault: noise in alerts at best, an outage at worst.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden request with the grant_type value replaced by %ZZ; and one whose body ends in &grantcheck=%.",
		Expect:   "The first is refused; the second is not 5xx.",
		Tolerates: []string{
			"Lenient parsers that keep the literal text then refuse the value.",
		},
		Fault:    "500.",
		Provokes: []string{"unknown_grant"},
		Check: func(c *Case) {
			c.formOnly()
			if c.Dummy().Method() == http.MethodGet {
				c.NotApplicable("the page documents GET, which carries no body")
			}
			c.Expect(c.Probe(Step(c.Golden().AppendBody("&grantcheck=%"), "a body that ends in a bare %%"), Positive())).To(belowFault())
			c.ExpectRefused(c.Probe(Step(c.withGrantType().SetRaw("grant_type", "%ZZ"), "grant_type %%ZZ")))
		},
	},
	{
		ID:    "robust.invalid-utf8",
		Title: "Bytes that are not UTF-8 are a client error",
		Group: "robustness",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 6749 Appendix B, §5.2",
		Editions: AllEditions,
		Summary:  "Values are decoded as UTF-8; what cannot be decoded is malformed.",
		Why:      "One malformed request ends in a fault: noise in alerts at best, an outage at worst.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden request with client_id (or username) set to %FF%FE%FD.",
		Expect:   "refused; the response is valid JSON if it claims so.",
		Fault:    "500, or an error body with broken UTF-8.",
		Effects:  []Effect{BadClientCredentials},
		Provokes: []string{"unknown_client"},
		Check: func(c *Case) {
			const bytes = "\xff\xfe\xfd"
			req := c.Golden()
			ordinary := req.ClientID(c.Nonce())
			switch part := "client_id"; {
			case req.AuthMethod() == "basic":
				req = req.ClientID(bytes)
			case !req.Has(part) && !req.Has("username"):
				c.NotApplicable("the documented request has neither client_id nor username")
			default:
				if !req.Has(part) {
					part = "username"
					ordinary = req.Set(part, c.Nonce())
				}
				raw := "%FF%FE%FD"
				if req.Format() == exchange.JSONType {
					raw = `"` + bytes + `"`
				}
				req = req.SetRaw(part, raw)
			}
			s := c.Probe(Step(req, "an identifier of bytes that are not UTF-8"))
			c.unlessAnyFaults(s, ordinary, "unknown_client", "client-auth.unknown-client-refused")
			c.ExpectRefused(s)
			c.parses(s)
		},
	},
	{
		ID:    "robust.nul-byte",
		Title: "A NUL byte does not truncate a credential",
		Group: "robustness",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §2.3.1, Appendix A.2",
		Editions: AllEditions,
		Summary:  "Secrets consist of printable ASCII; text after a NUL still counts.",
		Why:      "Only part of the secret is checked.",
		Applies:  Applies{Auth: []string{"post"}},
		Requires: []string{"client-auth.secret-exact-match"},
		Probe:    "Golden request with client_secret=<real secret>%00x.",
		Expect:   "refused.",
		Tolerates: []string{
			"A 5xx without a token is left to robust.no-fault-on-negatives.",
		},
		Fault:    "C-string comparison ignores what follows the NUL and issues a token.",
		Effects:  []Effect{BadClientCredentials},
		Provokes: []string{"wrong_secret"},
		Check: func(c *Case) {
			req := c.Victim("post")
			_, secret := req.Credentials()
			s := c.Probe(Step(req.Secret(secret+"\x00x"), "the secret, a NUL and a character more"))
			if s.Answer.Fault() {
				c.look(s)
				c.Note("a NUL byte is answered with %d; robust.no-fault-on-negatives reports it", s.Status)
				return
			}
			c.ExpectRefused(s)
		},
	},
	{
		ID:    "robust.oversized-value",
		Title: "An oversized parameter is refused or handled, without a fault",
		Group: "robustness",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 6749 §5.2; RFC 9110 §15.5.14",
		Editions: AllEditions,
		Summary:  "Nothing bounds parameter size; a refusal has to be a client error.",
		Why:      "A single oversized request can slow the endpoint down for everybody.",
		Requires: []string{"client-auth.wrong-secret-refused"},
		Probe:    "Golden request plus an unknown parameter of 256 KiB; again with client_secret of 256 KiB.",
		Expect:   "Not 5xx, answer within the timeout; the second is refused.",
		Tolerates: []string{
			"400, 401, 413, 431; 200 for the unknown parameter; connection closed after a 413.",
		},
		Fault:   "500 and a worker crash.",
		Effects: []Effect{BadClientCredentials},
		Check: func(c *Case) {
			long := strings.Repeat("x", 256<<10)
			c.Target().Redactor.Show(long) // it is no secret
			c.handled(Step(c.Golden().Add("grantcheck_"+c.Nonce(), long), "an unknown parameter of 256 KiB"), Positive())
			if c.run.methodUsable("post") {
				s := c.handled(Step(c.Victim("post").Secret(long), "a client_secret of 256 KiB"), Provokes("wrong_secret"))
				c.ExpectRefused(s)
			}
		},
	},
	{
		ID:    "robust.many-parameters",
		Title: "A body with thousands of parameters causes no fault",
		Group: "robustness",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 6749 §3.2, §5.2",
		Editions: AllEditions,
		Summary:  "Unknown parameters are ignored or the request refused as a client error.",
		Why:      "A single oversized request can slow the endpoint down for everybody.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden request plus 5 000 short unknown parameters.",
		Expect:   "Not 5xx, answer within the timeout.",
		Tolerates: []string{
			"200, 400, 413.",
		},
		Fault:   "Timeout caused by quadratic parsing.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			c.handled(Step(c.Golden().AddMany(5000, "p", "1"), "5000 unknown parameters"), Positive())
		},
	},
	{
		ID:    "robust.oversized-header",
		Title: "An oversized Authorization header is refused as a client error",
		Group: "robustness",
		Level: Should, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 6585 §5; RFC 9110 §15.5",
		Editions: AllEditions,
		Summary:  "A dedicated client-error status exists for header fields that are too large.",
		Why:      "A single oversized request can slow the endpoint down for everybody.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden grant parameters with a Basic header of 64 KiB.",
		Expect:   "400, 401, 413 or 431; no 5xx; no token.",
		Tolerates: []string{
			"Connection reset by a front proxy (inconclusive).",
		},
		Fault:    "500 or 502.",
		Effects:  []Effect{BadClientCredentials},
		Provokes: []string{"unknown_client", "wrong_secret"},
		Check: func(c *Case) {
			long := strings.Repeat("x", 48<<10)
			c.Target().Redactor.Show(long) // it is no secret
			req := Step(c.Dummy().BasicText(c.Nonce()+":"+long), "a Basic header of 64 KiB")
			s := c.Try(req, AsIs())
			if s.Status >= 500 {
				s = c.Try(req, AsIs())
			}
			if s.Err != nil || s.Answer.Inconclusive() != "" && s.Status != http.StatusBadGateway {
				c.decided(s, probe{})
			}
			c.unlessAnyFaults(s, c.Dummy().BasicText(c.Nonce()+":"+c.Nonce()), "unknown_client", "client-auth.unknown-client-refused")
			c.Expect(s).To(belowFault())
			c.ExpectRefused(s)
		},
	},
	{
		ID:    "robust.array-parameter",
		Title: "A bracketed parameter name is not read as the plain parameter",
		Group: "robustness",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §3.2",
		Editions: AllEditions,
		Summary:  "grant_type[] is another, unrecognized name; some frameworks turn it into an array and crash or accept.",
		Why:      "A front filter and the server read the same request differently, and the filter can be passed by.",
		Requires: []string{"request.missing-grant-type"},
		Probe:    "Golden request with grant_type[] in place of grant_type.",
		Expect:   "refused.",
		Fault:    "Framework array coercion: the value is accepted.",
		Provokes: []string{"missing_parameter"},
		Check: func(c *Case) {
			req := c.withGrantType()
			p, _ := req.Param("grant_type")
			c.ExpectRefused(c.Probe(Step(req.Rename("grant_type", p.Name+"[]"), "grant_type[] in place of grant_type"), About("grant_type")))
		},
	},
	{
		ID:    "robust.duplicate-authorization",
		Title: "Two Authorization headers do not both count",
		Group: "robustness",
		Level: MustNot, Wording: Keyword, Binds: "both", Posture: Observe,
		Source:   "RFC 9110 §5.3",
		Editions: AllEditions,
		Summary:  "A sender must not repeat a singleton field; picking one is ambiguous.",
		Why:      "Two answers to the question who is asking leave room for an attacker in between.",
		Applies:  Applies{Auth: []string{"basic"}},
		Requires: []string{"client-auth.wrong-secret-refused", "client-auth.basic-supported"},
		Probe:    "Golden grant parameters with a wrong and a right Basic header, in both orders.",
		Expect:   "refused in both orders.",
		Tolerates: []string{
			"HTTP servers that refuse with 400 before OAuth sees it.",
			"The clause binds the sender; most HTTP stacks read the first line only, so acceptance is an observation.",
		},
		Fault:    "The last header wins.",
		Effects:  []Effect{BadClientCredentials},
		Provokes: []string{"wrong_secret"},
		Check: func(c *Case) {
			for _, order := range []string{"wrong one first", "wrong one last"} {
				req := c.Victim("basic")
				lines := []string{req.Secret(c.WrongSecret(req)).GetHeader("Authorization"), req.GetHeader("Authorization")}
				if order == "wrong one last" {
					slices.Reverse(lines)
				}
				c.ExpectRefused(c.Probe(Step(req.Authorization(lines...), "two Authorization fields, the %s", order)))
			}
		},
	},
	{
		ID:    "robust.reflected-input",
		Title: "Echoed input cannot break the error body",
		Group: "robustness",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §10.14, §5.2",
		Editions: AllEditions,
		Summary:  "Values received have to be sanitized, and error texts keep to their character set.",
		Why:      "Text chosen by an attacker ends up unescaped in answers, headers and logs.",
		Requires: []string{"request.form-accepted", "error.json-body", "error.error-charset", "error.description-charset"},
		Probe:    "grant_type set to a quotation mark, backslash, line break and a script tag, percent-encoded.",
		Expect:   "Body still parses as JSON; media type stays JSON; error and error_description keep to their charset.",
		Fault:    "grant_type is pasted unescaped into the JSON.",
		Provokes: []string{"unknown_grant"},
		Check: func(c *Case) {
			mark := "<script>" + c.Nonce() + "</script>"
			s := c.Probe(Step(c.withGrantType().Set("grant_type", "\"\\\r\n"+mark), "grant_type with quotation mark, backslash, line break and a script tag"))
			if strings.Contains(string(s.Body), mark) {
				c.Expect(s).To(satisfy("input sent back in JSON only", func(s *Sample) (string, bool) {
					return "media type " + s.MediaType() + " with the input in it", s.JSON() || s.Answer.Strict().Form
				}))
			} else if !s.JSON() && !s.Answer.Strict().Form {
				c.look(s)
				c.Inconclusive("an answer of media type %q came, perhaps of a filter in front of the endpoint", s.MediaType())
			}
			c.parses(s)
			for _, part := range []string{exchange.ErrorPart, exchange.ErrorDescription} {
				c.Expect(s).To(satisfy(part+" without quotation mark, backslash or control character", func(s *Sample) (string, bool) {
					return part + " with one of them", !strings.ContainsFunc(s.Answer.Text(part), func(r rune) bool { return r == '"' || r == '\\' || r < ' ' })
				}))
			}
		},
	},
	{
		ID:    "robust.header-injection",
		Title: "Line breaks in input never become response headers",
		Group: "robustness",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §10.14; RFC 9110 §5.5",
		Editions: AllEditions,
		Summary:  "Field values must not contain CR or LF.",
		Why:      "Text chosen by an attacker ends up unescaped in answers, headers and logs.",
		Requires: []string{"request.form-accepted"},
		Probe:    "grant_type, scope and client_id set to x%0d%0aX-Grantcheck:%20<nonce>.",
		Expect:   "No response header X-Grantcheck; not 5xx.",
		Fault:    "client_id is copied raw into the WWW-Authenticate realm.",
		Effects:  []Effect{BadClientCredentials},
		Check: func(c *Case) {
			for _, p := range [][3]string{
				{"grant_type", "unknown_grant", "request.unknown-grant-type"},
				{"scope", "bad_scope", "request.scope-unknown"},
				{"client_id", "unknown_client", "client-auth.unknown-client-refused"},
			} {
				part, condition, plainly := p[0], p[1], p[2]
				req := c.Golden()
				if part != "scope" && !req.Has(part) && (part != "client_id" || req.AuthMethod() != "basic") {
					continue
				}
				with := func(value string) exchange.Request {
					if part == "client_id" {
						return req.ClientID(value)
					}
					return req.Set(part, value)
				}
				s := c.Probe(Step(with("x\r\nX-Grantcheck: "+c.Nonce()), "%s with a line break and a header field", part), Provokes(condition))
				c.Expect(s).To(satisfy("no header field that came from the input", func(s *Sample) (string, bool) {
					return "the field X-Grantcheck, sent in " + part, len(s.Header.Values("X-Grantcheck")) == 0
				}))
				c.unlessAnyFaults(s, with(c.Nonce()), condition, plainly)
				c.Expect(s).To(belowFault())
			}
		},
	},
	{
		ID:    "robust.no-fault-on-negatives",
		Title: "No client mistake in the whole run is answered with 5xx",
		Group: "robustness",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 6749 §5.2",
		Editions: AllEditions,
		Summary:  "Client errors have client-error statuses.",
		Why:      "One malformed request ends in a fault: noise in alerts at best, an outage at worst.",
		Probe:    "All negative probes of the run.",
		Expect:   "No 5xx.",
		Tolerates: []string{
			"503 under load phases; a single 5xx not reproduced on one retry is a note.",
		},
		Fault:   "500 for an unknown grant type.",
		Passive: true,
		Check: func(c *Case) {
			negatives := c.Answers(func(s *Sample) bool {
				positive := s.Provoked != nil && len(s.Provoked) == 0
				return s.Endpoint == tokenEndpoint && s.Rule != "" && !s.Golden && !positive && !slices.Contains(c.run.catalogue[s.Rule].Effects, Burst)
			})
			c.Each(negatives, "nothing wrong was sent", func(s *Sample) {
				switch {
				case !s.Answer.Fault(), s.Status == http.StatusNotImplemented && s.Request.Method() != http.MethodPost:
				case s.again == nil, s.again.Answer.Fault():
					c.Expect(s).To(belowFault())
				default:
					c.Note("%d once, and %s when asked again", s.Status, s.again.Came())
				}
			})
		},
	},
	{
		ID:    "robust.concurrent-isolation",
		Title: "Concurrent clients never receive each other's tokens",
		Group: "robustness",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §10.3",
		Editions: AllEditions,
		Summary:  "A token is shared only with the client it was issued to.",
		Why:      "One customer gets the token of another.",
		Applies:  Applies{When: "two fixture clients; token identity observable (JWT client_id/azp/sub, introspection, or distinct scopes)"},
		Requires: []string{"request.form-accepted"},
		Probe:    "200 interleaved golden requests of both clients over shared connections.",
		Expect:   "Every token belongs to the client that asked.",
		Tolerates: []string{
			"Inconclusive when identity is not observable.",
		},
		Fault:   "Response cache keyed without the client.",
		Effects: []Effect{MintsMany, Burst},
		Alone:   true,
		Check: func(c *Case) {
			second := c.Fixture("second")
			if consumes(c.run.golden.grant) {
				c.NotApplicable("the golden request uses up a code or refresh token each time")
			}
			var reqs []exchange.Request
			for i := range 200 {
				reqs = append(reqs, Step(c.GoldenAs([]string{"", second.Name}[i%2], ""), "interleaved with another client's"))
			}
			c.isolated(c.Parallel(reqs, 8, Positive()))
		},
	},
	{
		ID:    "robust.concurrent-identical",
		Title: "Identical requests at the same instant neither break nor share a token's id",
		Group: "robustness",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 7519 §4.1.7; RFC 9110 §15.6",
		Editions: AllEditions,
		Summary:  "A jti is assigned so that no other token has it; a request that is sound alone is sound beside its like.",
		Why:      "Two instances of one service start together: one gets a 500, or revoking one token ends the other.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Twice twenty golden requests of one client at the same instant.",
		Expect:   "No 5xx but 503, and no jti in two different tokens.",
		Tolerates: []string{
			"The same token for several of them, a limit, one lone 5xx in both rounds.",
		},
		Fault:   "A request that comes while another of the same client is under way ends in 500.",
		Effects: []Effect{MintsMany, Burst},
		Alone:   true,
		Check: func(c *Case) {
			if consumes(c.run.golden.grant) {
				c.NotApplicable("the golden request uses up a code or a refresh token each time")
			}
			var faults, answered []*Sample
			ids, tokens := map[string]string{}, map[string]bool{} // token by jti
			for range 2 {
				reqs := make([]exchange.Request, 20)
				for i := range reqs {
					reqs[i] = Step(c.Golden(), "one of 20 at the same instant")
				}
				for _, s := range c.Together(reqs, Positive(), AsIs()) {
					switch {
					case s.Err != nil:
					case s.Answer.Fault():
						faults = append(faults, s)
					case s.Answer.OK():
						answered = append(answered, s)
					}
				}
			}
			for _, s := range answered {
				token := s.Answer.Text(exchange.AccessToken)
				tokens[token] = true
				_, claims, _ := jwtOf(token)
				id := claims.Get("jti")
				if other, seen := ids[id.Text]; seen && other != token && id.Kind == exchange.String {
					c.Violate(s, "a jti of its own for each token", "the same jti in two different tokens")
				}
				ids[id.Text] = token
			}
			if len(faults) > 1 {
				c.Violate(faults[0], "no server fault", fmt.Sprintf("%s, for %d of 40 requests", faults[0].Came(), len(faults)))
			}
			if len(answered) < 4 {
				panic(stop{verdict: report.Inconclusive, kind: report.FewSamples, reason: fmt.Sprintf("only %d of 40 requests were answered with a token", len(answered))})
			}
			c.Fact("concurrent.identical", "Forty identical requests, twenty at an instant", fmt.Sprintf("%d tokens, %d of them different", len(answered), len(tokens)), answered[0])
		},
	},
	{
		ID:    "robust.keep-alive-after-error",
		Title: "An error answer does not corrupt the connection",
		Group: "robustness",
		Level: Should, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 9112 §9.3",
		Editions: AllEditions,
		Summary:  "Persistent connections carry the next request unless closed explicitly.",
		Why:      "The next request on the connection gets the wrong answer.",
		Requires: []string{"request.form-accepted"},
		Probe:    "On one connection: a refused request, then a golden request.",
		Expect:   "Second answer ok (a new connection after an announced close is fine).",
		Fault:    "Unread body bytes of the first request are parsed as the next request: 400.",
		Effects:  []Effect{MintsToken},
		Check: func(c *Case) {
			bad := c.Dummy()
			if !bad.Has("grant_type") {
				bad = bad.NoAuth()
			}
			got := c.Sequence([]exchange.Request{Step(bad.Set("grant_type", c.Nonce()), "an unknown grant type"), Step(c.Golden(), "the golden request behind it")}, Provokes("unknown_grant"))
			first, next := got[0], got[1]
			if first.Err != nil || next.Err != nil || next.Answer.Inconclusive() != "" {
				c.look(first)
				c.look(next)
				c.Inconclusive("no two answers came over one connection: %s, %s", first.Came(), next.Came())
			}
			c.ExpectAccepted(next)
		},
	},
	{
		ID:    "robust.expect-continue",
		Title: "Expect: 100-continue does not stall the request",
		Group: "robustness",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Observe,
		Source:   "RFC 9110 §10.1.1",
		Editions: AllEditions,
		Summary:  "A server that sees the expectation sends 100 or a final status.",
		Why:      "Some HTTP libraries send it by default and then wait for seconds on each request.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden request over HTTP/1.1 with Expect: 100-continue, body held back up to 2 s.",
		Expect:   "100 or a final answer within the 2 s, then ok.",
		Tolerates: []string{
			"417 (observation); HTTP/2.",
		},
		Fault:   "No interim answer: the client waits.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			req := c.Golden()
			if req.Method() == http.MethodGet {
				c.NotApplicable("the page documents GET, which carries no body")
			}
			s := c.Probe(Step(req.ExpectContinue(), "Expect: 100-continue, the body held back"), Positive())
			c.Expect(s).To(satisfy("100 Continue or a final answer within 2 s", func(s *Sample) (string, bool) {
				return "neither", s.HeldBack < 2*time.Second
			}))
			c.ExpectAccepted(s)
		},
	},
}

// mislabelled sends the documented parameters under a media type that is not the documented one.
var mislabelled = []struct {
	what   string
	change func(exchange.Request) exchange.Request
}{
	{"text/plain", func(r exchange.Request) exchange.Request { return r.WithContentType("text/plain") }},
	{"another encoding", func(r exchange.Request) exchange.Request {
		if r.Format() == exchange.FormType {
			return r.AsMultipart()
		}
		return r.AsForm()
	}},
	{"nothing", exchange.Request.NoContentType},
}

// survives holds that an odd body is no server fault; a token for it is worth a remark.
func (c *Case) survives(req exchange.Request, what string) {
	s := c.Probe(req)
	c.Expect(s).To(belowFault())
	if s.Answer.OK() {
		c.Note("%s is taken as well", what)
	}
}

// unlessAnyFaults ends the check where the oddity of a value is not to blame for the fault s: an
// ordinary unknown value is answered with one too, and the rule plainly is about that.
func (c *Case) unlessAnyFaults(s *Sample, ordinary exchange.Request, condition, plainly string) {
	if s.Answer.Fault() && c.Try(Step(ordinary, "an ordinary unknown value in its place"), Provokes(condition)).Answer.Fault() {
		c.look(s)
		c.blockedBy(plainly, "an ordinary unknown value is answered with a fault too; "+plainly+" says so")
	}
}

// handled holds that a large request is answered in time, and not with a server fault.
func (c *Case) handled(req exchange.Request, opts ...Option) *Sample {
	s := c.Try(req, opts...)
	if limit := c.Target().Timeout(); s.ErrKind == exchange.ErrTimeout || s.Took > limit {
		if why := c.run.controlOf(c.ctx, controlKey{grant: s.grant, client: s.client}); why != "" {
			c.look(s)
			panic(stop{verdict: report.Inconclusive, kind: report.Control, reason: why})
		}
		c.Violate(s, fmt.Sprintf("an answer within %s", limit), "none")
	}
	c.decided(s, probe{})
	c.Expect(s).To(belowFault())
	return s
}

// parses holds that an odd request is answered in JSON where the answer says so. Where ordinary
// refusals do not parse either, error.json-body and response.utf8 tell.
func (c *Case) parses(s *Sample) {
	for _, usual := range c.AnswersOf("request.unknown-grant-type", "request.missing-grant-type") {
		if ok, _ := jsonIfItSaysSo().Match(usual); !ok {
			c.look(s)
			c.blockedBy("error.json-body", "refusals of ordinary requests are no clean JSON either")
		}
	}
	c.Expect(s).To(jsonIfItSaysSo())
}

// jsonIfItSaysSo succeeds unless the media type says JSON and the body is none.
func jsonIfItSaysSo() answerMatcher {
	return answerMatcher{
		expected: "a body that is JSON, as its media type says",
		came: func(s *Sample) string {
			d := s.Answer.Strict()
			if d.NotUTF8 {
				return "bytes that are not UTF-8"
			}
			return exchange.Printable(fmt.Sprint(d.Err), 120)
		},
		match: func(s *Sample) bool {
			d := s.Answer.Strict()
			return !s.JSON() || len(s.Body) == 0 || d.Err == nil && !d.NotUTF8
		},
	}
}

// JSON reports whether the answer's media type says JSON.
func (s *Sample) JSON() bool {
	media := s.MediaType()
	return media == exchange.JSONType || strings.HasSuffix(media, "+json")
}

// isolated holds that every token belongs to the client that asked for it.
func (c *Case) isolated(answers []*Sample) {
	owner := map[string]string{}
	ids := map[string]bool{}
	for _, f := range []string{"", "second"} {
		ids[c.Target().ClientNamed(f).ID] = true
	}
	asked, told := 0, 0
	belongs := func(s *Sample, id string) {
		mine := s.Request.Client().ID
		if !ids[id] {
			return
		}
		told++
		if id != mine {
			c.Violate(s, "a token of the client that asked", "a token of the other client")
		}
	}
	for _, s := range answers {
		if !s.Answer.OK() {
			continue
		}
		asked++
		token, mine := s.Answer.Text("access_token"), s.Request.Client().ID
		if other, ok := owner[token]; ok && other != mine {
			c.Violate(s, "a token of the client that asked", "the token that the other client was given")
		}
		owner[token] = mine
		if _, claims, ok := jwtOf(token); ok {
			for _, name := range []string{"client_id", "azp", "sub"} {
				if id := claims.Get(name).Text; ids[id] {
					belongs(s, id)
					break
				}
			}
		}
	}
	if asked < 20 {
		panic(stop{verdict: report.Inconclusive, kind: report.FewSamples, reason: fmt.Sprintf("only %d of %d requests were answered with a token", asked, len(answers))})
	}
	if told == 0 && c.Target().IntrospectionURL() != "" {
		for i := 0; i < len(answers); i += max(1, len(answers)/20) {
			if !answers[i].Answer.OK() {
				continue
			}
			req, err := c.Target().Introspection(answers[i].Answer.Text("access_token"), nil)
			c.orNeed(err)
			if got := c.Probe(req, At("introspection"), Positive()); got.Status == http.StatusOK {
				belongs(answers[i], got.Answer.Lenient().Get("client_id").Text)
			}
		}
	}
	if told == 0 {
		c.NotApplicable("%d tokens, none given to both clients; what client a token is for cannot be seen here", asked)
	}
}
