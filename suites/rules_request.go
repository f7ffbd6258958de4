package suites

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"grantcheck/suites/contract"
	"grantcheck/suites/exchange"
)

// requestRules is the group request of the catalogue.
var requestRules = []Rule{
	{
		ID:    "request.form-accepted",
		Title: "Accepts grant parameters as a UTF-8 form-encoded POST body",
		Group: "request",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §4.4.2, §4.3.2, §4.1.3, §6, Appendix B",
		Editions: AllEditions,
		Summary:  "Every core grant defines its token request as form-encoded parameters in the POST entity, encoded from UTF-8.",
		Why:      "No client built to the standard can get a token at all.",
		Requires: []string{"transport.certificate-valid", "transport.tls12-supported", "transport.no-redirect", "doc.endpoint-path"},
		Probe:    "For each documented grant in turn its golden request, until one is answered ok: POST, Content-Type application/x-www-form-urlencoded, valid client authentication.",
		Expect:   "ok for at least one documented grant and authentication method; that pair is the golden request from here on.",
		Tolerates: []string{
			"HTTP/2 or HTTP/1.1; any letter case in response header names.",
		},
		Fault:   "Endpoint only understands a JSON body and answers every form request with 415.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			if c.run.golden.grant == nil {
				c.noGolden()
			}
			req := c.Dummy()
			if req.Format() == exchange.FormType && req.Method() == http.MethodPost {
				c.look(c.goldenAnswer(c.run.golden))
				return
			}
			c.PageSays(fmt.Sprintf("the page documents %s requests as %s", req.Method(), req.Format()))
			form := c.Golden().AsForm()
			if req.Method() != http.MethodPost {
				form = form.WithMethod(http.MethodPost).MoveTo(exchange.InBody)
			}
			c.Expect(c.Probe(Step(form, "as a form in the body of a POST"), Provokes("wrong_content_type", "wrong_method"))).To(BeTokenResponse())
		},
	},
	{
		ID:    "request.form-charset-parameter",
		Title: "Tolerates a charset parameter on the form media type",
		Group: "request",
		Level: May, Wording: Derived, Binds: "server", Posture: Observe,
		Source:   "RFC 9110 §8.3.1",
		Editions: AllEditions,
		Summary:  "The form media type defines no charset parameter, but HTTP client libraries add one; a tolerant recipient ignores it.",
		Why:      "Clients whose HTTP library adds a charset are turned away for no reason they can see.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden request with Content-Type \"application/x-www-form-urlencoded; charset=UTF-8\".",
		Expect:   "ok.",
		Tolerates: []string{
			"415 or 400 is reported as an interoperability observation, never as a failure.",
		},
		Fault:   "Compares the whole Content-Type value as a string and answers 415 when the parameter is present.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			c.formOnly()
			c.ExpectAccepted(c.Probe(Step(c.Golden().WithContentType(exchange.FormType+"; charset=UTF-8"), "with a charset parameter"), Positive()))
		},
	},
	{
		ID:    "request.media-type-case",
		Title: "Treats the request media type name case-insensitively",
		Group: "request",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 9110 §8.3.1",
		Editions: AllEditions,
		Summary:  "Type and subtype names are case-insensitive in HTTP.",
		Why:      "Clients are turned away over the spelling of a media type.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden request with Content-Type \"Application/X-WWW-Form-URLEncoded\".",
		Expect:   "ok.",
		Fault:    "Case-sensitive comparison of the media type; answers 415.",
		Effects:  []Effect{MintsToken},
		Check: func(c *Case) {
			req := c.Golden()
			if req.Method() != http.MethodPost {
				c.NotApplicable("the page documents %s, which carries no body", req.Method())
			}
			spelled := map[string]string{exchange.FormType: "Application/X-WWW-Form-URLEncoded", exchange.JSONType: "Application/JSON", exchange.MultipartType: "Multipart/Form-Data"}[req.Format()]
			c.ExpectAccepted(c.Probe(Step(req.WithContentType(spelled), "media type spelled %s", spelled), Positive()))
		},
	},
	{
		ID:    "request.missing-grant-type",
		Title: "Refuses a token request without grant_type",
		Group: "request",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:       "RFC 6749 §5.2 (invalid_request), §4.x.2 (grant_type REQUIRED)",
		Editions:     AllEditions,
		Summary:      "grant_type is mandatory for every grant; a request lacking a mandatory parameter is answered as an invalid request.",
		Why:          "A broken client request is taken for another one, and the client never learns of its mistake.",
		Requires:     []string{"request.form-accepted"},
		Probe:        "Golden request with grant_type removed; client authentication stays valid.",
		Expect:       "refused, with error invalid_request or unsupported_grant_type.",
		StrictExpect: "error is invalid_request.",
		Tolerates: []string{
			"unsupported_grant_type (some servers dispatch on the value first and treat absent as unsupported).",
			"401 invalid_client when the server cannot pick an authentication method without a grant - reported as a note.",
		},
		Fault:    "Falls back to a default grant and issues a token.",
		Provokes: []string{"missing_parameter"},
		Check: func(c *Case) {
			req := c.withGrantType()
			if f, ok := c.documentedParam(req, "grant_type"); ok && f.Required.Mode == "false" {
				c.PageSays("the page documents grant_type as optional")
			}
			s := c.Probe(Step(req.Drop("grant_type"), "without grant_type"), About("grant_type"))
			c.ExpectRefused(s)
			if c.Tolerated(s, "unsupported_grant_type", "a missing grant_type is answered with unsupported_grant_type, where the list of errors has invalid_request for a missing parameter") ||
				c.Tolerated(s, "invalid_client", "without grant_type the client is not authenticated: invalid_client") {
				return
			}
			c.ExpectCode(s, "invalid_request")
		},
	},
	{
		ID:    "request.empty-grant-type",
		Title: "Treats an empty grant_type as absent",
		Group: "request",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §3.2",
		Editions: AllEditions,
		Summary:  "A parameter sent without a value counts as not sent.",
		Why:      "A broken client request is taken for another one, and the client never learns of its mistake.",
		Requires: []string{"request.missing-grant-type"},
		Probe:    "Golden request with \"grant_type=\" (empty).",
		Expect:   "refused, and same status and error code as the answer to request.missing-grant-type.",
		Tolerates: []string{
			"A different error_description; unsupported_grant_type for both or for this one only (note).",
		},
		Fault:    "Empty grant_type selects the default grant and issues a token, although an absent one is refused.",
		Provokes: []string{"missing_parameter"},
		Check: func(c *Case) {
			s := c.Probe(Step(c.withGrantType().Set("grant_type", ""), "grant_type without a value"), About("grant_type"))
			c.ExpectRefused(s)
			absent := c.AnswersOf("request.missing-grant-type")
			if len(absent) == 0 {
				c.Inconclusive("there is no answer to a missing grant_type to compare with")
			}
			as := absent[len(absent)-1]
			if s.Code() != as.Code() && (s.Code() == "unsupported_grant_type" || as.Code() == "unsupported_grant_type") {
				c.look(as)
				c.Note("an empty grant_type is answered with %s, a missing one with %s", s.Came(), as.Came())
				return
			}
			c.Expect(s).To(satisfy("the same answer as without grant_type: "+as.Came(), func(s *Sample) (string, bool) {
				return s.Came(), s.Status == as.Status && s.Code() == as.Code()
			}))
		},
	},
	{
		ID:    "request.unknown-grant-type",
		Title: "Refuses an unsupported grant type with unsupported_grant_type",
		Group: "request",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:       "RFC 6749 §5.2",
		Editions:     AllEditions,
		Summary:      "The error list reserves a dedicated code for grant types the server does not support, and excludes that case from invalid_request.",
		Why:          "Developers are sent looking for a bad credential when the grant is simply not offered.",
		Requires:     []string{"request.form-accepted"},
		Probe:        "Golden request with grant_type set to a random absolute URI (urn:example:grantcheck:<nonce>), and once more with a random plain word.",
		Expect:       "refused; error is unsupported_grant_type for both forms.",
		StrictExpect: "As expect. Default mode downgrades invalid_request to a note because deployed, certified servers answer so.",
		Tolerates: []string{
			"invalid_request (note). The status is judged by error.status-400.",
		},
		Fault:    "Answers an unknown grant type with invalid_grant.",
		Provokes: []string{"unknown_grant"},
		Check: func(c *Case) {
			req := c.withGrantType()
			for i, value := range []string{"urn:example:grantcheck:" + c.Nonce(), c.Nonce()} {
				if i > 0 {
					req = c.withGrantType()
				}
				s := c.Probe(Step(req.Set("grant_type", value), "grant_type %s", value))
				c.ExpectRefused(s)
				if !c.Tolerated(s, "invalid_request", "an unknown grant type is answered with invalid_request, where the list of errors has unsupported_grant_type") {
					c.ExpectCode(s, "unsupported_grant_type")
				}
			}
		},
	},
	{
		ID:    "request.grant-type-case",
		Title: "Compares grant_type values case-sensitively",
		Group: "request",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 6749 §1.9",
		Editions: AllEditions,
		Summary:  "Protocol parameter names and values are case-sensitive unless a definition says otherwise.",
		Why:      "A front filter and the server read the same request differently, and the filter can be passed by.",
		Requires: []string{"request.unknown-grant-type"},
		Probe:    "Golden request with the grant_type value in upper case.",
		Expect:   "refused.",
		Tolerates: []string{
			"Any 4xx and any error code.",
		},
		Fault:    "Lower-cases grant_type before dispatch and issues a token for the upper-case spelling.",
		Effects:  []Effect{MintsToken},
		Provokes: []string{"unknown_grant"},
		Check: func(c *Case) {
			req := c.withGrantType()
			value := req.Get("grant_type")
			other := strings.ToUpper(value)
			if other == value {
				other = strings.ToLower(value)
			}
			if other == value {
				c.NotApplicable("the value of grant_type has no letters")
			}
			c.ExpectRefused(c.Probe(Step(req.Set("grant_type", other), "grant_type %s", other)))
		},
	},
	{
		ID:    "request.param-name-case",
		Title: "Compares parameter names case-sensitively",
		Group: "request",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 6749 §1.9",
		Editions: AllEditions,
		Summary:  "See request.grant-type-case; applies to names as well. A differently cased name is an unrecognized parameter.",
		Why:      "A front filter and the server read the same request differently, and the filter can be passed by.",
		Requires: []string{"request.missing-grant-type"},
		Probe:    "Golden request with the name grant_type spelled Grant_Type.",
		Expect:   "refused, as for a missing grant_type.",
		Fault:    "Case-insensitive form parsing; issues a token.",
		Effects:  []Effect{MintsToken},
		Provokes: []string{"missing_parameter"},
		Check: func(c *Case) {
			req := c.withGrantType()
			p, _ := req.Param("grant_type")
			name := otherCase(p.Name)
			if name == p.Name {
				c.NotApplicable("the name of the parameter has no letters")
			}
			c.ExpectRefused(c.Probe(Step(req.Rename("grant_type", name), "grant_type named %s", name), About("grant_type")))
		},
	},
	{
		ID:    "request.unrecognized-ignored",
		Title: "Ignores request parameters it does not recognize",
		Group: "request",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §3.2",
		Editions: AllEditions,
		Summary:  "The server has to disregard unknown parameters instead of failing on them.",
		Why:      "Clients that add a parameter from a newer standard stop working.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden request plus grantcheck_<nonce>=1 in the body.",
		Expect:   "ok, same members present as in the golden response.",
		Tolerates: []string{
			"Different token values; the unknown name must not collide with any registered or documented parameter.",
		},
		Fault:   "Strict parameter allow-list; answers 400 invalid_request.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			s := c.Probe(Step(c.Golden().Add("grantcheck_"+c.Nonce(), "1"), "with a parameter nobody defines"), Positive())
			c.ExpectAccepted(s)
			same := func() bool {
				return slices.ContainsFunc(c.goldenAnswers(c.run.golden), func(g *Sample) bool { return slices.Equal(memberNames(g), memberNames(s)) })
			}
			if !same() {
				c.Accepted(c.Golden()) // members may come and go by themselves
			}
			c.ExpectOf(s, s).To(satisfy("the same members as in the answer to the golden request", func(s *Sample) (string, bool) {
				return "members " + strings.Join(memberNames(s), ", "), same()
			}))
		},
	},
	{
		ID:    "request.empty-optional-omitted",
		Title: "Treats an optional parameter without a value as not sent",
		Group: "request",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §3.2",
		Editions: AllEditions,
		Summary:  "An empty value is equivalent to absence, so an empty scope must not change the outcome.",
		Why:      "Form libraries send empty fields; their users fail where others succeed.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden request without scope, then the same with \"scope=\".",
		Expect:   "Both answers have the same outcome class and, when ok, the same scope member (both absent or equal).",
		Tolerates: []string{
			"Both refused with invalid_scope when the server has no default scope.",
		},
		Fault:   "Answers \"scope=\" with 400 invalid_scope although omission succeeds.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			same := func(golden func() exchange.Request) {
				without := c.Probe(Step(golden().Drop("scope"), "without scope"), Positive())
				empty := c.Probe(Step(golden().Set("scope", ""), "scope without a value"), Positive())
				c.look(without)
				c.confirm(empty)
				c.Expect(empty).To(satisfy("the same outcome as without scope: "+without.Came(), func(s *Sample) (string, bool) {
					return s.Came(), s.Answer.OK() == without.Answer.OK()
				}))
				if empty.Answer.OK() {
					c.Expect(empty).To(satisfy("the same scope as without the parameter: "+grantedScope(without), func(s *Sample) (string, bool) {
						before, _ := without.Answer.Scopes()
						after, _ := s.Answer.Scopes()
						return grantedScope(s), len(before)+len(after) == 0 || grantedScope(s) == grantedScope(without)
					}))
				}
			}
			same(c.Golden)
			p := c.run.pairFor("refresh_token", "")
			if p.grant == nil || p.grant == c.run.golden.grant {
				return
			}
			if c.run.answered(p) == notAsked {
				c.run.tryQuietly(c.ctx, p)
			}
			if c.run.answered(p) == answeredOK {
				same(func() exchange.Request { return c.goldenOf(p, "") })
			}
		},
	},
	{
		ID:    "request.duplicate-conflicting",
		Title: "Refuses a grant parameter that occurs twice with different values",
		Group: "request",
		Level: MustNot, Wording: Keyword, Binds: "both", Posture: Advise,
		Source:       "RFC 6749 §3.2, §5.2",
		Editions:     AllEditions,
		Summary:      "No request parameter may be included more than once; repetition is a named cause of invalid_request.",
		Why:          "A front filter and the server read the same request differently, and the filter can be passed by.",
		Requires:     []string{"request.form-accepted"},
		Probe:        "Golden request with grant_type twice: the supported value and an unsupported one, in both orders.",
		Expect:       "refused in both orders.",
		StrictExpect: "error is invalid_request, in both orders.",
		Tolerates: []string{
			"unsupported_grant_type when the last or first value was used and refused - but only if both orders are refused; order-dependent acceptance is the warning. Certified servers that read the first value exist, hence advise.",
		},
		Fault:   "For grant_type alone the first occurrence wins and a token is issued.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			c.formOnly()
			for _, req := range []exchange.Request{
				Step(c.withGrantType().Before("grant_type", c.Nonce()), "grant_type twice, the unsupported value first"),
				Step(c.withGrantType().After("grant_type", c.Nonce()), "grant_type twice, the unsupported value last"),
			} {
				s := c.Probe(req)
				c.ExpectRefused(s)
				if c.Strict() {
					c.ExpectCode(s, "invalid_request")
				}
			}
		},
	},
	{
		ID:    "request.duplicate-identical",
		Title: "Refuses a parameter repeated with the same value",
		Group: "request",
		Level: MustNot, Wording: Keyword, Binds: "both", Posture: Advise,
		Source:   "RFC 6749 §3.2, §5.2",
		Editions: AllEditions,
		Summary:  "Same clause as request.duplicate-conflicting; the harmless variant many form parsers let through.",
		Why:      "A front filter and the server read the same request differently, and the filter can be passed by.",
		Requires: []string{"request.duplicate-conflicting"},
		Probe:    "Golden request with grant_type sent twice with its correct value.",
		Expect:   "refused with invalid_request.",
		Tolerates: []string{
			"Acceptance is a warning only: the sender breaks the rule, and no ambiguity results.",
		},
		Fault:   "Collapses equal duplicates and issues a token.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			c.formOnly()
			req := c.withGrantType()
			s := c.Probe(Step(req.After("grant_type", req.Get("grant_type")), "grant_type twice, equal"))
			c.ExpectRefused(s)
			if !c.Tolerated(s, "unsupported_grant_type", "a grant_type that is sent twice is answered with unsupported_grant_type, where the list of errors has invalid_request for repetition") {
				c.ExpectCode(s, "invalid_request")
			}
		},
	},
	{
		ID:    "request.duplicate-client-id",
		Title: "Refuses two different client identifiers in one body",
		Group: "request",
		Level: MustNot, Wording: Keyword, Binds: "both", Posture: Advise,
		Source:       "RFC 6749 §3.2, §5.2",
		Editions:     AllEditions,
		Summary:      "Repeated client_id values leave the authenticated party ambiguous.",
		Why:          "Nobody can say afterwards which client the token was issued to.",
		Applies:      Applies{Auth: []string{"post", "none"}},
		Requires:     []string{"client-auth.unknown-client-refused"},
		Probe:        "Golden request with client_id twice: the real one and a random one, in both orders.",
		Expect:       "refused in both orders.",
		StrictExpect: "error is invalid_request.",
		Tolerates: []string{
			"invalid_client.",
		},
		Fault:    "Authenticates whichever client_id comes last.",
		Effects:  []Effect{BadClientCredentials},
		Provokes: []string{"unknown_client"},
		Check: func(c *Case) {
			c.formOnly()
			for _, place := range []string{"first", "last"} {
				req := c.GoldenBy("post", "none")
				other := c.Target().RandomLike(req.Get("client_id"))
				if !req.Has("client_id") {
					c.NotApplicable("the documented request carries no client_id")
				}
				if place == "first" {
					req = req.Before("client_id", other)
				} else {
					req = req.After("client_id", other)
				}
				s := c.Probe(Step(req, "client_id twice, the random one %s", place))
				c.ExpectRefused(s)
				if c.Strict() {
					c.ExpectCode(s, "invalid_request")
				}
			}
		},
	},
	{
		ID:    "request.scope-omitted",
		Title: "Handles an omitted scope by a default or by invalid_scope",
		Group: "request",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §3.3",
		Editions: AllEditions,
		Summary:  "Without a requested scope the server either applies a predefined default or fails with an invalid-scope indication.",
		Why:      "Developers who leave out an optional parameter get an error that sends them in the wrong direction.",
		Applies:  Applies{When: "the golden grant defines a scope parameter in its request and is not refresh_token"},
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden request without scope.",
		Expect:   "ok, or refused with error invalid_scope.",
		Tolerates: []string{
			"A scope member in the answer is optional here; server_error or access_denied is not tolerated.",
			"A contract that documents scope as required is judged by its own row; the standard verdict then is a documented deviation.",
		},
		Fault:   "Answers a scopeless client_credentials or password request with 400 invalid_request naming scope as missing.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			g := c.run.golden.grant
			if exchange.GrantType(g) == "refresh_token" || !definesScope(g) && !slices.ContainsFunc(g.Parameters, func(f contract.Field) bool { return f.Role() == "scope" }) {
				c.NotApplicable("the golden grant %s takes no scope from the request", g.Key)
			}
			if golden := c.goldenAnswer(c.run.golden); golden != nil && golden.Answer.OK() && !golden.Request.Has("scope") {
				c.look(golden) // the golden request asks for none
				return
			}
			opts := []Option{Positive()}
			req := c.Golden()
			if f, ok := c.documentedParam(req, "scope"); ok && (f.Required.Mode == "true" || f.Required.Mode == "implied") {
				c.PageSays("the page documents scope as required")
				opts = []Option{Provokes("missing_parameter"), About("scope")}
			}
			s := c.Probe(Step(req.Drop("scope"), "without scope"), opts...)
			c.confirm(s)
			c.Expect(s).To(satisfy("a token, or a refusal with invalid_scope", func(s *Sample) (string, bool) {
				return s.Came(), s.Answer.OK() || s.Answer.Refused() && (s.Code() == "invalid_scope" || s.Code() == "")
			}))
			if !s.Answer.OK() {
				c.ExpectCode(s, "invalid_scope")
			}
		},
	},
	{
		ID:    "request.scope-unknown",
		Title: "Refuses an unknown scope or reports the scope actually granted",
		Group: "request",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §3.3, §5.1, §5.2",
		Editions: AllEditions,
		Summary:  "The server may ignore requested scopes, but when the issued scope differs from the requested one it has to say so; otherwise it fails with invalid_scope.",
		Why:      "The client believes it holds rights that it does not have, and fails later, far from the cause.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden request with a grantable scope plus grantcheck_<nonce> (a syntactically valid token no server defines); the nonce alone where the contract names no scope.",
		Expect:   "refused with invalid_scope; or ok with a scope member that does not contain the nonce.",
		Tolerates: []string{
			"200 with \"scope\":\"\" counts as reported; invalid_request is a note.",
			"A server without any notion of scope (none in the contract, none in any answer) treats the parameter as unrecognized: note.",
			"For grants whose request defines no scope (a code exchange) the rule is not applicable.",
			"The nonce alone, ok and no scope member: note, because the grammar has no way to write an empty scope.",
		},
		Fault:    "Drops a scope that it does not know, grants the rest and omits the scope member.",
		Effects:  []Effect{MintsToken},
		Provokes: []string{"bad_scope"},
		Check: func(c *Case) {
			c.needScopeInRequest()
			nonce := "grantcheck_" + c.Nonce()
			known := c.grantable()
			ask := append(slices.Clone(known[:min(1, len(known))]), nonce)
			s := c.Probe(Step(c.GoldenScoped(ask...), "scope with a token that no server defines"))
			if !s.Answer.OK() {
				c.confirm(s)
				c.ExpectRefused(s)
				if !c.Tolerated(s, "invalid_request", "an unknown scope is answered with invalid_request, where the list of errors has invalid_scope") {
					c.ExpectCode(s, "invalid_scope")
				}
				return
			}
			granted, told := s.Answer.Scopes()
			switch {
			case told:
				c.Expect(s).To(satisfy("a scope member without the unknown scope", func(*Sample) (string, bool) {
					return "the unknown scope as granted", !slices.Contains(granted, nonce)
				}))
			case len(known) == 0 && !c.knowsScope():
				c.Note("the endpoint shows no notion of scope; the parameter was disregarded")
			case len(known) == 0:
				c.Note("an unknown scope alone was answered with a token and no scope member; an empty scope cannot be written")
			default:
				c.Violate(s, "a scope member that tells what was granted, as it is not what was asked for", "a token and no scope member")
			}
		},
	},
	{
		ID:    "request.scope-malformed",
		Title: "Does not grant a syntactically invalid scope",
		Group: "request",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 6749 §3.3, §5.2, Appendix A.4",
		Editions: AllEditions,
		Summary:  "Scope tokens exclude quotation mark, backslash and control characters; a malformed scope is a cause of invalid_scope.",
		Why:      "Unclean scope text travels into tokens, logs and APIs that trust it.",
		Requires: []string{"request.form-accepted", "request.scope-unknown"},
		Probe:    "Golden request with scope values containing %22, %5C and %07.",
		Expect:   "refused with invalid_scope or invalid_request; or ok with a scope member free of the offending characters.",
		Tolerates: []string{
			"Ignoring the scope as a whole and reporting the granted scope, or leaving the member out when nothing is granted (note).",
		},
		Fault:    "Echoes the malformed scope back as granted.",
		Effects:  []Effect{MintsToken},
		Provokes: []string{"bad_scope"},
		Check: func(c *Case) {
			c.needScopeInRequest()
			for _, bad := range [][2]string{{"a quotation mark", `"`}, {"a backslash", `\`}, {"a control character", "\a"}} {
				s := c.Probe(Step(c.GoldenScoped("grantcheck"+bad[1]+c.Nonce()), "scope with %s", bad[0]))
				if !s.Answer.OK() {
					c.ExpectRefused(s, "invalid_scope", "invalid_request")
					continue
				}
				granted, told := s.Answer.Scopes()
				if !told {
					c.Note("a scope with %s was answered with a token and no scope member", bad[0])
				}
				c.Expect(s).To(satisfy("a scope member free of "+bad[0], func(*Sample) (string, bool) {
					return "a scope member with " + bad[0], !strings.Contains(strings.Join(granted, " "), bad[1])
				}))
			}
		},
	},
	{
		ID:    "request.scope-order",
		Title: "Ignores the order of scope tokens",
		Group: "request",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 6749 §3.3",
		Editions: AllEditions,
		Summary:  "Scope is an unordered list.",
		Why:      "The same rights asked for in another order or spelling are refused.",
		Applies:  Applies{When: "contract names at least two grantable scopes"},
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden request with \"a b\" and with \"b a\".",
		Expect:   "Same outcome and, as sets, the same granted scope.",
		Fault:    "Compares the scope string verbatim and refuses the reversed order.",
		Effects:  []Effect{MintsToken},
		Check: func(c *Case) {
			a, b := c.scopePair()
			one := c.Probe(Step(c.GoldenScoped(a, b), "two scopes"), Positive())
			other := c.Probe(Step(c.GoldenScoped(b, a), "the same two in the other order"), Positive())
			c.sameGrant(one, other, "the same outcome for both orders")
		},
	},
	{
		ID:    "request.plus-is-space",
		Title: "Decodes both + and %20 as a space in form values",
		Group: "request",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 Appendix B",
		Editions: AllEditions,
		Summary:  "Form encoding maps a space to a plus sign; percent-encoded spaces decode to the same value.",
		Why:      "The same rights asked for in another order or spelling are refused.",
		Applies:  Applies{When: "contract names at least two grantable scopes"},
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden request with scope=a+b and with scope=a%20b.",
		Expect:   "Same outcome and same granted scope set.",
		Fault:    "Leaves the plus sign undecoded and answers invalid_scope; %20 is understood.",
		Effects:  []Effect{MintsToken},
		Check: func(c *Case) {
			c.formOnly()
			a, b := c.scopePair()
			if f, ok := c.documentedParam(c.Dummy(), "scope"); ok && f.List != "" && f.List != "space" {
				c.NotApplicable("the page documents a %s-separated scope", f.List)
			}
			with := func(space string) *Sample {
				raw := exchange.FormEncode(a) + space + exchange.FormEncode(b)
				return c.Probe(Step(c.GoldenScoped(a, b).SetRaw("scope", raw), "the space between two scopes sent as %s", space), Positive())
			}
			c.sameGrant(with("%20"), with("+"), "the same outcome for %20 and +")
		},
	},
	{
		ID:    "request.percent-decoding",
		Title: "Decodes percent-encoded characters in names and values",
		Group: "request",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 Appendix B",
		Editions: AllEditions,
		Summary:  "The encoding is to be reversed before interpretation, including needlessly encoded characters.",
		Why:      "Clients whose library encodes more than needed cannot get a token.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden request where the underscore in the grant_type value (or one letter when it has none) and one letter of that parameter name are percent-encoded.",
		Expect:   "ok.",
		Fault:    "Matches the raw, undecoded grant_type text of the plain grant names and answers unsupported_grant_type.",
		Effects:  []Effect{MintsToken},
		Check: func(c *Case) {
			c.formOnly()
			req := c.Golden()
			part := "grant_type"
			if !req.Has(part) {
				parts := req.GrantParts()
				if len(parts) == 0 {
					c.NotApplicable("the documented request has no parameter to encode")
				}
				part = parts[0]
			}
			p, _ := req.Param(part)
			encoded := req.RenameRaw(part, encodeOne(exchange.FormEncode(p.Name), false)).SetRaw(part, encodeOne(exchange.FormEncode(p.Value), true))
			c.ExpectAccepted(c.Probe(Step(encoded, "%s with characters percent-encoded that need not be", p.Name), Positive()))
		},
	},
	{
		ID:    "request.order-independent",
		Title: "Accepts parameters in any order",
		Group: "request",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 Appendix B",
		Editions: AllEditions,
		Summary:  "A form body is a set of named values; no grant defines an order.",
		Why:      "Clients fail depending on how their library sorts a form.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden request with all parameters in reverse order.",
		Expect:   "ok.",
		Fault:    "Requires grant_type to be the first parameter; otherwise 400.",
		Effects:  []Effect{MintsToken},
		Check: func(c *Case) {
			req := c.Golden()
			if len(req.Params()) < 2 {
				c.NotApplicable("the documented request has a single parameter")
			}
			c.ExpectAccepted(c.Probe(Step(req.Reverse(), "parameters in reverse order"), Positive()))
		},
	},
	{
		ID:    "request.grant-in-query",
		Title: "Does not take grant parameters from the URI query",
		Group: "request",
		Level: MustNot, Wording: Keyword, Binds: "client", Posture: Advise,
		Source:   "RFC 6749 §4.x.2 (entity-body), §2.3.1",
		Editions: AllEditions,
		Summary:  "Token request parameters travel in the entity body; the credentials part of the clause explicitly forbids the URI.",
		Why:      "Codes, passwords and secrets end up in access logs and browser histories.",
		Requires: []string{"request.missing-grant-type"},
		Probe:    "POST with the grant parameters in the query string and only the client credentials where the golden request has them.",
		Expect:   "refused.",
		Tolerates: []string{
			"The endpoint URI itself may carry a fixed query component.",
			"A contract that documents query parameters (a deviation of its own).",
		},
		Fault:    "Reads grant parameters, though not credentials, from the query and issues a token.",
		Effects:  []Effect{MintsToken, LeaksToLogs},
		Provokes: []string{"missing_parameter"},
		Check: func(c *Case) {
			req := c.Victim()
			parts := req.GrantParts()
			switch {
			case req.Method() != http.MethodPost:
				c.NotApplicable("the page documents %s", req.Method())
			case len(parts) == 0:
				c.NotApplicable("the documented request has no parameters beside the client's credentials")
			}
			for _, part := range parts {
				if p, _ := req.Param(part); p.In == exchange.InQuery {
					c.PageSays("the page documents parameters in the query")
				}
			}
			c.ExpectRefused(c.Probe(Step(req.MoveTo(exchange.InQuery, parts...), "grant parameters in the query"), About("grant_type")))
		},
	},
}

// noGolden reports why there is no golden request, where that is the server's doing.
func (c *Case) noGolden() {
	var telling *Sample
	for _, s := range c.goldenTried() {
		if s.Answer.Inconclusive() == "" && telling == nil {
			telling = s
		}
	}
	if telling == nil {
		c.Blocked("no golden request was answered")
	}
	c.Violate(telling, "a token for one of the documented grants and client authentication methods", telling.Came())
}

// goldenTried returns the answers to the golden requests of preflight.
func (c *Case) goldenTried() []*Sample {
	return c.Answers(func(s *Sample) bool { return s.Golden && s.Rule == "" && s.Endpoint == tokenEndpoint })
}

// goldenAnswers returns the answers with a token to the golden request of a pair.
func (c *Case) goldenAnswers(p pair) []*Sample {
	return c.Answers(func(s *Sample) bool {
		return s.Golden && s.Endpoint == tokenEndpoint && s.Answer.OK() && s.grant == p.grant.Key && s.client == p.client
	})
}

// withGrantType returns the golden request; a page may know no grant_type.
func (c *Case) withGrantType() exchange.Request {
	if !c.Dummy().Has("grant_type") {
		c.NotApplicable("the documented request has no grant_type")
	}
	return c.Golden()
}

// memberNames lists the members that are present, sorted.
func memberNames(s *Sample) []string {
	var names []string
	for _, m := range s.Answer.Lenient().Members {
		if m.Value.Present() {
			names = append(names, m.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// grantedScope writes the granted scope in one order, so that it can be compared.
func grantedScope(s *Sample) string {
	scopes, told := s.Answer.Scopes()
	if !told {
		return "no scope member"
	}
	slices.Sort(scopes)
	return "scope " + strings.Join(slices.Compact(scopes), " ")
}

// otherCase spells a name differently: grant_type as Grant_Type.
func otherCase(name string) string {
	title := strings.Map(func() func(rune) rune {
		first := true
		return func(r rune) rune {
			up := first
			first = r == '_' || r == '-'
			if up {
				return []rune(strings.ToUpper(string(r)))[0]
			}
			return r
		}
	}(), name)
	for _, other := range []string{title, strings.ToUpper(name), strings.ToLower(name)} {
		if other != name {
			return other
		}
	}
	return name
}

// encodeOne percent-encodes one character that needs no encoding: the last letter, or the first
// underscore where there is one and it may be that.
func encodeOne(s string, underscore bool) string {
	i := strings.IndexByte(s, '_')
	if i < 0 || !underscore {
		i = strings.LastIndexFunc(s, func(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' })
	}
	if i < 0 || i > 1 && s[i-2] == '%' || i > 0 && s[i-1] == '%' {
		return s
	}
	return s[:i] + fmt.Sprintf("%%%02X", s[i]) + s[i+1:]
}

// definesScope reports whether the standard gives the request of a grant a scope parameter.
func definesScope(g *contract.Grant) bool {
	switch exchange.GrantType(g) {
	case "authorization_code", contract.GrantDeviceCode:
		return false
	}
	return true
}

func (c *Case) needScopeInRequest() {
	if g := c.run.golden.grant; !definesScope(g) {
		c.NotApplicable("a request of the grant %s takes no scope", g.Key)
	}
}

// grantable lists the scopes that the golden request may ask for. On refresh these are those of the
// original grant.
func (c *Case) grantable() []string {
	scopes := c.Contract().Scopes
	list := slices.Concat(scopes.Request, scopes.Grantable)
	if exchange.GrantType(c.run.golden.grant) == "refresh_token" {
		list = slices.Clone(scopes.Request)
		for _, s := range c.goldenAnswers(c.run.golden) {
			granted, _ := s.Answer.Scopes()
			list = append(list, granted...)
		}
	}
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// knowsScope reports whether the contract or any answer speaks of scope.
func (c *Case) knowsScope() bool {
	scopes := c.Contract().Scopes
	if len(scopes.Request)+len(scopes.Grantable)+len(scopes.Forbidden)+len(scopes.Default) > 0 || scopes.DefaultText != "" {
		return true
	}
	for i := range c.Contract().Grants {
		g := &c.Contract().Grants[i]
		if _, ok := c.field(g, "scope"); ok || slices.ContainsFunc(g.Parameters, func(f contract.Field) bool { return f.Role() == "scope" }) ||
			slices.ContainsFunc(g.Response.Fields, func(f contract.Field) bool { return f.Name == "scope" }) {
			return true
		}
	}
	return slices.ContainsFunc(c.Tokens(), func(s *Sample) bool { _, told := s.Answer.Scopes(); return told })
}

// scopePair returns two scopes that the golden request may ask for together.
func (c *Case) scopePair() (a, b string) {
	c.needScopeInRequest()
	known := slices.DeleteFunc(c.grantable(), func(s string) bool { return s == "openid" || s == "offline_access" }) // these change the flow
	if len(known) < 2 {
		if exchange.GrantType(c.run.golden.grant) == "refresh_token" {
			c.NotApplicable("the original grant holds fewer than two scopes")
		}
		c.Needs("two grantable scopes")
	}
	return known[0], known[1]
}

// sameGrant holds that two requests for the same scopes come to the same.
func (c *Case) sameGrant(one, other *Sample, expected string) {
	c.look(one)
	if !one.Answer.OK() && !other.Answer.OK() {
		c.look(other)
		c.Inconclusive("both requests for two scopes of the contract were refused: %s, %s", one.Came(), other.Came())
	}
	c.confirm(one)
	c.confirm(other)
	words := func(s *Sample) string {
		if _, told := s.Answer.Scopes(); s.Answer.OK() && told {
			return s.Came() + ", " + grantedScope(s)
		}
		return s.Came()
	}
	failing := other
	if !one.Answer.OK() {
		failing, one = one, other
	}
	_, told := one.Answer.Scopes()
	_, toldToo := failing.Answer.Scopes()
	c.ExpectOf(failing, failing).To(satisfy(expected+": "+words(one), func(s *Sample) (string, bool) {
		return words(s), s.Answer.OK() == one.Answer.OK() && (!told || !toldToo || grantedScope(s) == grantedScope(one))
	}))
}
