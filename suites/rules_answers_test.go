package suites_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"grantcheck/report"
	"grantcheck/suites"
)

var answerGroups = []string{"response", "error", "headers", "hygiene", "documented", "throttling"}

const forbiddenPage = `
contract: 1
name: odd
extends: base
endpoint: {base_url: "http://127.0.0.1:1", path: /token}
client: {id: the-client, secret: "${SECRET}", auth: [post]}
user: {name: alice@example.com, password: "${PASSWORD}"}
grants:
  password: {}
errors:
  - {when: [unknown_user, wrong_password], status: 403}
deviations:
  - rules: [password.invalid-grant-code, error.status-400]
    documented: {status: 403}
    standard: {status: 400, code: invalid_grant}
    mode: required
    reason: the page lists 403 for failed user authentication
`

// TestOneAnswerTwoVerdicts holds a bad password's answer against a page that documents 403, and
// against the standard, which has 400 invalid_grant.
func TestOneAnswerTwoVerdicts(t *testing.T) {
	allowed := strings.Replace(strings.Replace(forbiddenPage, "mode: required", "mode: allowed", 1), "errors:\n  - {when: [unknown_user, wrong_password], status: 403}\n", "", 1)
	for name, c := range map[string]struct {
		page                 string
		status               int
		code                 string
		documented, standard report.Side
		verdict              report.Verdict
	}{
		"as documented":                   {forbiddenPage, 403, "access_denied", report.SidePass, report.SideDeviation, report.Warn},
		"as documented, with the code":    {forbiddenPage, 403, "invalid_grant", report.SidePass, report.SideDeviation, report.Warn},
		"as the standard has it":          {forbiddenPage, 400, "invalid_grant", report.SideFail, report.SidePass, report.Fail},
		"as neither has it":               {forbiddenPage, 401, "invalid_client", report.SideFail, report.SideFail, report.Fail},
		"allowed, as documented":          {allowed, 403, "access_denied", report.SidePass, report.SideDeviation, report.Warn},
		"allowed, as the standard has it": {allowed, 400, "invalid_grant", report.SidePass, report.SidePass, report.Pass},
		"allowed, as neither has it":      {allowed, 401, "invalid_client", report.SideFail, report.SideFail, report.Fail},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := &odd{users: oddUsers, refuse: func(w http.ResponseWriter, r *http.Request, _ url.Values, status int, code string) {
				if code == "invalid_grant" {
					status, code = c.status, c.code
				}
				refuseJSON(w, r, status, code)
			}}
			run := judgeOdd(t, serveOdd(t, server), c.page, nil, "password", "error", "documented")
			got := verdictOf(run, "password.invalid-grant-code")
			if got.Documented != c.documented || got.Standard != c.standard || got.Verdict != c.verdict {
				t.Errorf("documented %s, standard %s, verdict %s; want %s, %s, %s (%s %s)", got.Documented, got.Standard, got.Verdict, c.documented, c.standard, c.verdict, got.Message, got.Reason)
			}
			still := verdictOf(run, "doc.deviation-still-true")
			if want := c.documented == report.SideFail; (still.Verdict == report.Fail) != want {
				t.Errorf("doc.deviation-still-true: %s: %s%s", still.Verdict, still.Message, still.Reason)
			}
			row := verdictOf(run, "doc.error-row-status")
			if want := c.page == forbiddenPage && c.status != 403; (row.Verdict == report.Fail) != want {
				t.Errorf("doc.error-row-status: %s: %s%s", row.Verdict, row.Message, row.Reason)
			}
			status := verdictOf(run, "error.status-400")
			if want := c.status == 403 && c.code == "invalid_grant"; (status.Standard == report.SideDeviation) != want {
				t.Errorf("error.status-400: %s %s", status.Standard, status.Message)
			}
		})
	}
}

// limit answers with refuse from the nth POST on.
func limit(n int64, refuse http.HandlerFunc) func(w http.ResponseWriter, r *http.Request) bool {
	var seen atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || seen.Add(1) < n {
			return false
		}
		refuse(w, r)
		return true
	}
}

// hard grants tokens that cannot be guessed, as far as twenty of them tell.
func hard(wrap func(token string) map[string]any) func(w http.ResponseWriter, form url.Values, scope string) {
	var n atomic.Uint64
	return func(w http.ResponseWriter, form url.Values, scope string) {
		token := ""
		for x := n.Add(1) * 0x9e3779b97f4a7c15; len(token) < 48; x = x*6364136223846793005 + 1442695040888963407 {
			token += fmt.Sprintf("%08x", x>>32)
		}
		sendJSON(w, 200, wrap(token))
	}
}

func usual(token string) map[string]any {
	return map[string]any{"access_token": token, "token_type": "bearer", "expires_in": 3600}
}

// TestAnswersOfLegitimateServers runs the rules about answers against servers that are right, or
// do what their page documents, in ways of their own.
func TestAnswersOfLegitimateServers(t *testing.T) {
	for name, c := range map[string]struct {
		server http.Handler
		yaml   string
		want   []string // findings that are right
	}{
		"plain":             {&odd{grant: hard(usual)}, plainContract, nil},
		"tokens that count": {&odd{}, plainContract, []string{"response.token-strength"}},
		"numbers of its own in place of error": {&odd{grant: hard(usual), refuse: func(w http.ResponseWriter, r *http.Request, _ url.Values, status int, code string) {
			sendJSON(w, 200, map[string]any{"code": 40000 + len(code), "message": "no"})
		}}, plainContract + `
errors:
  - {when: [missing_parameter, missing_client_auth, unknown_client, wrong_secret, two_auth_methods, unknown_grant, bad_scope, wrong_content_type], status: 200, code: [40015, 40014, 40022, 40013]}
error_fields:
  code: {type: integer, required: true, as: error}
  message: {type: string, required: true, as: error_description}
`, []string{"error.not-success-status", "error.invalid-client-code", "error.basic-401"}},
		"a body of its own for tokens": {&odd{grant: hard(func(token string) map[string]any {
			return map[string]any{"code": 0, "data": map[string]any{"token": token, "token_type": "Bearer", "expires_in": "3600"}}
		})}, plainContract[:strings.Index(plainContract, "  client_credentials")] + `
  client_credentials:
    response:
      fields:
        code: {type: integer, required: true, const: 0}
        data: {type: object, required: true}
        data.token: {type: string, required: true, as: access_token}
        data.token_type: {type: string, required: true, const: Bearer}
        data.expires_in: {type: string, required: true, typical: 3600}
`, []string{"response.flat", "response.expires-in-number"}},
		"problem details, as documented": {&odd{grant: hard(usual), refuse: func(w http.ResponseWriter, r *http.Request, _ url.Values, status int, code string) {
			if status == 401 {
				w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			}
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"type":"about:blank","title":"refused","status":%d,"error":%q}`, status, code)
		}}, plainContract + `
errors:
  - {when: [missing_parameter, two_auth_methods, wrong_content_type, bad_scope], status: 400, code: invalid_request, content_type: application/problem+json}
  - {when: [unknown_grant], status: 400, code: unsupported_grant_type, content_type: application/problem+json}
  - {when: [missing_client_auth, unknown_client, wrong_secret], status: 401, code: invalid_client, content_type: application/problem+json}
`, []string{"error.content-type"}},
		"a limit that nobody documents, in HTML": {&odd{grant: hard(usual), before: limit(90, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusTooManyRequests)
			fmt.Fprint(w, "<h1>Slow down</h1>")
		})}, plainContract, nil},
		"no CORS, no OPTIONS": {&odd{grant: hard(usual), before: func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodOptions {
				w.WriteHeader(http.StatusNotFound)
			}
			return r.Method == http.MethodOptions
		}}, plainContract, nil},
		"words for people in errors": {&odd{grant: hard(usual), refuse: func(w http.ResponseWriter, r *http.Request, _ url.Values, status int, code string) {
			if status == 401 {
				w.Header().Set("WWW-Authenticate", `Basic realm="Log in at /home, or realm=none, where you work"`)
			}
			sendJSON(w, status, map[string]any{"error": code, "error_description": "Please select a client from the list where it stands, at Example Inc. (see section 4.2:17) in /docs/errors"})
		}}, plainContract, nil},
		"the page says how long a token lives": {&odd{grant: hard(func(token string) map[string]any {
			return map[string]any{"access_token": token, "token_type": "bearer"}
		})}, plainContract + "token: {use: bearer_header, lifetime: 8h}\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := judgeOdd(t, serveOdd(t, c.server), c.yaml, nil, answerGroups...)
			expectFindings(t, run, c.want...)
			for _, check := range run.Checks {
				if check.Standard == report.SideDeviation && check.Documented != report.SidePass {
					t.Errorf("%s: a deviation, and the page says %s", check.Rule, check.Documented)
				}
			}
		})
	}
}

// TestRowsNeedNoMoreConsentThanTheirProbes holds that the rows of a page are judged without consent
// to wrong passwords, and that the finding says which were not.
func TestRowsNeedNoMoreConsentThanTheirProbes(t *testing.T) {
	alone := forbiddenPage[:strings.Index(forbiddenPage, "deviations:")]
	address := serveOdd(t, &odd{users: oddUsers})
	modest := func(cfg *suites.Config) { cfg.Allow = nil }
	row := verdictOf(judgeOdd(t, address, alone+"  - {when: [unknown_client, wrong_secret], status: 401}\n", modest, "documented"), "doc.error-row-status")
	if row.Verdict != report.Note || !strings.Contains(row.Message, "unknown_user") {
		t.Errorf("with another row: %s %s%s, want a note that names unknown_user", row.Verdict, row.Message, row.Reason)
	}
	row = verdictOf(judgeOdd(t, address, alone, modest, "documented"), "doc.error-row-status")
	if row.Verdict != report.Skip || row.ReasonKind != report.NeedsConsent || row.Needs != string(suites.BadUserCredentials) {
		t.Errorf("alone: %s %s %s, want a skip for want of consent", row.Verdict, row.ReasonKind, row.Needs)
	}
	row = verdictOf(judgeOdd(t, address, alone, nil, "documented"), "doc.error-row-status")
	if row.Verdict != report.Fail || row.Actual != "400 invalid_grant" {
		t.Errorf("with consent: %s %s %s", row.Verdict, row.Expected, row.Actual)
	}
}

// TestWaivers holds what a waiver comes to: needed, idle, expired.
func TestWaivers(t *testing.T) {
	bare := &odd{grant: func(w http.ResponseWriter, form url.Values, scope string) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"a-token-of-a-test-server","token_type":"Bearer","expires_in":60}`)
	}}
	for name, c := range map[string]struct {
		server  *odd
		expires string
		want    report.Verdict
	}{
		"needed":  {bare, "2999-01-01", report.Pass},
		"idle":    {&odd{}, "2999-01-01", report.Warn},
		"expired": {bare, "2001-01-01", report.Warn},
	} {
		page := plainContract + "waivers:\n  - {rule: headers.pragma-no-cache, reason: the gateway strips it, expires: " + c.expires + "}\n"
		run := judgeOdd(t, serveOdd(t, c.server), page, nil, "documented")
		if got := verdictOf(run, "doc.waiver-needed"); got.Verdict != c.want {
			t.Errorf("%s: %s %s%s, want %s", name, got.Verdict, got.Message, got.Reason, c.want)
		}
	}
}
