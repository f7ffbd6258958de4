package suites_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"grantcheck/report"
)

var requestGroups = []string{"transport", "request", "client-auth", "client-credentials", "password", "robustness"}

// jsonForm reads a JSON request.
func jsonForm(r *http.Request) (url.Values, error) {
	if r.Method != http.MethodPost {
		return nil, fmt.Errorf("method %s", r.Method)
	}
	if media, _, _ := strings.Cut(strings.ToLower(r.Header.Get("Content-Type")), ";"); media != "application/json" {
		return nil, fmt.Errorf("media type %s", media)
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if err != nil {
		return nil, err
	}
	var members map[string]any
	if err := json.Unmarshal(data, &members); err != nil {
		return nil, err
	}
	form := url.Values{}
	for name, v := range members {
		if s, ok := v.(string); ok && s != "" {
			form.Set(name, s)
		}
	}
	return form, nil
}

// joined reads a form whose repeated parameters are joined by commas, as some frameworks do.
func joined(r *http.Request) (url.Values, error) {
	if r.Method != http.MethodPost {
		return nil, fmt.Errorf("method %s", r.Method)
	}
	form, err := readForm(r)
	for name, values := range form {
		form[name] = []string{strings.Join(values, ",")}
	}
	return form, err
}

const userContract = `
contract: 1
name: odd
extends: base
endpoint: {base_url: "http://127.0.0.1:1", path: /token}
client: {id: the-client, secret: "${SECRET}", auth: [post]}
user: {name: alice@example.com, password: "${PASSWORD}"}
grants:
  password: {}
`

var oddUsers = map[string]string{"alice@example.com": "right horse battery"}

// TestLegitimateServersPass runs the rules about requests against servers that are right in ways of
// their own: none of them may be found fault with.
func TestLegitimateServersPass(t *testing.T) {
	scoped := plainContract + "scopes: {request: [read], grantable: [read, write]}\n"
	for name, c := range map[string]struct {
		server http.Handler
		yaml   string
		warns  []string // what the standard rightly holds against it
	}{
		"plain":                                {&odd{}, plainContract, nil},
		"scopes, told":                         {&odd{scopes: []string{"read", "write"}, told: true}, scoped, nil},
		"scopes, told when other":              {&odd{scopes: []string{"read", "write"}}, scoped, nil},
		"password":                             {&odd{users: oddUsers}, userContract, nil},
		"repeated parameters joined by commas": {&odd{read: joined}, plainContract, nil},
		"dispatches on grant_type first": {&odd{refuse: func(w http.ResponseWriter, r *http.Request, form url.Values, status int, code string) {
			if form.Get("grant_type") == "" && status == 400 {
				code = "unsupported_grant_type"
			}
			refuseJSON(w, r, status, code)
		}}, plainContract, nil},
		"one code for every mistake in a request": {&odd{refuse: func(w http.ResponseWriter, r *http.Request, form url.Values, status int, code string) {
			if code == "unsupported_grant_type" || code == "invalid_scope" {
				code = "invalid_request"
			}
			refuseJSON(w, r, status, code)
		}, scopes: []string{"read", "write"}}, scoped, nil},
		"400 for every refusal": {&odd{refuse: func(w http.ResponseWriter, r *http.Request, form url.Values, status int, code string) {
			if r.Header.Get("Authorization") == "" {
				status = 400
			}
			refuseJSON(w, r, status, code)
		}}, plainContract, nil},
		"login failures as invalid_grant, parameters or not": {&odd{users: oddUsers, refuse: func(w http.ResponseWriter, r *http.Request, form url.Values, status int, code string) {
			if form.Get("grant_type") == "password" && (form.Get("username") == "" || form.Get("password") == "") {
				code = "invalid_grant"
			}
			refuseJSON(w, r, status, code)
		}}, userContract, nil},
		"errors in plain text": {&odd{refuse: func(w http.ResponseWriter, r *http.Request, form url.Values, status int, code string) {
			http.Error(w, "that did not work", status)
		}}, plainContract, nil},
		"404 and 501 for other methods": {&odd{before: func(w http.ResponseWriter, r *http.Request) bool {
			switch r.Method {
			case http.MethodGet:
				http.NotFound(w, r)
			case http.MethodPut, http.MethodPatch, http.MethodDelete:
				w.WriteHeader(http.StatusNotImplemented)
			}
			return r.Method != http.MethodPost
		}}, plainContract, nil},
		"411 for a chunked body": {&odd{before: func(w http.ResponseWriter, r *http.Request) bool {
			if r.ContentLength < 0 {
				w.WriteHeader(http.StatusLengthRequired)
			}
			return r.ContentLength < 0
		}}, plainContract, nil},
		"bounds on size, closing": {&odd{before: func(w http.ResponseWriter, r *http.Request) bool {
			switch {
			case r.ContentLength > 8<<10:
				w.Header().Set("Connection", "close")
				w.WriteHeader(http.StatusRequestEntityTooLarge)
			case len(r.Header.Get("Authorization")) > 8<<10:
				w.Header().Set("Connection", "close")
				w.WriteHeader(http.StatusRequestHeaderFieldsTooLarge)
			default:
				return false
			}
			return true
		}}, plainContract, nil},
		"closes after each error": {&odd{refuse: func(w http.ResponseWriter, r *http.Request, form url.Values, status int, code string) {
			w.Header().Set("Connection", "close")
			refuseJSON(w, r, status, code)
		}}, plainContract, nil},
		"JSON taken as well": {&odd{read: func(r *http.Request) (url.Values, error) {
			if form, err := jsonForm(r); err == nil {
				return form, nil
			}
			if r.Method != http.MethodPost {
				return nil, io.EOF
			}
			return readForm(r)
		}}, plainContract, nil},
		"registered for the body alone": {&odd{before: func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Authorization") != "" {
				refuseJSON(w, r, 401, "invalid_client")
				return true
			}
			return false
		}}, strings.Replace(plainContract, "[basic, post]", "[post]", 1), nil},
		"a filter before it": {&odd{before: func(w http.ResponseWriter, r *http.Request) bool {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			if strings.Contains(string(body), "%3Cscript") || strings.Contains(string(body), "%0D%0A") {
				w.Header().Set("Content-Type", "text/html")
				w.WriteHeader(http.StatusForbidden)
				fmt.Fprint(w, "<h1>Request blocked</h1>")
				return true
			}
			return false
		}}, plainContract, nil},
		"200 with an error, as documented": {&odd{refuse: func(w http.ResponseWriter, r *http.Request, form url.Values, status int, code string) {
			sendJSON(w, 200, map[string]any{"code": 40000 + len(code), "message": "no"})
		}}, plainContract + `
errors:
  - {when: [missing_parameter, invalid_parameter, unknown_client, wrong_secret, missing_client_auth, two_auth_methods, unknown_grant, bad_scope, wrong_content_type, wrong_method], status: 200, code: [40015, 40014, 40022, 40013]}
error_fields:
  code: {type: integer, as: error}
`, []string{"request.missing-grant-type", "request.unknown-grant-type", "client-auth.two-methods", "request.duplicate-identical", "request.scope-malformed", "request.scope-unknown"}},
		"JSON requests, nested answers": {&odd{read: jsonForm, grant: func(w http.ResponseWriter, form url.Values, scope string) {
			sendJSON(w, 200, map[string]any{"code": 0, "data": map[string]any{"accessToken": "a-token-of-a-dialect", "expireIn": 7200}})
		}}, `
contract: 1
name: odd
extends: base
endpoint: {base_url: "http://127.0.0.1:1", path: /token, content_type: application/json}
client: {id: the-client, secret: "${SECRET}", auth: [post]}
grants:
  client_credentials:
    response:
      fields:
        data.accessToken: {type: string, required: true, as: access_token}
        data.expireIn: {type: integer, required: true, as: expires_in}
`, []string{"request.form-accepted"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := judgeOdd(t, serveOdd(t, c.server), c.yaml, nil, requestGroups...)
			for _, p := range run.Preflight {
				t.Fatalf("preflight: %s", p.Message)
			}
			for _, check := range run.Checks {
				if !contains(requestGroups, check.Group) {
					continue // a failure that the rules of these groups rest on
				}
				switch check.Verdict {
				case report.Fail, report.Error:
					t.Errorf("%s: %s: expected %s, came %s %s", check.Rule, check.Verdict, check.Expected, check.Actual, check.Reason)
				case report.Warn:
					if !contains(c.warns, check.Rule) {
						t.Errorf("%s: %s: expected %s, came %s (%s)", check.Rule, check.Verdict, check.Expected, check.Actual, check.Reason)
					}
				case report.Inconclusive, report.Blocked:
					t.Logf("%s: %s: %s", check.Rule, check.Verdict, check.Reason)
				}
			}
		})
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
