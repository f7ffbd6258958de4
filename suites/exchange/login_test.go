package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"grantcheck/suites/contract"
)

const codeGrant = head + `
endpoint: {base_url: "${BASE_URL}", path: /token}
authorization_endpoint: {path: /authorize, pkce: required, parameters: {prompt: {const: consent}}}
scopes: {request: [openid, read]}
grants: {authorization_code: {code: "${CODE_HOOK}"}}
`

// authorizing binds a code contract to a server, with a login walk unless login is "".
func authorizing(t *testing.T, h http.HandlerFunc, login string, opt Options) (*Target, *contract.Grant) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	text := strings.Replace(codeGrant, `{code: "${CODE_HOOK}"}`, "{}", 1)
	env["CODE_HOOK"] = "unused"
	opt.URL = s.URL + "/token"
	target := bind(t, text+login, opt)
	g, _ := target.Contract.Grant("authorization_code")
	return target, g
}

func TestAuthorizationRequest(t *testing.T) {
	target, g := authorizing(t, nil, "", Options{})
	a, err := target.Authorization(g, nil)
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(a.URL())
	q := u.Query()
	for name, want := range map[string]string{
		"response_type": "code", "client_id": "my-client", "redirect_uri": "http://127.0.0.1:9999/cb", "scope": "openid read", "state": a.State, "nonce": a.Nonce,
		"code_challenge": S256(a.Verifier), "code_challenge_method": "S256", "prompt": "consent",
	} {
		if q.Get(name) != want || want == "" {
			t.Errorf("%s: %q, want %q", name, q.Get(name), want)
		}
	}
	if len(a.Verifier) != 43 || u.Path != "/authorize" {
		t.Errorf("verifier %q, path %s", a.Verifier, u.Path)
	}
	if S256("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") != "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" { // RFC 7636 Appendix B
		t.Error("S256")
	}
	a.NoPKCE()
	if strings.Contains(a.URL(), "challenge") {
		t.Errorf("PKCE in %s", a.URL())
	}
}

func TestCaughtRedirect(t *testing.T) {
	target, g := authorizing(t, nil, "metadata: {issuer: \"http://127.0.0.1:1\"}\n", Options{})
	a, err := target.Authorization(g, nil)
	if err != nil {
		t.Fatal(err)
	}
	cb := "http://127.0.0.1:9999/cb?"
	got, err := target.Caught(a, cb+"code=the-code-1&state="+a.State+"&iss=http%3A%2F%2F127.0.0.1%3A1")
	if err != nil || got.Inputs().Code != "the-code-1" || got.Inputs().CodeVerifier != a.Verifier || got.Inputs().RedirectURI != a.RedirectURI {
		t.Errorf("%+v %v", got, err)
	}
	if strings.Contains(target.Redactor.Redact("x=the-code-1"), "the-code-1") {
		t.Error("the code is shown")
	}
	for redirect, want := range map[string]string{
		cb + "code=c&state=other": "state",
		cb + "code=c":             "state",
		cb + "code=c&state=" + a.State + "&iss=https://evil":             "issuer",
		cb + "state=" + a.State:                                          "no code",
		"http://127.0.0.1:9999/cb2?code=c&state=" + a.State:              "not to redirect_uri",
		"https://127.0.0.1:9999/cb?code=c&state=" + a.State:              "not to redirect_uri",
		"http://127.0.0.1:9999@evil/cb?code=c&state=" + a.State:          "not to redirect_uri",
		cb + "error=access_denied&error_description=no&state=" + a.State: "access_denied",
	} {
		_, err := target.Caught(a, redirect)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "code=c&") && !strings.Contains(err.Error(), "code=c&state") {
			t.Errorf("%s: %v", redirect, err)
		}
	}
	var denied *DeniedError
	if _, err := target.Caught(a, cb+"error=invalid_scope&state="+a.State); !errors.As(err, &denied) || denied.Code != "invalid_scope" {
		t.Errorf("%v", err)
	}
}

// pages is a server with the login of a small vendor: a name page, a password page, a consent page.
func pages(t *testing.T, seen *[]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		*seen = append(*seen, r.Method+" "+r.URL.Path)
		sid, _ := r.Cookie("sid")
		if r.URL.Path != "/authorize" && (sid == nil || sid.Value != "s1") {
			t.Errorf("%s without the session cookie", r.URL.Path)
		}
		switch r.URL.Path {
		case "/authorize":
			http.SetCookie(w, &http.Cookie{Name: "sid", Value: "s1", Path: "/"})
			http.SetCookie(w, &http.Cookie{Name: "q", Value: url.QueryEscape(r.URL.RawQuery), Path: "/"})
			http.Redirect(w, r, "/login/name?x=1", http.StatusSeeOther)
		case "/login/name":
			fmt.Fprint(w, `<!doctype html><title>Who are you</title><form action="/search"><input name=q type=search><button>Search</button></form>
				<form method=post action="password"><input type=hidden name=csrf value="a&amp;b"><label for=u>Your mail</label><input id=u name=ident type=email>
				<input type=hidden name=dis disabled value=no><button name=act value=register>Register</button><button name=act value=go>Next</button></form>`)
		case "/login/password":
			if r.PostForm.Get("csrf") != "a&b" || r.PostForm.Get("ident") != "alice" || r.PostForm.Get("act") != "go" || r.PostForm.Has("dis") {
				t.Errorf("name form %v", r.PostForm)
			}
			fmt.Fprint(w, `<title>Password</title><form method=POST action="/login/check"><input name=username value=alice readonly><input type=password name=pw>
				<input type=checkbox name=remember_me><input type=checkbox name=terms required><select name=lang><option value=en>E<option value=de selected>D</select>
				<input type=radio name=r value=1><input type=radio name=r value=2 checked><input type=submit value="Log in"></form>`)
		case "/login/check":
			f := r.PostForm
			if f.Get("pw") != env["PASSWORD"] || f.Get("username") != "alice" || f.Has("remember_me") || f.Get("terms") != "on" || f.Get("lang") != "de" || f.Get("r") != "2" {
				t.Errorf("password form %v", f)
			}
			http.Redirect(w, r, "/consent", http.StatusFound)
		case "/consent":
			if r.Method == http.MethodGet {
				fmt.Fprint(w, `<form method=post action=""><button name=decision value=deny>Deny</button><input type=checkbox name=scope value=read><input type=checkbox name=scope value=openid>
					<button name=decision value=allow>Allow access</button></form>`)
				return
			}
			if r.PostForm.Get("decision") != "allow" || len(r.PostForm["scope"]) != 2 {
				t.Errorf("consent form %v", r.PostForm)
			}
			q, _ := r.Cookie("q")
			raw, _ := url.QueryUnescape(q.Value)
			query, _ := url.ParseQuery(raw)
			http.Redirect(w, r, query.Get("redirect_uri")+"?code=walked-code&state="+query.Get("state"), http.StatusFound)
		default:
			t.Errorf("went to %s", r.URL.Path)
		}
	}
}

func TestLoginWalk(t *testing.T) {
	var seen []string
	target, g := authorizing(t, pages(t, &seen), "login: {max_steps: 5}\n", Options{})
	a, err := target.Authorization(g, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := target.Authorize(context.Background(), a)
	if err != nil || got.Code != "walked-code" {
		t.Fatalf("%+v %v", got, err)
	}
	if want := "GET /authorize|GET /login/name|POST /login/password|POST /login/check|GET /consent|POST /consent"; strings.Join(seen, "|") != want {
		t.Errorf("the way: %v", seen)
	}
	// every walk has a jar of its own
	if _, err := target.Authorize(context.Background(), a); err != nil {
		t.Errorf("a second walk: %v", err)
	}
}

func TestLoginWalkGetsStuckWithAnExplanation(t *testing.T) {
	page := func(status int, html string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status); fmt.Fprint(w, html) }
	}
	loginForm := `<title>Sign in</title><p>Hello ` + env["PASSWORD"] + `</p><form method=post action=/go><input name=user><label for=p>Password</label><input id=p name=pw><button>Go</button></form>`
	for name, c := range map[string]struct {
		h     http.HandlerFunc
		login string
		want  []string
	}{
		"refused password":      {page(200, loginForm), "login: {}\n", []string{"page 2", "/go", "Sign in", "refused", "Hello"}},
		"no form":               {page(500, "<title>Oops</title>Internal <b>fault</b>"), "login: {}\n", []string{"page 1", "status 500", "Oops", "no form", "Internal fault"}},
		"a person is needed":    {page(200, loginForm), "", []string{"code hook", "login"}},
		"only refusals":         {page(200, `<form method=post><button>Cancel</button></form>`), "login: {}\n", []string{"no form that leads on"}},
		"pages without end":     {page(200, `<form method=post><button>Next</button></form>`), "login: {max_steps: 3}\n", []string{"page 4", "more than 3 pages"}},
		"redirects without end": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) }, "login: {}\n", []string{"30 redirects"}},
		"away without TLS": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://acme.example/", http.StatusFound)
		}, "login: {}\n", []string{"without TLS"}},
		"another scheme": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "app://x/?code=secret-code", http.StatusFound)
		}, "login: {}\n", []string{"not redirect_uri"}},
		"form to elsewhere": {page(200, strings.Replace(loginForm, "/go", "http://acme.example/", 1)), "login: {}\n", []string{"password to acme.example"}},
		"a redirect with the form": {func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "POST" {
				http.Redirect(w, r, "http://localhost:1/", http.StatusTemporaryRedirect)
				return
			}
			fmt.Fprint(w, loginForm)
		}, "login: {}\n", []string{"another host"}},
		"no answer": {func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, "login: {}\n", []string{"page 1", "/authorize"}},
		"a page without end": {func(w http.ResponseWriter, r *http.Request) {
			for range 40 {
				_, _ = io.WriteString(w, strings.Repeat("x", 1<<16))
			}
		}, "login: {}\n", []string{"no form"}},
	} {
		target, g := authorizing(t, c.h, c.login, Options{})
		a, err := target.Authorization(g, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = target.Authorize(context.Background(), a)
		var stuck *LoginError
		if !errors.As(err, &stuck) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q lacks %q", name, err, want)
			}
		}
		if Contains(err.Error(), env["PASSWORD"]) || strings.Contains(err.Error(), "secret-code") || strings.Contains(err.Error(), "state=") {
			t.Errorf("%s: the error tells a secret: %v", name, err)
		}
	}
}

func TestLoginWalkOddPages(t *testing.T) {
	answerTo := func(r *http.Request) string { return "code=c0de-1234&state=" + r.URL.Query().Get("state") }
	for name, h := range map[string]http.HandlerFunc{
		"approved at once": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:9999/cb?"+answerTo(r), http.StatusFound)
		},
		"a form post": func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `<body onload="x()"><form method=post action="http://127.0.0.1:9999/cb"><input type=hidden name=code value=c0de-1234><input type=hidden name=state value=%s><noscript><button>Go</button></noscript></form>`, r.URL.Query().Get("state"))
		},
		"a refresh": func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `<meta http-equiv=Refresh content="0; url='http://127.0.0.1:9999/cb?%s'">`, answerTo(r))
		},
	} {
		target, g := authorizing(t, h, "", Options{})
		a, err := target.Authorization(g, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := target.Authorize(context.Background(), a); err != nil || got.Code != "c0de-1234" {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	var form url.Values
	target, g := authorizing(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			_ = r.ParseMultipartForm(1 << 20)
			form = r.PostForm
			http.Redirect(w, r, "http://127.0.0.1:9999/cb?code=c&state="+r.PostForm.Get("st"), http.StatusSeeOther)
			return
		}
		fmt.Fprintf(w, `<form method=post enctype="multipart/form-data"><input type=hidden name=st value=%s><input name=f1><input name=f2 type=password><input name=tenant><button name=b value=1>One</button><button name=b value=2>Two</button></form>`, r.URL.Query().Get("state"))
	}, "login: {fields: {f1: user.name, f2: user.password, tenant: acme}, consent: Two}\n", Options{})
	a, _ := target.Authorization(g, nil)
	if _, err := target.Authorize(context.Background(), a); err != nil || form.Get("f1") != "alice" || form.Get("f2") != env["PASSWORD"] || form.Get("tenant") != "acme" || form.Get("b") != "2" {
		t.Errorf("named fields: %v %v", form, err)
	}
}

func TestPromptAndNoWay(t *testing.T) {
	var out strings.Builder
	in, w := io.Pipe()
	target, g := authorizing(t, nil, "", Options{Prompt: PromptOn(&out, in)})
	a, _ := target.Authorization(g, nil)
	go fmt.Fprintf(w, "http://127.0.0.1:9999/cb?code=pasted&state=%s\n", a.State)
	got, err := target.Authorize(context.Background(), a)
	if err != nil || got.Code != "pasted" || !strings.Contains(out.String(), a.URL()) {
		t.Errorf("%+v %v %s", got, err, out.String())
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := target.Authorize(ctx, a); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	target.Contract.AuthorizationEndpoint = nil
	a, _ = target.Authorization(g, nil)
	var need *NeedError
	if _, err := target.Authorize(context.Background(), a); !errors.As(err, &need) {
		t.Errorf("%v", err)
	}
}

func TestHooks(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := body(r)
		switch r.URL.Path {
		case "/json":
			fmt.Fprintf(w, `{"code":"from-url","seen":%q}`, b)
		case "/redirect":
			state := strings.Split(strings.Split(b, `"state":"`)[1], `"`)[0]
			fmt.Fprintf(w, `{"redirect":"http://127.0.0.1:9999/cb?code=redirected&state=%s"}`, state)
		case "/fail":
			w.WriteHeader(500)
			fmt.Fprint(w, "cannot log in with "+env["SECRET"])
		}
	}))
	defer s.Close()
	for hook, want := range map[string]string{
		"echo plain-code":                                          "plain-code",
		`printf '{"code":"json-code"}'`:                            "json-code",
		`grep -q '"code_challenge_method":"S256"' && echo read-it`: "read-it",
		s.URL + "/json":                                            "from-url",
		s.URL + "/redirect":                                        "redirected",
		"echo oops >&2; exit 3":                                    "!exit status 3: oops",
		"true":                                                     "!answered nothing",
		"printf 'a\\nb\\n'":                                        "!several lines",
		"echo '{'":                                                 "!looks like JSON",
		"echo '{}'":                                                "!no member",
		`echo '{"error":"no user"}'`:                               "!no user",
		"sleep 30 & sleep 30":                                      "!no answer within",
		s.URL + "/fail":                                            "!status 500: cannot log in with ${SECRET}",
		"yes | head -c 200000; echo; exit 1":                       "!exit status 1",
	} {
		env["CODE_HOOK"] = hook
		target := bind(t, codeGrant, Options{HookTimeout: 300 * time.Millisecond})
		if !strings.HasPrefix(want, "!no answer") {
			target.opt.HookTimeout = 10 * time.Second
		}
		g, _ := target.Contract.Grant("authorization_code")
		a, err := target.Authorization(g, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := target.Authorize(context.Background(), a)
		if problem, fails := strings.CutPrefix(want, "!"); fails {
			if err == nil || !strings.Contains(err.Error(), problem) {
				t.Errorf("%s: %v, want %s", hook, err, problem)
			}
			continue
		}
		if err != nil || got.Code != want {
			t.Errorf("%s: %+v %v", hook, got, err)
		}
	}
}
