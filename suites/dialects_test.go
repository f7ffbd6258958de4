package suites_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"grantcheck/report"
	"grantcheck/suites"
	"grantcheck/suites/contract"
	"grantcheck/suites/exchange"
)

// A vendor is a token endpoint that does what one page of the gallery documents, written from the page
// and from how such servers are known to answer where it is silent.
type vendor struct {
	path   string
	query  bool              // the page has parameters in the query
	basic  bool              // and HTTP Basic
	values map[string]string // beyond the client's, the hook and the redirect URI
	answer func(v *vendor, w http.ResponseWriter, r *http.Request)
	// allowed are the rules that the standard rightly holds against it, beyond what its page says.
	allowed []string
	edit    func(c *contract.Contract)

	clock   *suites.SkippingClock
	mu      sync.Mutex
	codes   map[string]*vendorCode
	refresh map[string]bool
	tokens  map[string]time.Time
}

type vendorCode struct {
	redirect, challenge string
	used                bool
	made                time.Time
}

const vendorSecret = "Hk7-pLs.Wd2~Xc9_rTf4Bn"

// asked reads a request as a form, or as JSON where its media type says so. One that is ambiguous, by
// a parameter sent twice or by two clients, comes from nobody.
func (v *vendor) asked(r *http.Request) map[string]string {
	m := map[string]string{}
	form := url.Values{}
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if strings.HasPrefix(strings.ToLower(r.Header.Get("Content-Type")), "application/json") {
		var members map[string]any
		_ = json.Unmarshal(body, &members)
		for k, x := range members {
			form.Set(k, fmt.Sprint(x))
		}
	} else {
		form, _ = url.ParseQuery(string(body))
	}
	if v.query {
		for k, x := range r.URL.Query() {
			form[k] = append(form[k], x...)
		}
	}
	id, _, basic := r.BasicAuth()
	ambiguous := basic && (form.Has("client_secret") || form.Has("client_id") && form.Get("client_id") != id)
	for k, x := range form {
		m[k] = x[0]
		ambiguous = ambiguous || len(x) > 1
	}
	if ambiguous {
		if basic {
			r.SetBasicAuth("?", "?")
		}
		delete(m, "client_secret")
		delete(m, "grant_type")
	}
	return m
}

// client tells what is wrong with the credentials of a request: "", "client" or "secret".
func (v *vendor) client(r *http.Request, f map[string]string, idName string) string {
	id, secret := f[idName], f["client_secret"]
	if u, p, ok := r.BasicAuth(); ok && v.basic {
		id, _ = url.QueryUnescape(u)
		secret, _ = url.QueryUnescape(p)
	}
	switch {
	case id != "4815162342":
		return "client"
	case secret != vendorSecret:
		return "secret"
	}
	return ""
}

// code tells what is wrong with a code: "", "unknown", "used", "redirect" or "verifier".
func (v *vendor) code(f map[string]string, pkce bool) string {
	c := v.codes[f["code"]]
	switch {
	case c == nil, v.clock.Now().Sub(c.made) > 10*time.Minute:
		return "unknown"
	case c.redirect != "" && f["redirect_uri"] != "" && f["redirect_uri"] != c.redirect:
		return "redirect"
	case pkce && c.challenge != "" && (len(f["code_verifier"]) < 43 || len(f["code_verifier"]) > 128 || exchange.S256(f["code_verifier"]) != c.challenge):
		return "verifier"
	case c.used:
		return "used"
	}
	c.used = true
	return ""
}

func (v *vendor) token(prefix string) string {
	t := prefix + word()
	v.tokens[t] = v.clock.Now()
	return t
}

func (v *vendor) refreshToken(prefix string) string {
	t := prefix + word()
	v.refresh[t] = true
	return t
}

func reply(w http.ResponseWriter, status int, m map[string]any) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(m)
}

func onlyPost(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodPost {
		return false
	}
	w.Header().Set("Allow", "POST")
	w.WriteHeader(http.StatusMethodNotAllowed)
	return true
}

var vendors = map[string]*vendor{
	"slack": {path: "/api/oauth.v2.access", answer: func(v *vendor, w http.ResponseWriter, r *http.Request) {
		f := v.asked(r)
		no := func(code string) { reply(w, 200, map[string]any{"ok": false, "error": code}) }
		if r.Method != http.MethodPost {
			no("invalid_request")
			return
		}
		if f["grant_type"] != "" && f["grant_type"] != "authorization_code" && f["grant_type"] != "refresh_token" {
			no("invalid_grant_type")
			return
		}
		switch v.client(r, f, "client_id") {
		case "client":
			no("invalid_client_id")
			return
		case "secret":
			no("bad_client_secret")
			return
		}
		if f["grant_type"] == "refresh_token" {
			if !v.refresh[f["refresh_token"]] {
				no("invalid_refresh_token")
				return
			}
			delete(v.refresh, f["refresh_token"])
		} else if why := v.code(f, true); why == "redirect" {
			no("bad_redirect_uri")
			return
		} else if why != "" {
			no("invalid_code")
			return
		}
		reply(w, 200, map[string]any{
			"ok": true, "access_token": v.token("xoxb-"), "token_type": "bot", "scope": "commands,incoming-webhook", "app_id": "A0KRD7HC3", "bot_user_id": "U0KRQLJ9H",
			"team": map[string]any{"id": "T9TK3CUKW", "name": "x"}, "enterprise": nil, "authed_user": map[string]any{"id": "U1234"}, "refresh_token": v.refreshToken("xoxe-"), "expires_in": 43200,
		})
	}},
	"github": {path: "/login/oauth/access_token", allowed: []string{"response.expires-in-present", "headers.pragma-no-cache"}, answer: func(v *vendor, w http.ResponseWriter, r *http.Request) {
		f := v.asked(r)
		send := func(m map[string]any) {
			if strings.Contains(r.Header.Get("Accept"), "json") && v.values["JSON"] != "" {
				reply(w, 200, m)
				return
			}
			form := url.Values{}
			for k, x := range m {
				form.Set(k, fmt.Sprint(x))
			}
			w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
			w.Header().Set("Cache-Control", "max-age=0, private, must-revalidate, no-store")
			fmt.Fprint(w, form.Encode())
		}
		no := func(code string) {
			send(map[string]any{"error": code, "error_description": "That did not work.", "error_uri": "https://docs.github.com/apps/" + code})
		}
		if r.Method != http.MethodPost {
			http.NotFound(w, r)
			return
		}
		if v.client(r, f, "client_id") != "" {
			no("incorrect_client_credentials")
			return
		}
		switch v.code(f, true) {
		case "":
			send(map[string]any{"access_token": v.token("gho_"), "scope": "repo,gist", "token_type": "bearer"})
		case "redirect":
			no("redirect_uri_mismatch")
		default:
			no("bad_verification_code")
		}
	}, edit: without("device_code")},
	"facebook": {path: "/v19.0/oauth/access_token", query: true, values: map[string]string{"FACEBOOK_API_VERSION": "v19.0"}, allowed: []string{"response.expires-in-present", "response.lifetime-short"}, answer: func(v *vendor, w http.ResponseWriter, r *http.Request) {
		f := v.asked(r)
		no := func(code, sub int, text string) {
			m := map[string]any{"message": text, "type": "OAuthException", "code": code, "fbtrace_id": "A" + word()[:8]}
			if sub != 0 {
				m["error_subcode"] = sub
			}
			w.Header().Set("WWW-Authenticate", `OAuth "Facebook Platform" "invalid_request" "x"`)
			reply(w, 400, map[string]any{"error": m})
		}
		if r.Method != http.MethodGet && r.Method != http.MethodPost {
			no(100, 0, "Unsupported method")
			return
		}
		switch v.client(r, f, "client_id") {
		case "client":
			no(101, 0, "Error validating application.")
			return
		case "secret":
			no(1, 0, "Error validating client secret.")
			return
		}
		m := map[string]any{"access_token": v.token("EAAB"), "token_type": "bearer", "expires_in": 5183944}
		switch f["grant_type"] {
		case "client_credentials":
			reply(w, 200, map[string]any{"access_token": "4815162342|" + v.token(""), "token_type": "bearer"})
		case "fb_exchange_token":
			if _, ok := v.tokens[f["fb_exchange_token"]]; !ok {
				no(190, 0, "Malformed access token")
				return
			}
			reply(w, 200, m)
		case "":
			if why := v.code(f, true); why == "used" {
				no(100, 36009, "This authorization code has been used.")
			} else if why != "" || f["redirect_uri"] == "" {
				no(100, 0, "Invalid verification code format.")
			} else {
				reply(w, 200, m)
			}
		default:
			no(100, 0, "Invalid grant_type")
		}
	}},
	"notion": {path: "/v1/oauth/token", allowed: []string{"response.expires-in-present"}, answer: func(v *vendor, w http.ResponseWriter, r *http.Request) {
		no := func(status int, code string) {
			reply(w, status, map[string]any{"error": code, "request_id": "2f3c9a52-79c7-4d0a-9c86-1f3d35ab8a11"})
		}
		if onlyPost(w, r) {
			return
		}
		if !strings.HasPrefix(strings.ToLower(r.Header.Get("Content-Type")), "application/json") {
			no(400, "invalid_request")
			return
		}
		f := v.asked(r)
		if v.client(r, map[string]string{}, "client_id") != "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="notion"`)
			no(401, "invalid_client")
			return
		}
		if r.Header.Get("Notion-Version") == "" {
			no(400, "invalid_request")
			return
		}
		switch f["grant_type"] {
		case "authorization_code":
			if f["code"] == "" {
				no(400, "invalid_request")
				return
			}
			if v.code(f, true) != "" {
				no(400, "invalid_grant")
				return
			}
		case "refresh_token":
			if f["refresh_token"] == "" {
				no(400, "invalid_request")
				return
			}
			if !v.refresh[f["refresh_token"]] {
				no(400, "invalid_grant")
				return
			}
			delete(v.refresh, f["refresh_token"])
		case "":
			no(400, "invalid_request")
			return
		default:
			no(400, "unsupported_grant_type")
			return
		}
		reply(w, 200, map[string]any{
			"access_token": v.token("ntn_"), "token_type": "bearer", "refresh_token": v.refreshToken("nrt_"), "bot_id": "b3414d65-8f5f-4a3e-9d41-5d6a3b1f8f5a", "workspace_icon": nil,
			"workspace_name": nil, "workspace_id": "0c6b1f0a-7b86-4b8e-a8d4-0a9c7f1d2e3b", "owner": map[string]any{"type": "workspace", "workspace": true}, "duplicated_template_id": nil,
			"request_id": "2f3c9a52-79c7-4d0a-9c86-1f3d35ab8a11",
		})
	}},
	"zoom": {path: "/oauth/token", query: true, values: map[string]string{"ZOOM_ACCOUNT_ID": "acct-1"}, answer: func(v *vendor, w http.ResponseWriter, r *http.Request) {
		no := func(status int, code, reason string) {
			if status == 401 {
				w.Header().Set("WWW-Authenticate", `Basic realm="zoom"`)
			}
			reply(w, status, map[string]any{"reason": reason, "error": code})
		}
		if onlyPost(w, r) {
			return
		}
		f := v.asked(r)
		_, _, basic := r.BasicAuth()
		switch {
		case f["grant_type"] == "":
			no(400, "invalid_request", "Missing grant_type")
		case !basic || v.client(r, f, "client_id") != "":
			no(401, "invalid_client", "Invalid client_id or client_secret")
		case f["grant_type"] != "account_credentials":
			no(400, "unsupported_grant_type", "unsupported grant type")
		case f["account_id"] != "acct-1":
			no(400, "invalid_request", "Invalid account_id")
		default:
			reply(w, 200, map[string]any{"access_token": v.token(""), "token_type": "bearer", "expires_in": 3600, "scope": "user:read:admin meeting:read", "api_url": "https://api.zoom.us"})
		}
	}},
	"tiktok": {path: "/v2/oauth/token/", allowed: []string{"error.401-has-challenge"}, answer: func(v *vendor, w http.ResponseWriter, r *http.Request) {
		no := func(status int, code, text string) {
			reply(w, status, map[string]any{"error": code, "error_description": text, "log_id": "20221114"})
		}
		if onlyPost(w, r) {
			return
		}
		f := v.asked(r)
		switch {
		case f["client_key"] == "" || f["client_secret"] == "" || f["grant_type"] == "":
			no(400, "invalid_request", "The request parameters are malformed.")
			return
		case v.client(r, f, "client_key") != "":
			no(401, "invalid_client", "Client key or secret is incorrect.")
			return
		}
		switch f["grant_type"] {
		case "authorization_code":
			if f["code"] == "" || f["redirect_uri"] == "" {
				no(400, "invalid_request", "The request parameters are malformed.")
				return
			}
			if v.code(f, true) != "" {
				no(400, "invalid_grant", "Authorization code is expired.")
				return
			}
		case "refresh_token":
			if f["refresh_token"] == "" {
				no(400, "invalid_request", "The request parameters are malformed.")
				return
			}
			if !v.refresh[f["refresh_token"]] {
				no(400, "invalid_grant", "Refresh token is invalid or expired.")
				return
			}
		default:
			no(400, "unsupported_grant_type", "no")
			return
		}
		next := f["refresh_token"]
		if next == "" {
			next = v.refreshToken("rft.")
		}
		reply(w, 200, map[string]any{
			"open_id": "afd97af1-b87b-48b9-ac98-410aghda5344", "scope": "user.info.basic,video.list", "access_token": v.token("act."), "expires_in": 86400,
			"refresh_token": next, "refresh_expires_in": 31536000, "token_type": "Bearer",
		})
	}},
	"strava": {path: "/oauth/token", allowed: []string{"error.401-has-challenge"}, answer: func(v *vendor, w http.ResponseWriter, r *http.Request) {
		no := func(status int, field string) {
			reply(w, status, map[string]any{"message": "Bad Request", "errors": []any{map[string]any{"resource": map[bool]string{true: "Application", false: "RequestToken"}[field == "client_id"], "field": field, "code": "invalid"}}})
		}
		if r.Method != http.MethodPost {
			http.NotFound(w, r)
			return
		}
		f := v.asked(r)
		switch v.client(r, f, "client_id") {
		case "client":
			no(400, "client_id")
			return
		case "secret":
			reply(w, 401, map[string]any{"message": "Authorization Error", "errors": []any{}})
			return
		}
		switch f["grant_type"] {
		case "authorization_code":
			if v.code(f, true) != "" {
				no(400, "code")
				return
			}
		case "refresh_token":
			if !v.refresh[f["refresh_token"]] {
				no(400, "refresh_token")
				return
			}
		default:
			no(400, "grant_type")
			return
		}
		next := f["refresh_token"]
		if next == "" {
			next = v.refreshToken("")
		}
		m := map[string]any{"token_type": "Bearer", "expires_at": v.clock.Now().Add(6 * time.Hour).Unix(), "expires_in": 21600, "refresh_token": next, "access_token": v.token("")}
		if f["grant_type"] == "authorization_code" {
			m["athlete"] = map[string]any{"id": 134815, "username": "m"}
		}
		reply(w, 200, m)
	}},
	"salesforce": {path: "/services/oauth2/token", values: map[string]string{"SALESFORCE_BASE_URL": "https://login.example", "SALESFORCE_USERNAME": "ann@example.com", "SALESFORCE_PASSWORD_AND_TOKEN": "pw 123token"}, allowed: []string{"response.expires-in-present"}, answer: func(v *vendor, w http.ResponseWriter, r *http.Request) {
		no := func(code, text string) { reply(w, 400, map[string]any{"error": code, "error_description": text}) }
		if onlyPost(w, r) {
			return
		}
		f := v.asked(r)
		if f["grant_type"] == "" {
			no("invalid_request", "missing required parameter: grant_type")
			return
		}
		switch f["grant_type"] {
		case "client_credentials", "password":
		default:
			no("unsupported_grant_type", "grant type not supported")
			return
		}
		switch v.client(r, f, "client_id") {
		case "client":
			no("invalid_client_id", "client identifier invalid")
			return
		case "secret":
			no("invalid_client", "invalid client credentials")
			return
		}
		if f["grant_type"] == "password" {
			if f["username"] == "" || f["password"] == "" {
				no("invalid_request", "missing required parameter")
				return
			}
			if f["username"] != "ann@example.com" || f["password"] != "pw 123token" {
				no("invalid_grant", "authentication failure")
				return
			}
		}
		reply(w, 200, map[string]any{
			"access_token": v.token("00Dx!AR8A"), "signature": "c2lnbmF0dXJl", "instance_url": "https://my.example.salesforce.com", "scope": "api web",
			"id": "https://login.salesforce.com/id/00D/005", "token_type": "Bearer", "issued_at": fmt.Sprint(v.clock.Now().UnixMilli()),
		})
	}, edit: without("jwt_bearer")},
	"auth0": {path: "/oauth/token", values: map[string]string{"AUTH0_BASE_URL": "https://tenant.example", "AUTH0_AUDIENCE": "https://api.example/"}, allowed: []string{"error.401-has-challenge"}, answer: func(v *vendor, w http.ResponseWriter, r *http.Request) {
		no := func(status int, code, text string) {
			if status == 401 && r.Header.Get("Authorization") != "" {
				w.Header().Set("WWW-Authenticate", `Basic realm="auth0"`)
			}
			reply(w, status, map[string]any{"error": code, "error_description": text})
		}
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", "POST")
			no(405, "method_not_allowed", "no")
			return
		}
		f := v.asked(r)
		switch {
		case f["grant_type"] == "":
			no(400, "invalid_request", "Missing required parameter: grant_type")
		case f["grant_type"] != "client_credentials":
			no(501, "unsupported_grant_type", "Unsupported grant type")
		case v.client(r, f, "client_id") != "":
			no(401, "access_denied", "Unauthorized")
		case f["audience"] == "":
			no(400, "invalid_request", "Missing audience")
		case f["audience"] != "https://api.example/":
			no(403, "access_denied", "Service not found")
		default:
			reply(w, 200, map[string]any{"access_token": signRS(peerKeys()[0], map[string]any{"alg": "RS256", "kid": "one"}, map[string]any{"jti": v.token("")}), "token_type": "Bearer", "expires_in": 86400, "scope": "read:users"})
		}
	}},
	"entra": {path: "/contoso/oauth2/v2.0/token", values: map[string]string{"ENTRA_TENANT": "contoso", "ENTRA_CERT_THUMBPRINT": "abc"}, allowed: []string{"error.description-charset", "error.401-has-challenge"}, answer: func(v *vendor, w http.ResponseWriter, r *http.Request) {
		no := func(status int, code string, number int) {
			if status == 401 && r.Header.Get("Authorization") != "" {
				w.Header().Set("WWW-Authenticate", `Basic realm="login"`)
			}
			reply(w, status, map[string]any{
				"error": code, "error_description": fmt.Sprintf("AADSTS%d: It did not work.\r\nTrace ID: 1", number), "error_codes": []int{number}, "timestamp": "2026-01-01 00:00:00Z",
				"trace_id": "255d1aef-8c98-452f-ac51-23d051240864", "correlation_id": "fb3d2015-bc17-4bb9-bb85-30c5cf1aaaa7", "error_uri": fmt.Sprintf("https://login.example/error?code=%d", number),
			})
		}
		if r.Method != http.MethodPost {
			no(400, "invalid_request", 900561)
			return
		}
		f := v.asked(r)
		switch why := v.client(r, f, "client_id"); {
		case f["grant_type"] == "":
			no(400, "invalid_request", 900144)
			return
		case f["grant_type"] != "client_credentials" && f["grant_type"] != "authorization_code":
			no(400, "unsupported_grant_type", 70003)
			return
		case f["client_id"] == "" && r.Header.Get("Authorization") == "":
			no(400, "invalid_request", 900144)
			return
		case why == "client":
			no(400, "unauthorized_client", 700016)
			return
		case why == "secret":
			no(401, "invalid_client", 7000215)
			return
		}
		m := map[string]any{"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": v.token("eyJ0")}
		if f["grant_type"] == "client_credentials" {
			switch {
			case f["scope"] == "":
				no(400, "invalid_request", 90014)
				return
			case f["scope"] != "https://graph.microsoft.com/.default":
				no(400, "invalid_scope", 70011)
				return
			}
		} else {
			if f["code"] == "" || f["redirect_uri"] == "" {
				no(400, "invalid_request", 900144)
				return
			}
			if why := v.code(f, true); why != "" {
				no(400, "invalid_grant", 70008)
				return
			}
			m["scope"] = "https://graph.microsoft.com/User.Read https://graph.microsoft.com/.default"
		}
		reply(w, 200, m)
	}, edit: without("certificate", "federated")},
}

// without takes grants out of a page: those that need more than a code and a secret.
func without(grants ...string) func(*contract.Contract) {
	return func(c *contract.Contract) {
		c.Grants = slices.DeleteFunc(c.Grants, func(g contract.Grant) bool { return slices.Contains(grants, g.Key) })
		c.Clients = slices.DeleteFunc(c.Clients, func(f contract.Client) bool { return slices.Contains(grants, f.Name) })
	}
}

// TestDialects holds that a server that does what its page documents passes by the page, and that the
// standard holds nothing against it but what the page says otherwise.
func TestDialects(t *testing.T) {
	for name, v := range vendors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := v.judge(t, name)
			for _, p := range run.Preflight {
				t.Errorf("preflight: %s", p.Message)
			}
			for _, c := range run.Checks {
				wrong := c.Documented == report.SideFail || c.Documented == report.SideWarn || c.Verdict == report.Fail || c.Verdict == report.Error ||
					c.Standard == report.SideFail || c.Standard == report.SideWarn
				if wrong && !contains(v.allowed, c.Rule) {
					t.Errorf("%s: %s (documented %s, standard %s): expected %s, came %s %s %v", c.Rule, c.Verdict, c.Documented, c.Standard, c.Expected, c.Actual, c.Reason, c.Places)
				}
			}
		})
	}
}

func (v *vendor) judge(t *testing.T, name string) *report.Run {
	v.clock, v.codes, v.refresh, v.tokens = &suites.SkippingClock{}, map[string]*vendorCode{}, map[string]bool{}, map[string]time.Time{}
	mux := http.NewServeMux()
	mux.HandleFunc(v.path, func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.answer(v, w, r)
	})
	mux.HandleFunc("/hook", func(w http.ResponseWriter, r *http.Request) {
		var request struct{ Parameters map[string]string }
		_ = json.NewDecoder(r.Body).Decode(&request)
		v.mu.Lock()
		defer v.mu.Unlock()
		code := "c-" + word()
		v.codes[code] = &vendorCode{redirect: request.Parameters["redirect_uri"], challenge: request.Parameters["code_challenge"], made: v.clock.Now()}
		fmt.Fprint(w, code)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	c, err := contract.Open("../testdata/contracts/gallery/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	bound, secrets, err := c.Bind(func(name string) (string, bool) {
		if x, ok := v.values[name]; ok {
			return x, true
		}
		switch {
		case strings.HasSuffix(name, "_HOOK"):
			return s.URL + "/hook", true
		case strings.HasSuffix(name, "SECRET"):
			return vendorSecret, true
		case strings.HasSuffix(name, "REDIRECT_URI"):
			return "https://client.example/callback", true
		case strings.HasSuffix(name, "_KEY_FILE"):
			return peerKeyFile(t), true
		}
		return "4815162342", true
	}, contract.BindOptions{URL: s.URL + v.path})
	if err != nil {
		t.Fatal(err)
	}
	if v.edit != nil {
		v.edit(bound)
	}
	v.basic = slices.Contains(bound.Client.Auth, "basic")
	zero := 0.0
	run, err := suites.Run(t.Context(), suites.Config{
		Contract: bound, Exchange: exchange.Options{URL: s.URL + v.path, Secrets: secrets, Timeout: 5 * time.Second}, Allow: []string{"all"}, Parallel: 1, Plain: true,
		Rate: &zero, MaxRequests: -1, Clock: v.clock, NoEvidence: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return run
}
