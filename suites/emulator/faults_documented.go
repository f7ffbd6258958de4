package emulator

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"grantcheck/suites/contract"
)

// documentedFaults break the rules of the group documented, doc.endpoint-path, doc.method and
// doc.request-content-type excepted: those stand with the requests.
var documentedFaults = []Fault{
	{
		Name: "doc.required-parameter", Rule: "doc.required-parameter",
		Text:  "client_secret is optional in practice.",
		Setup: Setup{Contract: "appsecplus"},
		Apply: func(b *behaviour) { b.skip(atDocumentedParam, atCredential) },
	},
	{
		Name: "doc.required-parameter/vendor", Rule: "doc.required-parameter",
		Text:  "A required parameter of the vendor's is not asked for.",
		Setup: Setup{Contract: "appsecplus", Prepare: lists(contract.Field{Name: "tenant", Required: always, Value: "example"})},
		Apply: func(b *behaviour) { b.skipIf(atDocumentedParam, func(f *flow) bool { return f.parameter == "tenant" }) },
	},
	{
		Name: "doc.parameter-const", Rule: "doc.parameter-const",
		Text:  "The constant is not checked.",
		Setup: Setup{Contract: "appsecplus", Prepare: lists(contract.Field{Name: "version", Required: always, Const: "2"})},
		Apply: func(b *behaviour) { b.skip(atConstant) },
	},
	{
		Name: "doc.optional-parameter", Rule: "doc.optional-parameter",
		Text: "A request without scope fails, where the page calls it optional.",
		Setup: Setup{Contract: "appsecplus", Prepare: func(c *contract.Contract) {
			c.Scopes.Request, c.Scopes.Grantable = []string{"read"}, []string{"read", "write"}
			lists(contract.Field{Name: "scope", Required: contract.Required{Mode: "false"}, Value: "scopes.request"})(c)
		}},
		Apply: func(b *behaviour) {
			b.before(stageGrant, func(f *flow) *refusal {
				if !f.sent("scope") {
					return refuse(missingParameter, "scope")
				}
				return nil
			})
		},
	},
	{
		Name: "doc.auth-method-works", Rule: "doc.auth-method-works",
		Text:  "Documented Basic is refused.",
		Apply: func(b *behaviour) { withoutMethod(b, "basic") },
	},
	{
		Name: "doc.response-field-present", Rule: "doc.response-field-present",
		Text:  "expires_in is missing.",
		Setup: Setup{Contract: "appsecplus"},
		Apply: func(b *behaviour) { b.onToken(func(f *flow, a *answer) { a.Body.drop("expires_in") }) },
	},
	{
		Name: "doc.response-field-present/null", Rule: "doc.response-field-present",
		Text:  "scope is null.",
		Setup: Setup{Contract: "semansys"},
		Apply: func(b *behaviour) { tokenMember(b, "scope", nil) },
	},
	{
		Name: "doc.response-field-type", Rule: "doc.response-field-type",
		Text:  "expires_in is a string.",
		Setup: Setup{Contract: "appsecplus"},
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) { a.Body.set("expires_in", fmt.Sprint(f.issue.ExpiresIn)) })
		},
	},
	{
		Name: "doc.response-field-type/vendor", Rule: "doc.response-field-type",
		Text:  "sid is a number.",
		Setup: Setup{Contract: "talkdesk"},
		Apply: func(b *behaviour) { tokenMember(b, "sid", 4711) },
	},
	{
		Name: "doc.response-field-const", Rule: "doc.response-field-const",
		Text:  "token_type is MAC.",
		Setup: Setup{Contract: "appsecplus"},
		Apply: func(b *behaviour) { tokenMember(b, "token_type", "MAC") },
	},
	{
		Name: "doc.response-field-conditional", Rule: "doc.response-field-conditional",
		Text:  "sid is missing after a code exchange.",
		Setup: Setup{Contract: "talkdesk"},
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) {
				if f.grantIs(authorizationCode) {
					a.Body.drop("sid")
				}
			})
		},
	},
	{
		Name: "doc.response-field-undocumented", Rule: "doc.response-field-undocumented",
		Text:  "Adds an undocumented user_id.",
		Setup: Setup{Contract: "appsecplus"},
		Apply: func(b *behaviour) { tokenMember(b, "user_id", "u-17") },
	},
	{
		Name: "doc.error-row-status", Rule: "doc.error-row-status",
		Text:  "A bad client secret yields 400 where 401 is documented.",
		Setup: Setup{Contract: "appsecplus"},
		Apply: func(b *behaviour) { b.recode(wrongSecret, 400, "") },
	},
	{
		Name: "doc.error-row-status/parameter", Rule: "doc.error-row-status",
		Text:  "A missing parameter yields 401 where 400 is documented.",
		Setup: Setup{Contract: "semansys"},
		Apply: func(b *behaviour) { b.recode(missingParameter, 401, "") },
	},
	{
		Name: "doc.error-row-code", Rule: "doc.error-row-code",
		Text:  "A missing parameter yields invalid_grant where invalid_request is documented.",
		Setup: Setup{Contract: "appsecplus"},
		Apply: func(b *behaviour) {
			b.recode(missingParameter, 0, "invalid_grant")
			b.recode(missingGrantType, 0, "invalid_grant")
		},
	},
	{
		Name: "doc.error-fields", Rule: "doc.error-fields",
		Text:  "error_description is missing.",
		Setup: Setup{Contract: "talkdesk"},
		Apply: func(b *behaviour) { b.onError(func(f *flow, a *answer) { a.Body.drop("error_description") }) },
	},
	{
		Name: "doc.error-fields/row", Rule: "doc.error-fields",
		Text: "The sub-code that a row of the page names is another one.",
		Setup: Setup{Contract: "appsecplus", Prepare: func(c *contract.Contract) {
			c.Errors = append(slices.Clone(c.Errors), contract.ErrorRow{
				When: []string{"unknown_grant"}, Status: []string{"400"}, Code: []any{"unsupported_grant_type"},
				Fields: []contract.Field{{Name: "reason", Path: []string{"reason"}, Const: "G-7"}},
			})
		}},
		Apply: func(b *behaviour) {
			b.onError(func(f *flow, a *answer) {
				if a.Body.find("reason") != nil {
					a.Body.set("reason", "G-8")
				}
			})
		},
	},
	{
		Name: "doc.error-undocumented", Rule: "doc.error-undocumented",
		Text:  "Returns 422 for a missing parameter.",
		Setup: Setup{Contract: "appsecplus"},
		Apply: func(b *behaviour) {
			b.recode(missingParameter, 422, "")
			b.recode(missingGrantType, 422, "")
		},
	},
	{
		Name: "doc.error-undocumented/code", Rule: "doc.error-undocumented",
		Text:  "Wrong credentials yield a code that the page does not know.",
		Setup: Setup{Contract: "appsecplus"},
		Apply: func(b *behaviour) { b.recode(unknownClient, 0, "no_such_client") },
	},
	{
		Name: "doc.token-lifetime", Rule: "doc.token-lifetime",
		Text: "expires_in is 300 where 3600 is documented.",
		Setup: Setup{Contract: "appsecplus", Judge: func(c *contract.Contract) {
			c.Token.Lifetime = &contract.Field{Name: "lifetime", Const: 3600.0}
		}},
		Apply: func(b *behaviour) { lifetime(b, 300*time.Second, 300*time.Second) },
	},
	{
		Name: "doc.token-lifetime/typical", Rule: "doc.token-lifetime",
		Text:  "expires_in is 300 where 3600 is documented as typical.",
		Setup: Setup{Contract: "devensoft"},
		Apply: func(b *behaviour) { lifetime(b, 300*time.Second, 300*time.Second) },
	},
	{
		Name: "doc.token-usable-until-expiry", Rule: "doc.token-usable-until-expiry",
		Text: "Tokens die at half their lifetime.",
		Apply: func(b *behaviour) {
			std := b.lifetime
			b.lifetime = func(f *flow) (said, real time.Duration) { said, real = std(f); return said, real / 2 }
		},
	},
	{
		Name: "doc.token-format", Rule: "doc.token-format",
		Text:  "Opaque token where a JWT is documented.",
		Setup: Setup{Contract: "appsecplus"},
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) { a.Body.set("access_token", f.b.newToken(f, "access")) })
		},
	},
	{
		Name: "doc.rate-limit-response", Rule: "doc.rate-limit-response",
		Text:  "The over-limit answer is 403.",
		Apply: func(b *behaviour) { b.recode(rateLimited, 403, "access_denied") },
	},
	{
		Name: "doc.rate-limit-response/none", Rule: "doc.rate-limit-response",
		Text:  "The documented limit is not enforced.",
		Apply: func(b *behaviour) { b.skip(atLimit) },
	},
	{
		Name: "doc.rate-limit-not-early", Rule: "doc.rate-limit-not-early",
		Text:  "Throttles at half the documented rate.",
		Apply: func(b *behaviour) { b.limitFactor = 0.5 },
	},
	{
		Name: "doc.rate-limit-retry-hint", Rule: "doc.rate-limit-retry-hint",
		Text:  "The documented Retry-After is missing.",
		Apply: func(b *behaviour) { retryAfter(b) },
	},
	{
		Name: "doc.slo-latency", Rule: "doc.slo-latency",
		Text: "Every twentieth response is delayed by two seconds.",
		Setup: Setup{Judge: func(c *contract.Contract) {
			c.SLOs = []contract.SLO{{Metric: "latency", Percentile: 99, Max: 500 * time.Millisecond, Rate: 20, For: 10 * time.Second}}
		}},
		Apply: func(b *behaviour) { delayEvery(b, 20, 2*time.Second) },
	},
	{
		Name: "doc.slo-availability", Rule: "doc.slo-availability",
		Text: "One percent of valid requests fail with 500.",
		Setup: Setup{Judge: func(c *contract.Contract) {
			c.SLOs = []contract.SLO{{Metric: "success", Min: 0.999, Rate: 20, For: 10 * time.Second}}
		}},
		Apply: func(b *behaviour) { failEvery(b, 100) },
	},
	{
		Name: "doc.scope-default", Rule: "doc.scope-default",
		Text: "scope is missing from the answer to a request without it.",
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) {
				if !f.asked.Present {
					a.Body.drop("scope")
				}
			})
		},
	},
	{
		Name: "doc.scope-default/other", Rule: "doc.scope-default",
		Text: "A request without scope is granted more than the documented default.",
		Apply: func(b *behaviour) {
			std := b.grantScope
			b.grantScope = func(f *flow, ask scopeAsk) ([]string, *refusal) {
				if !ask.Present && f.grantIs(clientCredentials) {
					return []string{"read", "write"}, nil
				}
				return std(f, ask)
			}
		},
	},
	{
		Name: "doc.deviation-still-true", Rule: "doc.deviation-still-true",
		Text:  "Answers 400 invalid_grant although 403 is documented.",
		Setup: Setup{Contract: "semansys"},
		Apply: func(b *behaviour) {
			b.recode(wrongPassword, 400, "invalid_grant")
			b.recode(unknownUser, 400, "invalid_grant")
		},
	},
	{
		Name: "doc.waiver-needed", Rule: "doc.waiver-needed",
		Text: "The waived rule passes: the waiver is idle.",
		Setup: Setup{Judge: func(c *contract.Contract) {
			c.Waivers = []contract.Waiver{{Rule: "headers.pragma-no-cache", Reason: "the gateway strips the field", Expires: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}}
		}},
		Apply: func(*behaviour) {},
	},
	{
		Name: "doc.waiver-needed/expired", Rule: "doc.waiver-needed",
		Text: "The waiver of a rule that fails has expired.",
		Setup: Setup{Judge: func(c *contract.Contract) {
			c.Waivers = []contract.Waiver{{Rule: "headers.pragma-no-cache", Reason: "the gateway strips the field", Expires: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}}
		}},
		Apply: func(b *behaviour) { tokenField(b, "Pragma", "") },
	},
}

var always = contract.Required{Mode: "true"}

// lists adds parameters to the first grant of a page.
func lists(parameters ...contract.Field) func(*contract.Contract) {
	return func(c *contract.Contract) {
		for _, p := range parameters {
			p.Path = strings.Split(p.Name, ".")
			c.Grants[0].Parameters = append(slices.Clone(c.Grants[0].Parameters), p)
		}
	}
}
