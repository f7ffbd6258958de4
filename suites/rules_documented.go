package suites

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"grantcheck/report"
	"grantcheck/suites/contract"
	"grantcheck/suites/exchange"
)

// documentedRules is the group documented of the catalogue.
var documentedRules = []Rule{
	{
		ID:    "doc.endpoint-path",
		Title: "The documented path serves token requests",
		Group: "documented",
		Level: Doc, Wording: Documented, Binds: "server", Posture: Assert,
		Source:   "contract",
		Editions: AllEditions,
		Summary:  "The endpoint is where the vendor page says.",
		Why:      "Developers follow the page and get an error.",
		Requires: []string{"transport.no-redirect"},
		Probe:    "Golden request to base URL plus documented path.",
		Expect:   "Anything but 404 or 410: what the endpoint then says is judged elsewhere.",
		Tolerates: []string{
			"Base URL is configuration; a 404 that carries an OAuth error is an answer of the endpoint.",
		},
		Fault:   "Endpoint lives one path segment deeper; 404.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			tried := c.goldenTried()
			if c.run.golden.grant != nil {
				tried = tried[max(0, len(tried)-1):] // what else the page documents is judged where it is asked for
			}
			c.Each(tried, "no golden request was answered", func(s *Sample) {
				c.Expect(s).To(satisfy("an answer of the token endpoint at the documented path", func(s *Sample) (string, bool) {
					gone := s.Status == http.StatusNotFound || s.Status == http.StatusGone
					return s.Came(), !gone || c.speaksOAuth(s)
				}))
			})
		},
	},
	{
		ID:    "doc.method",
		Title: "The documented method works",
		Group: "documented",
		Level: Doc, Wording: Documented, Binds: "server", Posture: Assert,
		Source:   "contract",
		Editions: AllEditions,
		Summary:  "The method named by the vendor is accepted.",
		Why:      "Developers follow the page and get an error.",
		Requires: []string{"doc.endpoint-path"},
		Probe:    "Golden request with that method.",
		Expect:   "Anything but 405 and 501.",
		Fault:    "405 for the documented method.",
		Effects:  []Effect{MintsToken},
		Check: func(c *Case) {
			methods := c.Target().Methods(c.run.golden.grant)
			served := satisfy("the documented method served", func(s *Sample) (string, bool) {
				return s.Came(), s.Status != http.StatusMethodNotAllowed && s.Status != http.StatusNotImplemented
			})
			if c.run.golden.grant == nil {
				c.Each(c.goldenTried(), "no golden request was answered", func(s *Sample) { c.Expect(s).To(served) })
				return
			}
			c.look(c.goldenAnswer(c.run.golden))
			for _, method := range methods[1:] {
				req := c.goldenWith(c.run.golden, "", exchange.Inputs{Method: method})
				c.Expect(c.Probe(Step(req, "%s, as documented", method), Positive())).To(served)
			}
		},
	},
	{
		ID:    "doc.request-content-type",
		Title: "The documented request media type works",
		Group: "documented",
		Level: Doc, Wording: Documented, Binds: "server", Posture: Assert,
		Source:   "contract",
		Editions: AllEditions,
		Summary:  "The media type named by the vendor is accepted.",
		Why:      "Developers follow the page and get an error.",
		Requires: []string{"doc.method"},
		Probe:    "Golden request with that type.",
		Expect:   "ok.",
		Tolerates: []string{
			"Mirrors request.form-accepted where the page documents the form encoding.",
		},
		Fault:   "415.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			if c.run.golden.grant == nil {
				unread := c.goldenTried()
				unread = slices.DeleteFunc(unread, func(s *Sample) bool { return s.Status != http.StatusUnsupportedMediaType })
				if len(unread) == 0 {
					c.Blocked("there is no golden request; request.form-accepted says why")
				}
				c.Violate(unread[0], "a token for a request of the documented media type", unread[0].Came())
			}
			c.look(c.goldenAnswer(c.run.golden))
			for _, media := range c.Target().ContentTypes(c.run.golden.grant)[1:] {
				req := c.goldenWith(c.run.golden, "", exchange.Inputs{ContentType: media})
				c.ExpectAccepted(c.Probe(Step(req, "%s, as documented", media), Positive()))
			}
		},
	},
	{
		ID:    "doc.required-parameter",
		Title: "Each parameter documented as required is required",
		Group: "documented",
		Level: Doc, Wording: Documented, Binds: "server", Posture: Assert,
		Source:   "contract",
		Editions: AllEditions,
		Summary:  "Leaving out a required parameter must not succeed.",
		Why:      "What the page calls required is not checked; clients come to depend on the gap.",
		Requires: []string{"request.form-accepted"},
		Probe:    "One request per required parameter, that parameter left out.",
		Expect:   "refused, each.",
		Tolerates: []string{
			"Which 4xx is judged by doc.error-row-status only if the table has a row for it; a credential moved to a documented alternative place is not an omission.",
		},
		Fault:   "client_secret is optional in practice.",
		Effects: []Effect{BadClientCredentials},
		Check: func(c *Case) {
			judged := false
			for _, p := range c.listedPairs() {
				for _, f := range c.Target().Parameters(p.grant) {
					req, required := c.withParameter(p, f)
					if !required {
						continue
					}
					judged = true
					s := c.Probe(Step(req.Drop(f.Name), "%s without %s", p.grant.Key, f.Name), omission(f), About(f.Name))
					c.rely(s)
					c.hold(f, s, c.turnedDown(s), "a refusal without "+f.Name+", which the page calls required", s.Came())
				}
			}
			if !judged {
				c.NotApplicable("the page marks no parameter as required that this run can leave out")
			}
		},
	},
	{
		ID:    "doc.parameter-const",
		Title: "A parameter documented with a fixed value accepts nothing else",
		Group: "documented",
		Level: Doc, Wording: Documented, Binds: "server", Posture: Assert,
		Source:   "contract",
		Editions: AllEditions,
		Summary:  "A value other than the constant must not succeed on this operation.",
		Why:      "What the page calls required is not checked; clients come to depend on the gap.",
		Requires: []string{"doc.required-parameter"},
		Probe:    "Golden request with the constant replaced by a nonce.",
		Expect:   "refused.",
		Tolerates: []string{
			"Other grants the server supports but the page does not mention: the nonce is never a real grant.",
		},
		Fault: "Constant is not checked.",
		Check: func(c *Case) {
			judged := false
			for _, p := range c.listedPairs() {
				for _, f := range c.Target().Parameters(p.grant) {
					req, required := c.withParameter(p, f)
					if !required || f.Const == nil || f.In == "header" {
						continue
					}
					judged = true
					s := c.Probe(Step(req.Set(f.Name, "grantcheck-"+c.Nonce()), "%s with another %s", p.grant.Key, f.Name), nonceFor(f), About(f.Name))
					c.rely(s)
					c.hold(f, s, c.turnedDown(s), "a refusal of another "+f.Name+" than the one that the page fixes", s.Came())
				}
			}
			if !judged {
				c.NotApplicable("the page fixes the value of no parameter")
			}
		},
	},
	{
		ID:    "doc.optional-parameter",
		Title: "A parameter documented as optional may be left out",
		Group: "documented",
		Level: Doc, Wording: Documented, Binds: "server", Posture: Assert,
		Source:   "contract",
		Editions: AllEditions,
		Summary:  "Optional means the request succeeds without it.",
		Why:      "Developers who leave out an optional parameter get an error that sends them in the wrong direction.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden request without the optional parameter, and with it.",
		Expect:   "ok, both.",
		Tolerates: []string{
			"Mirrors request.scope-omitted when the parameter is scope.",
		},
		Fault:   "Request without scope fails.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			judged := false
			for _, p := range c.listedPairs() {
				for _, f := range c.Target().Parameters(p.grant) {
					// What the grant itself rests on cannot be left out, whatever the page lists; nor what repeats the authorization request.
					if f.Required.Mode != "false" || f.Origin == "standard" || slices.Contains(grantParts, f.Role()) {
						continue
					}
					req := c.goldenOf(p, "")
					if !req.Has(f.Name) {
						continue
					}
					judged = true
					c.ExpectAccepted(c.Probe(Step(req, "%s with %s", p.grant.Key, f.Name), Positive()))
					if consumes(p.grant) {
						req = c.goldenOf(p, "")
					}
					c.ExpectAccepted(c.Probe(Step(req.Drop(f.Name), "%s without %s", p.grant.Key, f.Name), Positive()))
				}
			}
			if !judged {
				c.NotApplicable("the page lists no optional parameter that this run sends")
			}
		},
	},
	{
		ID:    "doc.auth-method-works",
		Title: "Each documented client authentication method works",
		Group: "documented",
		Level: Doc, Wording: Documented, Binds: "server", Posture: Assert,
		Source:   "contract",
		Editions: AllEditions,
		Summary:  "The page's methods are honoured for the fixture client.",
		Why:      "Developers follow the page and get an error.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden request per documented method.",
		Expect:   "ok, each.",
		Tolerates: []string{
			"Methods flagged for certain apps only (for example signed JWT for listed apps) need their own fixture; otherwise skipped.",
		},
		Fault:   "Documented Basic is refused.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			var done []pair
			for _, p := range c.run.candidates() {
				f := c.Target().ClientNamed(p.client)
				if len(p.grant.Auth) == 0 && (f == nil || len(f.Auth) == 0) {
					continue // nothing is documented
				}
				if slices.ContainsFunc(done, func(q pair) bool { return q.client == p.client && q.auth == p.auth }) || !c.mayConsume(p) {
					continue
				}
				req, err := c.Target().Request(p.grant, p.auth, exchange.Inputs{Client: f, Code: "x", RefreshToken: "x"})
				if err != nil || req.Err() != nil {
					c.Note("%s cannot be tried: the contract holds no credential for it", p.auth)
					continue
				}
				done = append(done, p)
				s := c.goldenAnswer(p)
				if s == nil {
					s = c.Accepted(Step(c.goldenOf(p, ""), "client authentication by %s", p.auth))
				}
				c.ExpectAccepted(s)
			}
			if len(done) == 0 {
				c.NotApplicable("the page names no client authentication method")
			}
		},
	},
	{
		ID:    "doc.response-field-present",
		Title: "Every response field documented as required is present",
		Group: "documented",
		Level: Doc, Wording: Documented, Binds: "server", Posture: Assert,
		Source:   "contract",
		Editions: AllEditions,
		Summary:  "Required fields appear in each successful answer.",
		Why:      "Developers follow the page and get an error.",
		Requires: []string{"response.flat"},
		Probe:    "Golden response.",
		Expect:   "All required fields present and not null.",
		Fault:    "expires_in is missing.",
		Passive:  true,
		Check: func(c *Case) {
			c.Each(c.documentedAnswers(), noFields, func(s *Sample) {
				for _, f := range c.GrantOf(s).Response.Fields {
					if f.Required.Mode != "true" && f.Required.Mode != "implied" || f.OnlyWhen != nil && !s.Answer.Holds(f.OnlyWhen) {
						continue
					}
					v := s.Answer.Member(f)
					c.hold(f, s, v.Present() || v.Kind == exchange.Null && slices.Contains(f.Type, "null"), f.Name+", as the page documents", kindWords(v, f.Name))
				}
			})
		},
	},
	{
		ID:    "doc.response-field-type",
		Title: "Response fields have their documented types",
		Group: "documented",
		Level: Doc, Wording: Documented, Binds: "server", Posture: Assert,
		Source:   "contract",
		Editions: AllEditions,
		Summary:  "Types named on the page hold.",
		Why:      "Strictly typed clients crash on a value that should not be there.",
		Requires: []string{"response.flat"},
		Probe:    "Golden response.",
		Expect:   "JSON type matches (string, integer, number, boolean, array, object).",
		Tolerates: []string{
			"integer accepts any JSON number without fraction.",
		},
		Fault:   "expires_in is a string.",
		Passive: true,
		Check: func(c *Case) {
			c.Each(c.documentedAnswers(), noFields, func(s *Sample) {
				for _, f := range c.GrantOf(s).Response.Fields {
					v := s.Answer.Member(f)
					if !v.Present() {
						continue
					}
					form := jsonOf(s).Form
					c.hold(f, s, hasType(f.Type, v, form), fmt.Sprintf("%s of type %s", f.Name, orList(f.Type)), kindWords(v, f.Name))
					if f.Format != "" && f.Part() != exchange.AccessToken {
						c.hold(f, s, hasFormat(f.Format, v.Text), fmt.Sprintf("%s of format %s", f.Name, f.Format), "another form")
					}
					if n, err := strconv.ParseFloat(v.Text, 64); err == nil && f.Part() != exchange.ExpiresIn {
						c.hold(f, s, (f.Min == nil || n >= *f.Min) && (f.Max == nil || n <= *f.Max), f.Name+" within its documented bounds", v.Text)
					}
				}
			})
		},
	},
	{
		ID:    "doc.response-field-const",
		Title: "Response fields documented with a fixed value have it",
		Group: "documented",
		Level: Doc, Wording: Documented, Binds: "server", Posture: Assert,
		Source:   "contract",
		Editions: AllEditions,
		Summary:  "Example: token type always Bearer.",
		Why:      "Developers follow the page and get an error.",
		Requires: []string{"doc.response-field-present"},
		Probe:    "Golden response.",
		Expect:   "Equal; token_type compares case-insensitively unless the contract says exact.",
		Tolerates: []string{
			"Letter case of token_type.",
		},
		Fault:   "token_type is MAC.",
		Passive: true,
		Check: func(c *Case) {
			judged := false
			c.Each(c.documentedAnswers(), noFields, func(s *Sample) {
				for _, f := range c.GrantOf(s).Response.Fields {
					v := s.Answer.Member(f)
					if !v.Present() || f.Const == nil && len(f.Enum) == 0 || f.Part() == exchange.ExpiresIn {
						continue
					}
					judged = true
					values := f.Enum
					if f.Const != nil {
						values = []any{f.Const}
					}
					fold := f.Part() == exchange.TokenType && !f.Exact
					c.hold(f, s, slices.ContainsFunc(values, func(want any) bool { return equalValue(want, v, fold) }),
						fmt.Sprintf("%s %s, as the page documents", f.Name, orList(values)), f.Name+" "+exchange.Printable(v.Text, 60))
				}
			})
			if !judged {
				c.NotApplicable("the page fixes the value of no field")
			}
		},
	},
	{
		ID:    "doc.response-field-conditional",
		Title: "Conditionally documented fields appear when their condition holds",
		Group: "documented",
		Level: Doc, Wording: Documented, Binds: "server", Posture: Assert,
		Source:   "contract",
		Editions: AllEditions,
		Summary:  "Example: refresh_token and sid on user grants, id_token with openid scope.",
		Why:      "Developers follow the page and get an error.",
		Requires: []string{"response.flat"},
		Probe:    "One response per condition the fixtures can reach.",
		Expect:   "Present when the condition holds.",
		Tolerates: []string{
			"Presence outside the condition is not asserted unless the contract says only_when.",
		},
		Fault: "sid missing after a code exchange.",
		Check: func(c *Case) {
			conditional := func(g *contract.Grant) bool {
				return slices.ContainsFunc(g.Response.Fields, func(f contract.Field) bool { return f.Required.Mode == "conditional" || f.OnlyWhen != nil })
			}
			answers := slices.DeleteFunc(c.documentedAnswers(), func(s *Sample) bool { return !conditional(c.GrantOf(s)) })
			for _, p := range c.listedPairs() {
				seen := slices.ContainsFunc(answers, func(s *Sample) bool { return s.grant == p.grant.Key })
				if seen || !conditional(p.grant) {
					continue
				}
				if s := c.Accepted(Step(c.goldenOf(p, ""), "%s, for its fields", p.grant.Key)); s.Answer.OK() {
					answers = append(answers, s)
				}
			}
			c.Each(answers, "the page documents no field that depends on a condition this run can reach", func(s *Sample) {
				for _, f := range c.GrantOf(s).Response.Fields {
					v := s.Answer.Member(f)
					if f.Required.Mode == "conditional" && s.Answer.Holds(f.Required.Condition) {
						c.hold(f, s, v.Present(), f.Name+", as the page documents for this request", kindWords(v, f.Name))
					}
					if f.OnlyWhen != nil && !s.Answer.Holds(f.OnlyWhen) {
						c.hold(f, s, !v.Present(), "no "+f.Name+", which the page documents for other requests only", "it")
					}
				}
			})
		},
	},
	{
		ID:    "doc.response-field-undocumented",
		Title: "Undocumented response fields are listed",
		Group: "documented",
		Level: Doc, Wording: Documented, Binds: "server", Posture: Observe,
		Source:   "contract",
		Editions: AllEditions,
		Summary:  "New fields are legal, but a page that omits them is out of date.",
		Why:      "Clients begin to use what may vanish tomorrow.",
		Requires: []string{"response.flat"},
		Probe:    "Golden response.",
		Expect:   "No fields beyond those documented.",
		Tolerates: []string{
			"Extra fields (observation only).",
		},
		Fault:   "Adds an undocumented user_id.",
		Passive: true,
		Check: func(c *Case) {
			c.Each(c.documentedAnswers(), noFields, func(s *Sample) {
				extra := undocumented(s.Answer.Lenient(), c.GrantOf(s).Response.Fields, nil)
				c.Expect(s).To(satisfy("no fields beyond those documented", func(*Sample) (string, bool) {
					return exchange.Printable(strings.Join(extra, ", "), 200) + " as well", len(extra) == 0
				}))
			})
		},
	},
	{
		ID:    "doc.error-row-status",
		Title: "Each documented error condition yields its documented status",
		Group: "documented",
		Level: Doc, Wording: Documented, Binds: "server", Posture: Assert,
		Source:   "contract",
		Editions: AllEditions,
		Summary:  "The status column of the error table holds for every condition the harness can provoke.",
		Why:      "Error handling written after the page does not fire.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Per row with a probe: missing parameter, bad client, bad user, rate limit.",
		Expect:   "Documented status.",
		Tolerates: []string{
			"Rows without a safe probe (for example 500) are passive: checked only if such an answer turns up. Rate-limit rows need opt-in.",
		},
		Fault:   "Bad client secret yields 400 where 401 is documented.",
		Effects: []Effect{BadClientCredentials},
		Check: func(c *Case) {
			if !slices.ContainsFunc(c.Contract().Errors, func(r contract.ErrorRow) bool { return len(r.Status) > 0 }) {
				c.NotApplicable("the page lists no status for an error")
			}
			c.eachRow(true, func(s *Sample, rows []contract.ErrorRow) {
				if slices.ContainsFunc(rows, func(r contract.ErrorRow) bool { return len(r.Status) == 0 || statusFits(r.Status, s.Status) }) {
					return
				}
				var want []string
				for _, r := range rows {
					want = append(want, r.Status...)
				}
				c.Violate(s, "status "+orList(slices.Compact(want))+", as the page documents for "+inShort(s), s.Came())
			})
		},
	},
	{
		ID:    "doc.error-row-code",
		Title: "Each documented error condition yields its documented code",
		Group: "documented",
		Level: Doc, Wording: Documented, Binds: "server", Posture: Assert,
		Source:   "contract",
		Editions: AllEditions,
		Summary:  "The code column of the error table holds.",
		Why:      "Error handling written after the page does not fire.",
		Requires: []string{"doc.error-row-status"},
		Probe:    "As doc.error-row-status.",
		Expect:   "error equals the documented code.",
		Tolerates: []string{
			"Rows without a code (status only) are not judged.",
		},
		Fault:   "Missing parameter yields invalid_grant where invalid_request is documented.",
		Effects: []Effect{BadClientCredentials},
		Check: func(c *Case) {
			if !slices.ContainsFunc(c.Contract().Errors, func(r contract.ErrorRow) bool { return len(codesOf(r)) > 0 }) {
				c.NotApplicable("the page lists no code for an error")
			}
			c.eachRow(false, func(s *Sample, rows []contract.ErrorRow) {
				var want []any
				for _, r := range rows {
					if len(r.Status) > 0 && !statusFits(r.Status, s.Status) {
						continue // doc.error-row-status says so
					}
					if len(r.Code) == 0 || codeFits(r.Code, s.Code()) {
						return
					}
					want = append(want, r.Code...)
				}
				if len(want) > 0 {
					c.Violate(s, "error "+orList(want)+", as the page documents for "+inShort(s), s.Came())
				}
			})
		},
	},
	{
		ID:    "doc.error-fields",
		Title: "Error bodies carry the documented fields",
		Group: "documented",
		Level: Doc, Wording: Documented, Binds: "server", Posture: Assert,
		Source:   "contract",
		Editions: AllEditions,
		Summary:  "Example: error and error_description required on 400 and 401.",
		Why:      "Error handling written after the page does not fire.",
		Requires: []string{"doc.error-row-status"},
		Probe:    "Every error answer with a documented status.",
		Expect:   "Required fields present with their types.",
		Fault:    "error_description missing.",
		Effects:  []Effect{BadClientCredentials},
		Passive:  true,
		Check: func(c *Case) {
			always := func(f contract.Field) bool { return f.Required.Mode != "" && f.Required.Mode != "false" }
			if !slices.ContainsFunc(c.Contract().ErrorFields, always) && !slices.ContainsFunc(c.Contract().Errors, func(r contract.ErrorRow) bool { return len(r.Fields) > 0 }) {
				c.NotApplicable("the page documents no members of error answers")
			}
			answers := c.Answers(func(s *Sample) bool {
				return readsAsOAuth(c, s) && !s.Answer.OK() && (!s.Golden || s.Status >= 400) && c.statusDocumented(s)
			})
			c.Each(answers, noRefusal, func(s *Sample) {
				rows := slices.DeleteFunc(c.rowsOf(s), func(r contract.ErrorRow) bool { return !rowFits(r, s.Status, s.Code()) })
				if len(rows) == 0 {
					rows = []contract.ErrorRow{{}}
				}
				var missed *contract.Field
				var came string
				for _, row := range rows {
					if missed, came = c.missedField(s, row); missed == nil {
						return
					}
				}
				c.hold(*missed, s, false, missed.Name+" as the page documents for errors", came)
			})
		},
	},
	{
		ID:    "doc.error-undocumented",
		Title: "Statuses and codes outside the documented table are listed",
		Group: "documented",
		Level: Doc, Wording: Documented, Binds: "server", Posture: Advise,
		Source:   "contract",
		Editions: AllEditions,
		Summary:  "An answer the page does not announce surprises client developers.",
		Why:      "Clients meet a code that no documentation explains.",
		Probe:    "All answers of the run.",
		Expect:   "Each status, and each code where codes are documented, appears in the table.",
		Tolerates: []string{
			"HTTP-level 405, 411, 413, 414, 415, 431, 502, 503, 504; codes of conditions the page does not cover, such as unsupported_grant_type (listed, not failed).",
		},
		Fault:   "Returns 422 for a missing parameter.",
		Passive: true,
		Check: func(c *Case) {
			errors := c.Contract().Errors
			if len(errors) == 0 {
				c.NotApplicable("the page has no table of errors")
			}
			tolerated := append([]int{501, 502, 503, 504}, httpLevel...)
			statuses := slices.ContainsFunc(errors, func(r contract.ErrorRow) bool { return len(r.Status) > 0 })
			codes := slices.ContainsFunc(errors, func(r contract.ErrorRow) bool { return len(codesOf(r)) > 0 })
			documented := documentedCodes(c)
			var further []string
			var where []*Sample
			answers := c.Answers(func(s *Sample) bool {
				return s.Endpoint == tokenEndpoint && !s.Answer.OK() && !s.Answer.Throttled() && slices.Contains(c.Target().Methods(s.Request.Grant()), s.Request.Method()) &&
					(s.Golden || len(s.Provoked) > 0 || inProbedGroup(s) || s.Status >= 500)
			})
			c.Each(answers, noRefusal, func(s *Sample) {
				rows := c.rowsOf(s)
				standard := s.Status == 400 || s.Status == 401
				switch code, readable := s.Answer.ErrorCode(); {
				case statuses && !slices.Contains(tolerated, s.Status) && !c.statusDocumented(s) && !c.deviates(s):
					if len(rows) == 0 && standard || c.tolerated(s) {
						further, where = append(further, strconv.Itoa(s.Status)), append(where, s)
						break
					}
					c.Violate(s, "a status of the page's table", s.Came())
				case codes && readable && !slices.Contains(tolerated, s.Status) && !codeFits(documented, code) && !c.deviates(s):
					if len(rows) == 0 || !slices.ContainsFunc(rows, func(r contract.ErrorRow) bool { return len(codesOf(r)) > 0 }) || c.tolerated(s) {
						further, where = append(further, exchange.Printable(code, 60)), append(where, s)
						break
					}
					c.Violate(s, "an error code of the page's table", s.Came())
				}
			})
			if len(further) > 0 {
				slices.Sort(further)
				c.Fact("undocumented-errors", "Statuses and codes for conditions that the page does not cover", strings.Join(slices.Compact(further), ", "), where[:min(5, len(where))]...)
			}
		},
	},
	{
		ID:    "doc.token-lifetime",
		Title: "expires_in matches the documented lifetime",
		Group: "documented",
		Level: Doc, Wording: Documented, Binds: "server", Posture: Assert,
		Source:   "contract",
		Editions: AllEditions,
		Summary:  "Fixed, typical or ranged lifetimes are compared as written.",
		Why:      "Clients renew too late, or far too often.",
		Requires: []string{"response.expires-in-sane"},
		Probe:    "Golden response.",
		Expect:   "exact: equal; typical: within the tolerance, else a note; range: inside.",
		Tolerates: []string{
			"A page that says typically or usually is a hint: deviation is a note. Cached tokens with a shorter remaining life.",
		},
		Fault:   "expires_in is 300 where 3600 is documented.",
		Passive: true,
		Check: func(c *Case) {
			judged := false
			c.Each(carrying(issued(c), exchange.ExpiresIn), "no answer carries expires_in", func(s *Sample) {
				f, _ := documentedField(c, s, exchange.ExpiresIn)
				fields := []contract.Field{f}
				if l := c.Contract().Token.Lifetime; l != nil {
					fields = append(fields, *l)
				}
				life, ok := s.Answer.Lifetime()
				for _, f := range fields {
					if f.Const == nil && f.Typical == nil && f.Min == nil && f.Max == nil || !ok {
						continue
					}
					judged = true
					n := life.Seconds() / unitOf(f)
					came := strconv.FormatFloat(n, 'f', -1, 64)
					if c.cachedToken(s) {
						continue // what is left of an earlier token's life
					}
					if f.Const != nil {
						want, err := strconv.ParseFloat(fmt.Sprint(f.Const), 64)
						if err == nil && life == time.Duration((want*unitOf(f)-1)*float64(time.Second)) {
							c.Note("the page documents a lifetime of %v, and %s is left when the answer is written", f.Const, came)
							n = want
						}
						c.hold(f, s, err == nil && n == want, fmt.Sprintf("a lifetime of %v, as the page documents", f.Const), came)
					}
					if f.Typical != nil && math.Abs(n-*f.Typical) > f.Tolerance**f.Typical {
						c.Note("the page says that the lifetime is typically %v, and it is %s", *f.Typical, came)
					}
					c.hold(f, s, (f.Min == nil || n >= *f.Min) && (f.Max == nil || n <= *f.Max), "a lifetime within the documented bounds", came)
				}
			})
			if !judged {
				c.NotApplicable("the page states no lifetime")
			}
		},
	},
	{
		ID:    "doc.token-usable-until-expiry",
		Title: "The token still works shortly before it expires",
		Group: "documented",
		Level: Doc, Wording: Documented, Binds: "server", Posture: Advise,
		Source:   "contract",
		Editions: AllEditions,
		Summary:  "A lifetime that is announced should be usable.",
		Why:      "The token that was issued opens nothing.",
		Applies:  Applies{When: "opt-in for slow probes; protected resource configured"},
		Requires: []string{"request.form-accepted"},
		Probe:    "Use the token at 90 percent of expires_in.",
		Expect:   "Accepted.",
		Tolerates: []string{
			"Early revocation is permitted by the standards: advisory only.",
		},
		Fault:   "Tokens die at half their lifetime.",
		Effects: []Effect{Slow},
		Check: func(c *Case) {
			if c.Target().ResourceURL() == "" {
				c.Needs("a protected resource")
			}
			if c.Contract().Token.Live > 0 {
				c.NotApplicable("the page says that a new token ends an earlier one, and this run obtains others meanwhile")
			}
			token, from := c.AccessToken("")
			life, ok := from.Answer.Lifetime()
			switch {
			case !ok || life <= 0:
				c.NotApplicable("the answer tells no lifetime")
			case life > 70*time.Minute:
				c.NotApplicable("the token lives for %s, and a run waits for an hour at most", life)
			}
			works := func(s *Sample) bool {
				want := c.Contract().Resource.Expect
				return s.Status == want || want == 0 && s.Status >= 200 && s.Status < 300
			}
			if s := c.Probe(Step(c.Target().Resource(token), "the fresh token"), Positive()); !works(s) {
				c.look(s)
				c.Blocked("the protected resource does not accept the fresh token: %s", s.Came())
			}
			c.Wait(life*9/10, "nine tenths of the token's life")
			s := c.Probe(Step(c.Target().Resource(token), "the token at nine tenths of its life"), Positive())
			c.Expect(s).To(satisfy("the token accepted at nine tenths of its life", func(s *Sample) (string, bool) { return s.Came(), works(s) }))
		},
	},
	{
		ID:    "doc.token-format",
		Title: "The access token has its documented format",
		Group: "documented",
		Level: Doc, Wording: Documented, Binds: "server", Posture: Assert,
		Source:   "contract",
		Editions: AllEditions,
		Summary:  "Example: documented as a JWT.",
		Why:      "Developers follow the page and get an error.",
		Requires: []string{"response.access-token"},
		Probe:    "Decode the golden token.",
		Expect:   "jwt: three base64url segments with JSON header and claims; opaque: not asserted.",
		Fault:    "Opaque token where a JWT is documented.",
		Passive:  true,
		Check: func(c *Case) {
			judged := false
			c.Each(issued(c), noToken, func(s *Sample) {
				f, ok := documentedField(c, s, exchange.AccessToken)
				if !ok || f.Format == "" {
					return
				}
				judged = true
				c.hold(f, s, hasFormat(f.Format, s.Answer.Text(exchange.AccessToken)), "an access token of format "+f.Format+", as the page documents", "another form")
			})
			if !judged {
				c.NotApplicable("the page says nothing of the token's format")
			}
		},
	},
	{
		ID:    "doc.rate-limit-response",
		Title: "Exceeding the documented limit yields the documented answer",
		Group: "documented",
		Level: Doc, Wording: Documented, Binds: "server", Posture: Assert,
		Source:   "contract",
		Editions: AllEditions,
		Summary:  "Status and code of the limit row hold.",
		Why:      "Clients that keep to the published limit are stopped, or those beyond it are not told so.",
		Applies:  Applies{When: "explicit opt-in; limit documented"},
		Requires: []string{"request.form-accepted"},
		Probe:    "Burst above the documented or discovered limit.",
		Expect:   "Documented status, and code where given.",
		Tolerates: []string{
			"If no number is documented and no limit is met within the opt-in budget: inconclusive.",
		},
		Fault:   "Over-limit answer is 403.",
		Effects: []Effect{Burst, BadClientCredentials},
		Alone:   true,
		Check: func(c *Case) {
			statuses, codes := c.limitAnswers()
			if len(statuses)+len(codes) == 0 {
				c.NotApplicable("the page documents no answer for a limit")
			}
			l := c.limitOf()
			over, sent := c.overLimit()
			if len(over) == 0 {
				if l == nil || l.Limit == 0 || sent < 2*l.Limit || !c.burstWithin(l.Window) {
					c.Inconclusive("%d requests met no limit", sent)
				}
				c.Violate(nil, fmt.Sprintf("the documented answer beyond %d requests in %s", l.Limit, l.Window), fmt.Sprintf("tokens for all of %d", sent))
			}
			over = slices.DeleteFunc(over, func(s *Sample) bool { return s.Err != nil })
			c.Each(over, "no request of the burst was answered", func(s *Sample) {
				if len(statuses) > 0 {
					c.Expect(s).To(satisfy("status "+orList(statuses)+", as the page documents for its limit", func(s *Sample) (string, bool) {
						return s.Came(), statusFits(statuses, s.Status)
					}))
				}
				if len(codes) > 0 {
					c.Expect(s).To(satisfy("error "+orList(codes)+", as the page documents for its limit", func(s *Sample) (string, bool) {
						return s.Came(), codeFits(codes, s.Code())
					}))
				}
			})
		},
	},
	{
		ID:    "doc.rate-limit-not-early",
		Title: "Traffic within the documented limit is not throttled",
		Group: "documented",
		Level: Doc, Wording: Documented, Binds: "server", Posture: Assert,
		Source:   "contract",
		Editions: AllEditions,
		Summary:  "A client that keeps to the limit is served.",
		Why:      "Clients that keep to the published limit are stopped, or those beyond it are not told so.",
		Applies:  Applies{When: "a numeric limit is documented"},
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden requests at 90 percent of the documented rate for one window.",
		Expect:   "No limit answers.",
		Tolerates: []string{
			"Quota shared with other traffic of the client: the operator declares exclusivity.",
		},
		Fault:   "Throttles at half the documented rate.",
		Effects: []Effect{Burst, MintsMany},
		Alone:   true,
		Check: func(c *Case) {
			l := c.limitOf()
			if l == nil || l.Limit == 0 || l.Window == 0 {
				c.NotApplicable("the page documents no limit in numbers")
			}
			n := l.Limit * 9 / 10
			if n > maxBurst || l.Window > 10*time.Minute {
				c.NeedsLoad()
			}
			c.limitedGolden(l)
			c.Wait(l.Window+time.Second, "the quota that earlier probes used to come back")
			for i := range n {
				s := c.Try(Step(c.limitedGolden(l), "request %d of %d within the limit", i+1, n), AsIs(), Positive())
				if s.Answer.Throttled() && !l.Exclusive {
					c.look(s)
					c.Inconclusive("throttled at request %d of %d in %s; others may share the quota, unless rate_limit.exclusive says that nobody does", i+1, n, l.Window)
				}
				c.Expect(s).To(satisfy(fmt.Sprintf("no limit within %d requests in %s", l.Limit, l.Window), func(s *Sample) (string, bool) {
					return fmt.Sprintf("%s at request %d", s.Came(), i+1), !s.Answer.Throttled()
				}))
				c.Wait(l.Window/time.Duration(n), "the pace that the page allows")
			}
		},
	},
	{
		ID:    "doc.rate-limit-retry-hint",
		Title: "The documented retry hint is sent",
		Group: "documented",
		Level: Doc, Wording: Documented, Binds: "server", Posture: Assert,
		Source:   "contract",
		Editions: AllEditions,
		Summary:  "Headers the page names appear on limited answers.",
		Why:      "Clients that keep to the published limit are stopped, or those beyond it are not told so.",
		Applies:  Applies{When: "retry header documented"},
		Requires: []string{"doc.rate-limit-response"},
		Probe:    "As doc.rate-limit-response.",
		Expect:   "Header present and well-formed.",
		Fault:    "Documented Retry-After missing.",
		Effects:  []Effect{Burst},
		Alone:    true,
		Check: func(c *Case) {
			l := c.limitOf()
			if l == nil || l.RetryHint == nil || l.RetryHint.Name == "" || l.RetryHint.Name == "unspecified" {
				c.NotApplicable("the page names no hint when to try again")
			}
			over, _ := c.overLimit()
			over = slices.DeleteFunc(over, func(s *Sample) bool { return s.Err != nil || !s.Answer.Throttled() })
			c.Each(over, "no limit was met", func(s *Sample) {
				text := strings.Join(s.Header.Values(l.RetryHint.Name), ", ")
				if l.RetryHint.In == "body" {
					text = s.Answer.Lenient().At(strings.Split(l.RetryHint.Name, ".")...).Text
				}
				c.Expect(s).To(satisfy(l.RetryHint.Name+" with a time, as the page documents", func(*Sample) (string, bool) {
					if text == "" {
						return s.Came() + " without it", false
					}
					_, err := exchange.ParseRetryAfter(text, s.Sent)
					n, notNumber := strconv.ParseFloat(text, 64)
					return exchange.Printable(text, 60), err == nil || notNumber == nil && n >= 0 && !strings.EqualFold(l.RetryHint.Name, "Retry-After")
				}))
			})
		},
	},
	{
		ID:    "doc.slo-latency",
		Title: "Token latency stays within the stated objective",
		Group: "documented",
		Level: Doc, Wording: Documented, Binds: "server", Posture: Assert,
		Source:   "contract",
		Editions: AllEditions,
		Summary:  "A percentile over a stated window and load is compared with its bound.",
		Why:      "People wait for their sign-in, or cannot sign in at all, at the hours that matter.",
		Applies:  Applies{When: "SLO in contract; explicit opt-in to load"},
		Requires: []string{"request.form-accepted"},
		Probe:    "Open-loop golden load at the stated rate and duration; latency measured from the intended send time.",
		Expect:   "Percentile at or below the bound; confidence interval reported, verdict inconclusive if the bound lies inside it.",
		Tolerates: []string{
			"Warm-up excluded; client saturation detected and reported as inconclusive.",
		},
		Fault:   "Every twentieth response is delayed by two seconds.",
		Effects: []Effect{Burst, MintsMany},
		Alone:   true,
		Check: func(c *Case) {
			c.needsObjective("latency")
		},
	},
	{
		ID:    "doc.slo-availability",
		Title: "The success ratio under load meets the stated objective",
		Group: "documented",
		Level: Doc, Wording: Documented, Binds: "server", Posture: Assert,
		Source:   "contract",
		Editions: AllEditions,
		Summary:  "Share of ok answers among valid requests.",
		Why:      "People wait for their sign-in, or cannot sign in at all, at the hours that matter.",
		Applies:  Applies{When: "SLO in contract; explicit opt-in to load"},
		Requires: []string{"request.form-accepted"},
		Probe:    "As doc.slo-latency.",
		Expect:   "Ratio at or above the objective.",
		Tolerates: []string{
			"429 counted as stated in the contract; client-side network faults separated.",
		},
		Fault:   "One percent of valid requests fail with 500.",
		Effects: []Effect{Burst, MintsMany},
		Alone:   true,
		Check: func(c *Case) {
			c.needsObjective("success")
		},
	},
	{
		ID:    "doc.scope-default",
		Title: "Omitting scope yields the documented default",
		Group: "documented",
		Level: Doc, Wording: Documented, Binds: "server", Posture: Assert,
		Source:   "contract",
		Editions: AllEditions,
		Summary:  "Example: returned scope lists what the client was granted.",
		Why:      "Developers follow the page and get an error.",
		Applies:  Applies{When: "default scope documented"},
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden request without scope.",
		Expect:   "scope member equals the documented default as a set, or is present when only presence is documented.",
		Fault:    "scope missing from the answer.",
		Effects:  []Effect{MintsToken},
		Check: func(c *Case) {
			scopes := c.Contract().Scopes
			g := c.Golden().Grant()
			f, _ := g.FieldFor(exchange.Scope)
			if len(scopes.Default) == 0 && scopes.DefaultText == "" && f.Default == nil {
				c.NotApplicable("the page names no default scope")
			}
			var req exchange.Request
			switch exchange.GrantType(g) {
			case "refresh_token": // its scope is that of the grant before it
				fallthrough
			case "authorization_code":
				if !c.Documents("authorization_code") || !c.run.allowed(ConsumesCode) {
					c.NeedsConsent(ConsumesCode)
					c.NotApplicable("the golden request takes its scope from an earlier grant")
				}
				req = c.Redeem(c.Code("", func(a *exchange.Authorization) { a.Scope = nil }), "").Drop("scope")
			default:
				req = c.Golden().Drop("scope")
			}
			s := c.Probe(Step(req, "without scope"), Positive())
			c.ExpectAccepted(s)
			c.Expect(s).To(satisfy("the documented default scope", func(s *Sample) (string, bool) {
				granted, told := s.Answer.Scopes()
				switch {
				case !told:
					return "no scope", false
				case len(scopes.Default) == 0:
					return "", true // the page says only that it is told
				}
				return exchange.Printable(fmt.Sprintf("scope %q", strings.Join(granted, " ")), 120), sameSet(granted, scopes.Default)
			}))
		},
	},
	{
		ID:    "doc.deviation-still-true",
		Title: "A documented deviation from the standard is what the server does",
		Group: "documented",
		Level: Doc, Wording: Documented, Binds: "server", Posture: Assert,
		Source:   "contract",
		Editions: AllEditions,
		Summary:  "The as-documented verdict requires the deviation; a server that has since become standard makes the page wrong.",
		Why:      "Error handling written after the page does not fire.",
		Applies:  Applies{When: "contract lists deviations"},
		Probe:    "The probe of the deviating rule.",
		Expect:   "Observed behaviour equals the documented deviation.",
		Tolerates: []string{
			"A deviation marked allowed (either way) accepts both behaviours.",
		},
		Fault:   "Answers 400 invalid_grant although 403 is documented.",
		Passive: true,
		Check: func(c *Case) {
			if len(c.Contract().Deviations) == 0 {
				c.NotApplicable("the contract lists no deviations")
			}
			judged, consent := false, false
			for _, d := range c.Contract().Deviations {
				f, ok := c.Finding(d.Rules[0])
				consent = consent || f.ReasonKind == report.NeedsConsent
				if !ok || !f.Verdict.Judged() {
					continue
				}
				judged = judged || f.Documented != report.SideSilent || d.Mode == "allowed"
				if f.Documented == report.SideFail {
					c.violations = append(c.violations, violation{
						expected: fmt.Sprintf("what the page documents for %s: %s", d.Rules[0], inWords(d.Documented)), came: cmp.Or(f.Actual, "something else"),
					})
				}
			}
			switch {
			case judged:
			case consent:
				c.NeedsConsent(BadUserCredentials)
				fallthrough
			default:
				c.NotApplicable("none of the situations that the contract's deviations describe was seen")
			}
		},
	},
	{
		ID:    "doc.waiver-needed",
		Title: "A waiver is neither expired nor idle",
		Group: "documented",
		Level: Doc, Wording: Documented, Binds: "operator", Posture: Advise,
		Source:   "contract",
		Editions: AllEditions,
		Summary:  "Waivers carry a reason and an expiry and should disappear once the rule passes.",
		Why:      "A known problem stays out of sight after its excuse has run out.",
		Applies:  Applies{When: "contract lists waivers"},
		Probe:    "Evaluate waived rules as usual.",
		Expect:   "Not past its expiry; the waived rule does not pass.",
		Tolerates: []string{
			"Rules that were inconclusive or not applicable.",
		},
		Fault:   "The waived rule passes: the waiver is idle.",
		Passive: true,
		Check: func(c *Case) {
			if len(c.Contract().Waivers) == 0 {
				c.NotApplicable("the contract lists no waivers")
			}
			for _, w := range c.Contract().Waivers {
				if !c.Now().Before(w.Expires.AddDate(0, 0, 1)) {
					c.violations = append(c.violations, violation{expected: "a waiver of " + w.Rule + " that is in force", came: "one that expired on " + w.Expires.Format(time.DateOnly)})
				} else if f, ok := c.Finding(w.Rule); ok && (f.Verdict == report.Pass || f.Verdict == report.Note) {
					c.violations = append(c.violations, violation{expected: "a waiver that is needed", came: w.Rule + " passes"})
				}
			}
		},
	},
}

const noFields = "the page documents no fields for an answer that was seen"

// grantParts are the parameters that a grant, its client or its authorization request rest on.
var grantParts = []string{
	"grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "username", "password", "assertion", "device_code",
	"client_id", "client_secret", "client_assertion", "client_assertion_type", "subject_token", "subject_token_type",
}

// listedPairs returns one golden pair for each grant whose request the page lists; grants that use
// something up only where that is allowed.
func (c *Case) listedPairs() (out []pair) {
	for _, p := range c.run.candidates() {
		listed := p.grant.ParametersGiven || len(p.grant.Parameters) > 0 || len(p.grant.Response.Fields) > 0
		if listed && c.mayConsume(p) && c.run.answered(p) != answeredNo && !slices.ContainsFunc(out, func(q pair) bool { return q.grant == p.grant }) {
			out = append(out, p)
		}
	}
	return out
}

// mayConsume reports whether the golden request of a pair may be sent again and again.
func (c *Case) mayConsume(p pair) bool {
	switch exchange.GrantType(p.grant) {
	case "authorization_code":
		return c.run.allowed(ConsumesCode)
	case "refresh_token":
		return c.run.allowed(ConsumesRefresh)
	}
	return true
}

// withParameter builds the golden request of a pair, and reports whether the page calls the
// parameter required and the request carries it.
func (c *Case) withParameter(p pair, f contract.Field) (req exchange.Request, required bool) {
	if f.Required.Mode == "" || f.Required.Mode == "false" || f.Origin == "standard" {
		return req, false
	}
	req = c.goldenOf(p, "")
	return req, req.Has(f.Name) && (f.Required.Mode != "conditional" || req.Holds(f.Required.Condition))
}

// omission names the conditions that leaving a parameter out brings about.
func omission(f contract.Field) Option {
	if isCredential(f.Role()) {
		return Provokes("missing_parameter", "missing_client_auth")
	}
	return Provokes("missing_parameter")
}

// nonceFor names the conditions that another value of a fixed parameter brings about.
func nonceFor(f contract.Field) Option {
	if f.Role() == "grant_type" {
		return Provokes("unknown_grant", "invalid_parameter")
	}
	return Provokes("invalid_parameter")
}

func isCredential(role string) bool { return slices.Contains(exchange.CredentialParts, role) }

// hold records that something documented does not hold: a violation, or a warning where the page
// shows it throughout without saying so.
func (c *Case) hold(f contract.Field, s *Sample, holds bool, expected, came string) {
	c.look(s)
	switch {
	case holds:
	case f.Required.Mode == "implied":
		c.Warn(s, expected, came)
	default:
		c.Violate(s, expected, came)
	}
}

// documentedAnswers returns the answers with a token of the grants whose fields the page lists.
func (c *Case) documentedAnswers() []*Sample {
	return slices.DeleteFunc(issued(c), func(s *Sample) bool {
		g := c.GrantOf(s)
		return g == nil || len(g.Response.Fields) == 0
	})
}

// hasType compares a value with the documented types; in a form every value is text.
func hasType(types []string, v exchange.Value, form bool) bool {
	if len(types) == 0 {
		return true
	}
	return slices.ContainsFunc(types, func(t string) bool {
		switch {
		case t == "integer":
			n, err := strconv.ParseFloat(v.Text, 64)
			return err == nil && n == math.Trunc(n) && (v.Kind == exchange.Number || form && digits.MatchString(v.Text))
		case t == "number" && form:
			_, err := strconv.ParseFloat(v.Text, 64)
			return err == nil
		case t == "boolean" && form:
			return v.Text == "true" || v.Text == "false"
		}
		return t == string(v.Kind)
	})
}

var uuidText = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)

// hasFormat compares a text with a documented format: jwt, uri, uuid, integer or a pattern.
func hasFormat(format, text string) bool {
	switch format {
	case "jwt":
		_, _, ok := jwtOf(text)
		return ok
	case "uri":
		u, err := url.Parse(text)
		return err == nil && u.IsAbs()
	case "uuid":
		return uuidText.MatchString(text)
	case "integer":
		_, err := strconv.ParseInt(text, 10, 64)
		return err == nil
	}
	re, err := contract.CompilePattern(format)
	return err != nil || re.MatchString(text)
}

// undocumented lists the members that no documented field names, by path.
func undocumented(v exchange.Value, fields []contract.Field, at []string) (out []string) {
	for _, m := range v.Members {
		path := append(slices.Clone(at), m.Name)
		named, within := false, false
		for _, f := range fields {
			p := f.Path
			if len(p) == 0 {
				p = []string{f.Name}
			}
			named = named || slices.Equal(p, path)
			within = within || len(p) > len(path) && slices.Equal(p[:len(path)], path)
		}
		switch {
		case within && m.Value.Kind == exchange.Object:
			out = append(out, undocumented(m.Value, fields, path)...)
		case !named && !within:
			out = append(out, strings.Join(path, "."))
		}
	}
	return out
}

// ---- the table of errors ----

// rowRules are the rules whose probes bring a condition about, and nothing besides.
var rowRules = map[string][]string{
	"missing_parameter": {"doc.required-parameter", "request.missing-grant-type", "password.missing-username", "password.missing-password", "code.missing-code", "refresh.missing-token"},
	"invalid_parameter": {"doc.parameter-const"},
	"unknown_client":    {"client-auth.unknown-client-refused"}, "wrong_secret": {"client-auth.wrong-secret-refused"},
	"missing_client_auth": {"client-auth.missing-refused"}, "two_auth_methods": {"client-auth.two-methods"},
	"unknown_user": {"password.unknown-user-refused"}, "wrong_password": {"password.wrong-password-refused"},
	"bad_code": {"code.unknown-code-refused"}, "used_code": {"code.reuse-denied"}, "redirect_mismatch": {"code.redirect-uri-identical"},
	"bad_verifier": {"pkce.wrong-verifier-refused"}, "bad_refresh_token": {"refresh.unknown-token-refused"}, "bad_assertion": {"jwt-bearer.bad-signature"},
	"bad_scope": {"request.scope-unknown"}, "unknown_grant": {"request.unknown-grant-type"}, "unauthorized_client": {"cc.unauthorized-client"},
	"wrong_method": {}, "wrong_content_type": {},
}

// eachRow hands every refusal that brought a documented condition about to judge, with the rows of
// the page for it. With send it provokes what nobody has provoked yet, and notes what it cannot.
func (c *Case) eachRow(send bool, judge func(*Sample, []contract.ErrorRow)) {
	var conditions, open, consent []string
	for _, row := range c.Contract().Errors {
		for _, w := range row.When {
			if !slices.Contains(conditions, w) {
				conditions = append(conditions, w)
			}
		}
	}
	var judged []*Sample
	for _, w := range conditions {
		seen := c.Answers(func(s *Sample) bool { return c.situated(s, w) })
		if _, can := rowRules[w]; can && send && len(seen) == 0 {
			sent, effect := c.provoke(w)
			if effect != "" {
				consent = append(consent, w)
			}
			seen = slices.DeleteFunc(sent, func(s *Sample) bool { return !c.situated(s, w) })
		}
		if _, can := rowRules[w]; can && len(seen) == 0 {
			open = append(open, w)
		}
		for _, s := range seen {
			if !slices.Contains(judged, s) {
				judged = append(judged, s)
			}
		}
	}
	if len(judged) == 0 && len(consent) > 0 {
		c.NeedsConsent(BadUserCredentials)
	}
	c.Each(judged, "no error of the page's table was met", func(s *Sample) {
		if rows := c.rowsOf(s); len(rows) > 0 && !c.deviates(s) && !c.tolerated(s) {
			judge(s, rows)
		}
	})
	if send && len(open) > 0 {
		c.Note("not provoked: %s", strings.Join(open, ", "))
	}
}

// situated reports a decided answer, without a token, that brought condition w about and nothing else.
func (c *Case) situated(s *Sample, w string) bool {
	if s.Endpoint != tokenEndpoint || s.Answer.OK() || s.Err != nil {
		return false
	}
	switch w {
	case "rate_limited":
		return s.Answer.Throttled()
	case "server_fault":
		return s.Status >= 500 && !c.turnedDown(s) && !slices.Contains([]int{501, 502, 503, 504}, s.Status)
	}
	if !c.turnedDown(s) || !slices.Contains(s.Provoked, w) || !s.Is(append([]string{"doc.error-row-status"}, rowRules[w]...)...) {
		return false
	}
	// A row for some parameters only can be told from the others where the parameter is known.
	return s.Param != "" || !slices.ContainsFunc(c.Contract().Errors, func(r contract.ErrorRow) bool { return len(r.Parameters) > 0 && slices.Contains(r.When, w) })
}

// rowsOf returns the rows of the page for the situation of an answer. A missing credential may be
// filed under missing_parameter and under missing_client_auth; where the page has no row for the
// latter, the row for wrong credentials will do as well.
func (c *Case) rowsOf(s *Sample) []contract.ErrorRow {
	at := s.situation()
	switch {
	case s.Answer.Throttled():
		at.conditions = []string{"rate_limited"}
	case s.Status >= 500 && !c.turnedDown(s):
		at.conditions = []string{"server_fault", "maintenance"}
	}
	rows := rowsFor(c.Contract(), at)
	if slices.Contains(at.conditions, "missing_client_auth") {
		covered := slices.ContainsFunc(c.Contract().Errors, func(r contract.ErrorRow) bool { return slices.Contains(r.When, "missing_client_auth") })
		if !covered && len(rows) > 0 {
			at.conditions = []string{"unknown_client", "wrong_secret"}
			if more := rowsFor(c.Contract(), at); len(more) > 0 {
				return append(rows, more...)
			}
			return append(rows, contract.ErrorRow{Status: []string{"400", "401"}, Code: []any{"invalid_client"}})
		}
	}
	return rows
}

// deviates reports that a deviation which the contract allows, or asks for, covers an answer.
func (c *Case) deviates(s *Sample) bool {
	return slices.ContainsFunc(c.Contract().Deviations, func(d contract.Deviation) bool {
		return c.run.covers(&d, s) && (outcomeFits(d.Documented, s.Status, s.Code()) || d.Mode == "allowed" && outcomeFits(d.Standard, s.Status, s.Code()))
	})
}

// tolerated reports an answer that no row can rightly be held against: without a known grant type
// nobody can tell which grant it is, and which client; what else is the standard's own word for it.
func (c *Case) tolerated(s *Sample) bool {
	role := ""
	for _, f := range c.Target().Parameters(s.Request.Grant()) {
		if f.Name == s.Param {
			role = f.Role()
		}
	}
	grantless := role == "grant_type" || slices.Contains(s.Provoked, "unknown_grant")
	switch code := s.Code(); {
	case code == "unsupported_grant_type" && s.Status == 400 && slices.Contains(s.Provoked, "unknown_grant"):
		return !slices.ContainsFunc(c.Contract().Errors, func(r contract.ErrorRow) bool {
			return slices.Contains(r.When, "unknown_grant") || slices.Contains(r.Parameters, "grant_type")
		})
	case grantless && code == "invalid_client":
		return s.auth == "none" || s.auth == ""
	case grantless:
		rows := c.rowsOf(s)
		return len(rows) > 0 && !slices.ContainsFunc(rows, func(r contract.ErrorRow) bool { return len(r.Grants) == 0 })
	}
	return role == "redirect_uri" && s.Code() == "invalid_grant" && s.Status == 400
}

// turnedDown reports a refusal, also one with a 5xx that the page documents.
func (c *Case) turnedDown(s *Sample) bool {
	return s.Answer.Refused() || s.Answer.Fault() && slices.ContainsFunc(rowsFor(c.Contract(), s.situation()), func(r contract.ErrorRow) bool {
		return len(r.Status) > 0 && rowFits(r, s.Status, s.Code())
	})
}

// inShort names what an answer was provoked by.
func inShort(s *Sample) string {
	words := strings.Join(s.Provoked, " or ")
	switch {
	case s.Answer.Throttled():
		words = "rate_limited"
	case s.Status >= 500 && len(s.Provoked) == 0:
		words = "server_fault"
	case s.Param != "":
		words += " (" + s.Param + ")"
	}
	return words
}

// statusDocumented reports whether the page's table, its deviations or its limits name the status of an answer.
func (c *Case) statusDocumented(s *Sample) bool {
	if g := c.GrantOf(s); s.Status == 200 || g != nil && g.Response.Status == s.Status {
		return slices.ContainsFunc(c.Contract().Errors, func(r contract.ErrorRow) bool { return statusFits(r.Status, s.Status) })
	}
	limits, _ := c.limitAnswers()
	return statusFits(limits, s.Status) ||
		slices.ContainsFunc(c.Contract().Errors, func(r contract.ErrorRow) bool { return statusFits(r.Status, s.Status) }) ||
		slices.ContainsFunc(c.Contract().Deviations, func(d contract.Deviation) bool { return statusFits(d.Documented.Status, s.Status) })
}

// missedField returns the first documented member that an error answer lacks, or has otherwise; nil without one.
func (c *Case) missedField(s *Sample, row contract.ErrorRow) (*contract.Field, string) {
	for _, f := range c.Contract().RowFields(row) {
		v := s.Answer.Member(f)
		ofRow := slices.ContainsFunc(row.Fields, func(r contract.Field) bool { return r.Name == f.Name })
		mode := f.Required.Mode
		needed := mode == "true" || mode == "implied" || mode == "conditional" && s.Answer.Holds(f.Required.Condition) || mode == "" && ofRow
		switch {
		case !v.Present() && needed && !(v.Kind == exchange.Null && slices.Contains(f.Type, "null")):
			return &f, kindWords(v, f.Name)
		case !v.Present():
		case !hasType(f.Type, v, jsonOf(s).Form || documentedType(c, s) == exchange.FormType):
			return &f, kindWords(v, f.Name)
		case f.Const != nil && !equalValue(f.Const, v, false), len(f.Enum) > 0 && !slices.ContainsFunc(f.Enum, func(e any) bool { return equalValue(e, v, false) }):
			return &f, f.Name + " " + exchange.Printable(v.Text, 60)
		}
	}
	return nil, ""
}

// provoke sends what brings a documented condition about. Nothing is sent where a fixture is
// missing; effect names the consent that is missing.
func (c *Case) provoke(w string) (sent []*Sample, effect Effect) {
	ask := func(req exchange.Request, what string, opts ...Option) {
		if req.Err() == nil {
			s := c.Probe(Step(req, "%s", what), append([]Option{Provokes(w)}, opts...)...)
			c.rely(s)
			sent = append(sent, s)
		}
	}
	victim := func() exchange.Request { return c.Victim() }
	ofGrant := func(grantType string, in exchange.Inputs) {
		if p := c.run.pairFor(grantType, ""); p.grant != nil {
			in.Client = c.Target().ClientNamed(p.client)
			if req, err := c.Target().Request(p.grant, p.auth, in); err == nil {
				ask(req, "made up for "+w)
			}
		}
	}
	user := func(change func(exchange.Request) exchange.Request) {
		switch p := c.run.pairFor("password", ""); {
		case p.grant == nil:
		case !c.run.allowed(BadUserCredentials):
			effect = BadUserCredentials
		default:
			ask(change(c.goldenOf(p, "")), w)
		}
	}
	switch w {
	case "missing_parameter", "invalid_parameter":
		for _, p := range c.listedPairs() {
			for _, f := range c.Target().Parameters(p.grant) {
				req, required := c.withParameter(p, f)
				switch {
				case w == "missing_parameter" && required:
					ask(req.Drop(f.Name), p.grant.Key+" without "+f.Name, omission(f), About(f.Name))
				case w == "invalid_parameter" && f.In != "header" && req.Has(f.Name) && (required && f.Const != nil || c.rowNames(f.Name)):
					ask(req.Set(f.Name, "grantcheck-"+c.Nonce()), p.grant.Key+" with another "+f.Name, nonceFor(f), About(f.Name))
				}
			}
		}
	case "unknown_client":
		if req := victim(); req.AuthMethod() == "basic" || req.AuthMethod() == "post" {
			ask(req.ClientID("grantcheck-"+c.Nonce()).Secret(c.WrongSecret(req)), "an unknown client")
		}
	case "wrong_secret":
		if req := victim(); req.AuthMethod() == "basic" || req.AuthMethod() == "post" {
			ask(req.Secret(c.WrongSecret(req)), "a wrong secret")
		}
	case "missing_client_auth":
		if req := c.Dummy(); req.AuthMethod() != "none" {
			ask(req.NoSecret(), "without the client's credential")
		}
	case "two_auth_methods":
		if req := c.Golden(); req.AuthMethod() == "basic" {
			_, secret := req.Credentials()
			ask(req.Add("client_secret", secret), "the secret in the body as well")
		}
	case "unknown_user":
		user(func(r exchange.Request) exchange.Request {
			return r.Set("username", "grantcheck-"+c.Nonce()).Set("password", c.Nonce())
		})
	case "wrong_password":
		user(func(r exchange.Request) exchange.Request { return r.Set("password", c.Nonce()) })
	case "bad_code":
		ofGrant("authorization_code", exchange.Inputs{Code: c.Nonce(), CodeVerifier: c.Target().Random(43)})
	case "bad_refresh_token":
		ofGrant("refresh_token", exchange.Inputs{RefreshToken: c.Nonce()})
	case "bad_assertion":
		ofGrant("urn:ietf:params:oauth:grant-type:jwt-bearer", exchange.Inputs{Assertion: c.Nonce()})
	case "bad_scope":
		if !consumes(c.run.golden.grant) && len(c.Contract().Scopes.Request)+len(c.Contract().Scopes.Grantable) > 0 {
			ask(c.GoldenScoped("grantcheck_"+c.Nonce()), "an unknown scope")
		}
	case "unknown_grant":
		if req := c.Dummy(); req.Has("grant_type") {
			ask(req.Set("grant_type", "urn:example:grantcheck:"+c.Nonce()), "an unknown grant type")
		}
	case "unauthorized_client":
		if c.Target().ClientNamed("no_grant") != nil && !consumes(c.run.golden.grant) {
			ask(c.GoldenAs("no_grant", ""), "a client without the grant")
		}
	case "wrong_method":
		ask(c.Dummy().WithMethod("PUT"), "PUT")
	case "wrong_content_type":
		ask(c.Dummy().WithContentType("text/plain"), "text/plain")
	}
	return sent, effect
}

// rowNames reports that a row of the page speaks of invalid values of a parameter by name.
func (c *Case) rowNames(parameter string) bool {
	return slices.ContainsFunc(c.Contract().Errors, func(r contract.ErrorRow) bool {
		return slices.Contains(r.When, "invalid_parameter") && slices.Contains(r.Parameters, parameter)
	})
}

// ---- limits, objectives, lifetimes ----

// limitAnswers returns the statuses and codes that the page documents for its limits.
func (c *Case) limitAnswers() (statuses []string, codes []any) {
	for _, l := range c.Contract().RateLimits {
		if l.Status != 0 {
			statuses = append(statuses, strconv.Itoa(l.Status))
		}
		if l.Code != nil {
			codes = append(codes, l.Code)
		}
	}
	for _, row := range c.Contract().Errors {
		if slices.Contains(row.When, "rate_limited") {
			statuses, codes = append(statuses, row.Status...), append(codes, codesOf(row)...)
		}
	}
	slices.Sort(statuses)
	return slices.Compact(statuses), codes
}

// burstWithin reports that the whole burst of the run was sent within a window.
func (c *Case) burstWithin(window time.Duration) bool {
	burst := c.Answers(func(s *Sample) bool { return slices.Contains(s.Provoked, "rate_limited") })
	return len(burst) > 0 && burst[len(burst)-1].Sent.Sub(burst[0].Sent) < window
}

// needsObjective ends the check of an objective, which only load can judge.
func (c *Case) needsObjective(metric string) {
	if !slices.ContainsFunc(c.Contract().SLOs, func(o contract.SLO) bool { return o.Metric == metric }) {
		c.NotApplicable("the contract states no objective for %s", metric)
	}
	c.NeedsLoad()
}

// cachedToken reports that an earlier answer brought the same access token.
func (c *Case) cachedToken(s *Sample) bool {
	token := s.Answer.Text(exchange.AccessToken)
	return len(c.Answers(func(o *Sample) bool {
		return o.number < s.number && o.Answer.OK() && o.Answer.Text(exchange.AccessToken) == token
	})) > 0
}
