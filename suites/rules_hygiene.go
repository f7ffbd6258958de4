package suites

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"grantcheck/suites/contract"
	"grantcheck/suites/exchange"
)

// hygieneRules is the group hygiene of the catalogue.
var hygieneRules = []Rule{
	{
		ID:    "hygiene.secret-not-echoed",
		Title: "No answer repeats a secret that was sent",
		Group: "hygiene",
		Level: NoLevel, Wording: Practice, Binds: "server", Posture: Advise,
		Source:   "CWE-209; RFC 6749 §5.2 (error text is for the client developer)",
		Editions: AllEditions,
		Summary:  "Error text helps the developer and ends up in logs and tickets; secrets do not belong there.",
		Why:      "A password repeated in an error message is copied into every log that keeps it.",
		Probe:    "Passive: every answer of the run, body and headers, searched for the secrets of its own request, also percent-encoded, base64 and in Basic form.",
		Expect:   "None of client_secret, password, assertion, code, code_verifier, refresh_token, Authorization value.",
		Tolerates: []string{
			"A refresh_token in a success answer that returns the same token; values shorter than 8 characters are not searched.",
		},
		Fault:   "error_description quotes the wrong client secret.",
		Passive: true,
		Check: func(c *Case) {
			secrets := map[*Sample]map[string]string{}
			answers := slices.DeleteFunc(c.Answers(func(s *Sample) bool { return s.Endpoint != "resource" }), func(s *Sample) bool {
				secrets[s] = sentSecrets(s)
				return len(secrets[s]) == 0
			})
			c.Each(answers, "no request carried a secret", func(s *Sample) {
				c.Expect(s).To(satisfy("an answer without the secrets of its request", func(s *Sample) (string, bool) {
					text := string(s.Body)
					for _, h := range s.HeaderRaw {
						text += "\n" + h.Name + ": " + h.Value
					}
					for part, secret := range secrets[s] {
						if part == exchange.RefreshToken && s.Answer.OK() {
							continue // the token lives on
						}
						if exchange.Contains(text, secret) {
							return part + " of the request in the answer", false
						}
					}
					return "", true
				}))
			})
		},
	},
	{
		ID:    "hygiene.no-stack-trace",
		Title: "Errors carry no stack trace or source location",
		Group: "hygiene",
		Level: NoLevel, Wording: Practice, Binds: "server", Posture: Advise,
		Source:   "CWE-209, CWE-1295",
		Editions: AllEditions,
		Summary:  "Internals belong in the server log.",
		Why:      "Class names, paths and versions tell an attacker which known hole to try.",
		Probe:    "Passive: error bodies of the run against a short list of unmistakable patterns (frames of common runtimes, absolute source paths, SQL statements).",
		Expect:   "No match.",
		Tolerates: []string{
			"Correlation ids; a plain exception name without a frame is a note.",
		},
		Fault:   "error_description ends in a Java stack frame.",
		Passive: true,
		Check: func(c *Case) {
			answers := c.Answers(func(s *Sample) bool { return s.Endpoint != "resource" && len(s.Body) > 0 && !s.Answer.OK() })
			c.Each(answers, noRefusal, func(s *Sample) {
				text := spoken(s)
				c.Expect(s).To(satisfy("an error without stack frames, source paths and SQL", func(*Sample) (string, bool) {
					for _, p := range innards {
						if p.pattern.MatchString(text) {
							return p.name, false
						}
					}
					return "", true
				}))
				if exceptionName.MatchString(text) {
					c.Note("an error names an exception class")
				}
			})
		},
	},
	{
		ID:    "hygiene.fault-page-terse",
		Title: "Server faults are answered briefly and without a debug page",
		Group: "hygiene",
		Level: NoLevel, Wording: Practice, Binds: "server", Posture: Advise,
		Source:   "CWE-209, CWE-489",
		Editions: AllEditions,
		Summary:  "A 5xx says that something failed, not how the server is built.",
		Why:      "Debug pages show settings and sometimes let a stranger run code.",
		Applies:  Applies{When: "a 5xx was seen"},
		Probe:    "Passive: every 5xx of the run.",
		Expect:   "No known debug page, no environment listing; body below 8 KiB.",
		Tolerates: []string{
			"Gateway pages in HTML.",
		},
		Fault:   "A framework debug page answers an unexpected fault.",
		Passive: true,
		Check: func(c *Case) {
			faults := c.Answers(func(s *Sample) bool { return s.Status >= 500 && s.Endpoint != "resource" })
			c.Each(faults, "no 5xx was seen", func(s *Sample) {
				c.Expect(s).To(satisfy("a brief 5xx without a debug page", func(s *Sample) (string, bool) {
					for _, p := range debugPages {
						if p.pattern.Match(s.Body) {
							return fmt.Sprintf("%d with %s", s.Status, p.name), false
						}
					}
					return fmt.Sprintf("%d with %d bytes", s.Status, len(s.Body)), len(s.Body) < 8<<10 && !s.Truncated
				}))
			})
		},
	},
	{
		ID:    "hygiene.server-version",
		Title: "Headers do not tell exact software versions",
		Group: "hygiene",
		Level: ShouldNot, Wording: Keyword, Binds: "server", Posture: Observe,
		Source:   "RFC 9110 §10.2.4",
		Editions: AllEditions,
		Summary:  "A Server field should not hold needlessly fine-grained detail.",
		Why:      "Exact versions spare an attacker the search for a matching exploit.",
		Probe:    "Passive: Server, X-Powered-By and similar fields of every answer.",
		Expect:   "No version number with two parts or more.",
		Tolerates: []string{
			"Product names alone.",
		},
		Fault:   "Server: ExampleAS/4.1.7 (Debug)",
		Passive: true,
		Check: func(c *Case) {
			c.Each(c.Answers(func(s *Sample) bool { return true }), "no answer came", func(s *Sample) {
				c.Expect(s).To(satisfy("no exact software version in the header", func(s *Sample) (string, bool) {
					for _, field := range []string{"Server", "X-Powered-By", "X-AspNet-Version", "X-AspNetMvc-Version", "X-Generator"} {
						for _, line := range s.Header.Values(field) {
							if exactVersion.MatchString(line) {
								return field + ": " + exchange.Printable(line, 80), false
							}
						}
					}
					return "", true
				}))
			})
		},
	},
	{
		ID:    "hygiene.client-enumeration",
		Title: "Unknown client and wrong secret look alike",
		Group: "hygiene",
		Level: NoLevel, Wording: Practice, Binds: "server", Posture: Observe,
		Source:   "CWE-204",
		Editions: AllEditions,
		Summary:  "One error code covers both; text, status and extra fields can still give the difference away.",
		Why:      "Strangers learn which client identifiers exist and concentrate on these.",
		Applies:  Applies{Auth: []string{"basic", "post"}},
		Requires: []string{"client-auth.wrong-secret-refused", "client-auth.unknown-client-refused"},
		Probe:    "Passive: compare the answers to client-auth.wrong-secret-refused and client-auth.unknown-client-refused.",
		Expect:   "Same status, code, description and headers apart from ids and dates.",
		Tolerates: []string{
			"Any difference is an observation: client identifiers are not secret by themselves.",
		},
		Fault:   "client not found in one case, wrong secret in the other.",
		Passive: true,
		Check: func(c *Case) {
			wrong, unknown := c.AnswersOf("client-auth.wrong-secret-refused"), c.AnswersOf("client-auth.unknown-client-refused")
			c.lookAlike(wrong, unknown, "a wrong secret", "an unknown client")
		},
	},
	{
		ID:    "hygiene.user-enumeration",
		Title: "Unknown user and wrong password look alike",
		Group: "hygiene",
		Level: NoLevel, Wording: Practice, Binds: "server", Posture: Advise,
		Source:   "CWE-204",
		Editions: AllEditions,
		Summary:  "invalid_grant covers both; text and status can still give the difference away.",
		Why:      "Strangers learn who has an account and try passwords only there.",
		Applies:  Applies{Grants: []string{"password"}},
		Requires: []string{"password.wrong-password-refused", "password.unknown-user-refused"},
		Probe:    "Passive: compare the answers to password.wrong-password-refused and password.unknown-user-refused.",
		Expect:   "Same status, code, description and headers apart from ids and dates.",
		Tolerates: []string{
			"A lock-out or throttling answer in between: inconclusive.",
		},
		Fault:   "unknown user in one case, bad password in the other.",
		Passive: true,
		Check: func(c *Case) {
			wrong, unknown := c.AnswersOf("password.wrong-password-refused"), c.AnswersOf("password.unknown-user-refused")
			if s := firstUndecided(append(slices.Clone(wrong), unknown...)); s != nil {
				c.look(s)
				c.Inconclusive("the endpoint throttled or locked in between: %s", s.Came())
			}
			c.lookAlike(wrong, unknown, "a wrong password", "an unknown user")
		},
	},
	{
		ID:    "hygiene.cors-credentials",
		Title: "CORS does not combine credentials with every origin",
		Group: "hygiene",
		Level: NoLevel, Wording: Practice, Binds: "server", Posture: Advise,
		Source:   "WHATWG Fetch, CORS protocol and credentials; RFC 9700 §2.6 (CORS is optional)",
		Editions: AllEditions,
		Summary:  "Allowing credentials for any origin, by reflecting it, opens the endpoint to every web page.",
		Why:      "Any web page could use cookies or client certificates of its visitors here.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden request and preflight with Origin https://<nonce>.example.",
		Expect:   "Not both: the foreign origin (or *) allowed and Access-Control-Allow-Credentials true.",
		Tolerates: []string{
			"No CORS at all; a wildcard or reflected origin without credentials is fine for public clients.",
		},
		Fault:   "Reflects any Origin with credentials allowed.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			origin := "https://" + c.Nonce() + ".example"
			golden := c.Golden()
			for _, req := range []exchange.Request{
				Step(golden.Header("Origin", origin), "with a foreign Origin"),
				Step(c.Target().Preflight(golden.Grant(), origin), "preflight from a foreign Origin"),
			} {
				s := c.Try(req, Positive(), AsIs())
				if s.Err != nil {
					continue
				}
				c.Expect(s).To(satisfy("no credentials for every origin", func(s *Sample) (string, bool) {
					allowed, credentials := s.Header.Get("Access-Control-Allow-Origin"), s.Header.Get("Access-Control-Allow-Credentials")
					return fmt.Sprintf("Access-Control-Allow-Origin: %s beside Access-Control-Allow-Credentials: %s", exchange.Printable(allowed, 60), exchange.Printable(credentials, 20)),
						!strings.EqualFold(strings.TrimSpace(credentials), "true") || allowed != "*" && allowed != origin
				}))
			}
		},
	},
	{
		ID:    "hygiene.cors-usable",
		Title: "A declared browser origin can read answers and errors",
		Group: "hygiene",
		Level: May, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "RFC 9700 §2.6; draft-ietf-oauth-v2-1-15 §3.2",
		Editions: AllEditions,
		Summary:  "Servers that serve browser applications have to send the CORS fields, on errors as well.",
		Why:      "The application sees a network error and cannot tell the user what is wrong.",
		Applies:  Applies{When: "contract names a browser origin"},
		Requires: []string{"request.form-accepted"},
		Probe:    "Preflight for POST, golden request and a refused one, all with that Origin.",
		Expect:   "Access-Control-Allow-Origin fits on all three answers.",
		Tolerates: []string{
			"Servers whose contract names no browser origin: not applicable.",
		},
		Fault:   "Errors lack Access-Control-Allow-Origin.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			origin := c.Contract().Endpoint.BrowserOrigin
			if origin == "" {
				c.NotApplicable("the contract names no browser origin")
			}
			readable := satisfy("Access-Control-Allow-Origin that fits the declared origin", func(s *Sample) (string, bool) {
				lines := s.Header.Values("Access-Control-Allow-Origin")
				return fmt.Sprintf("%d with %s", s.Status, fieldLines(s, "Access-Control-Allow-Origin")), len(lines) == 1 && (lines[0] == "*" || lines[0] == origin)
			})
			golden, refused := c.Golden(), refusedRequest(c)
			c.Expect(c.Probe(Step(c.Target().Preflight(golden.Grant(), origin), "preflight from the declared origin"), Positive(), AsIs())).To(readable)
			c.Expect(c.Probe(Step(golden.Header("Origin", origin), "a token for the declared origin"), Positive())).To(readable)
			c.Expect(c.Probe(Step(refused.Header("Origin", origin), "a refusal for the declared origin"), Provokes("unknown_grant"))).To(readable)
		},
	},
}

// innards are patterns too plain to be wrong: each needs what only a machine writes.
var innards = []struct {
	name    string
	pattern *regexp.Regexp
}{
	{"a Java stack frame", regexp.MustCompile(`\bat [\w$.]+(?:/[\w$.@]+)?\.[\w$<>]+\((?:[\w$]+\.(?:java|kt|scala|groovy):\d+|Native Method|Unknown Source)\)`)},
	{"a Python traceback", regexp.MustCompile(`Traceback \(most recent call last\)|File "[^"]+\.py", line \d+`)},
	{"a Node stack frame", regexp.MustCompile(`\bat (?:async )?(?:[^\n()]{1,120} \()?(?:file://|node:|/|[A-Za-z]:\\)[^\s()]+:\d+:\d+\)?`)},
	{"a .NET stack frame", regexp.MustCompile("\\bat [\\w.`<>]+\\([^()\\n]*\\) in [^\\n]+:line \\d+|\\bat System\\.[\\w.`]+\\(")},
	{"a PHP stack frame or source line", regexp.MustCompile(`#\d+ /[^\s(]+\.php\(\d+\)|\bin /[^\s]+\.php(?: on line |:)\d+`)},
	{"a Go stack trace", regexp.MustCompile(`goroutine \d+ \[\w+`)},
	{"a Ruby stack frame", regexp.MustCompile("/[\\w./-]+\\.rb:\\d+:in [`']")},
	{"an absolute source path", regexp.MustCompile(`(?:/(?:home|usr|var|opt|srv|app|root|build|Users)/|\b[A-Za-z]:\\)[\w.@/\\-]+\.(?:java|kt|py|rb|php|js|mjs|ts|go|cs|scala|pl|rs|cpp)\b`)},
	{"an SQL statement", regexp.MustCompile(`(?i)\bSELECT\s+[\w.*,"` + "`" + `() ]+\s+FROM\s+[\w."` + "`" + `]+\s+WHERE\s+[\w."` + "`" + `]+\s*(?:=|<|>|IN\s*\(|LIKE\b)|\bINSERT\s+INTO\s+[\w."` + "`" + `]+\s*\([^)]*\)\s*VALUES|\bUPDATE\s+[\w."` + "`" + `]+\s+SET\s+[\w."` + "`" + `]+\s*=|SQLSTATE\[\w+\]|\bORA-\d{5}\b`)},
}

var debugPages = []struct {
	name    string
	pattern *regexp.Regexp
}{
	{"the Werkzeug debugger", regexp.MustCompile(`Werkzeug (?:powered )?[Dd]ebugger|werkzeug\.debug`)},
	{"a Django debug page", regexp.MustCompile(`You're seeing this error because you have <code>DEBUG = True</code>`)},
	{"a Rails debug page", regexp.MustCompile(`Rails\.root:|<title>Action Controller: Exception caught</title>`)},
	{"an ASP.NET error page", regexp.MustCompile(`Server Error in '[^']*' Application\.|An unhandled exception occurred while processing the request`)},
	{"a Symfony, Laravel or Whoops debug page", regexp.MustCompile(`<title>Whoops! There was an error|sf-dump|Symfony\\Component\\|Illuminate\\|facade/ignition|spatie/laravel-ignition`)},
	{"an environment listing", regexp.MustCompile(`phpinfo\(\)|(?m)^\s*(?:PATH|HOME|HOSTNAME|PWD|LD_LIBRARY_PATH)=/`)},
	{"a stack trace", regexp.MustCompile(`Traceback \(most recent call last\)|goroutine \d+ \[running\]|\bat [\w$.]+\([\w$]+\.java:\d+\)`)},
}

var (
	exceptionName = regexp.MustCompile(`\b(?:[a-z_]\w*\.){2,}[A-Z]\w*(?:Exception|Error)\b|\b[A-Z][a-z]\w+[a-z]Exception\b`)
	exactVersion  = regexp.MustCompile(`\d+\.\d+`)
	volatile      = regexp.MustCompile(`[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|\d{4}-\d\d-\d\d[T ][\d:.]+(?:Z|[+-][\d:]+)?|\b[0-9a-fA-F]{12,}\b|\d{4,}`)
)

// sentSecrets returns what a request carried that must not come back: made-up values included,
// too short ones and mere words left out, and what is no secret because it is a name as well.
func sentSecrets(s *Sample) map[string]string {
	id, _ := s.Request.Credentials()
	out := s.Request.Secrets()
	for part, value := range out {
		secret := slices.Contains([]string{"client_secret", "password", "assertion", "client_assertion", "code", "code_verifier", "refresh_token"}, part)
		if !secret || len(value) < 8 || plainWord.MatchString(value) || value == id || value == s.Request.Get("username") {
			delete(out, part)
		}
	}
	return out
}

var plainWord = regexp.MustCompile(`^[a-zA-Z]{1,16}$`)

// spoken is everything an answer says: its body as it is, and the texts of its members decoded.
func spoken(s *Sample) string {
	var b strings.Builder
	b.Write(s.Body)
	var walk func(exchange.Value)
	walk = func(v exchange.Value) {
		if v.Kind == exchange.String {
			b.WriteString("\n" + v.Text)
		}
		for _, m := range v.Members {
			walk(m.Value)
		}
		for _, item := range v.Items {
			walk(item)
		}
	}
	walk(s.Answer.Lenient())
	return b.String()
}

// firstUndecided returns an answer that throttles or locks and was the last word, nil without one.
func firstUndecided(samples []*Sample) *Sample {
	for _, s := range samples {
		if s.again == nil && s.Answer.Inconclusive() != "" || s.Status == 423 {
			return s
		}
	}
	return nil
}

// lookAlike holds the answers to two guesses beside each other, where both were sent the same way.
func (c *Case) lookAlike(one, other []*Sample, what, otherWhat string) {
	compared := false
	for _, a := range one {
		i := slices.IndexFunc(other, func(b *Sample) bool { return b.AuthMethod() == a.AuthMethod() && b.grant == a.grant })
		if i < 0 || !a.Answer.Refused() || !other[i].Answer.Refused() {
			continue
		}
		b := other[i]
		compared = true
		c.look(a)
		differs := difference(a, b)
		c.pageSaysIf(differs != "" && c.rowsTell(a) && c.rowsTell(b), "the page documents an answer of its own for each")
		c.Expect(b).To(satisfy(fmt.Sprintf("the same answer to %s and to %s", what, otherWhat), func(b *Sample) (string, bool) {
			return fmt.Sprintf("another %s: %s against %s", differs, a.Came(), b.Came()), differs == ""
		}))
	}
	if !compared {
		c.NotApplicable("the two answers were not both seen")
	}
}

// rowsTell reports that the page documents an answer just so, and not for every condition alike.
func (c *Case) rowsTell(s *Sample) bool {
	return slices.ContainsFunc(rowsFor(c.Contract(), s.situation()), func(r contract.ErrorRow) bool { return rowFits(r, s.Status, s.Code()) })
}

// difference names what tells two answers apart, ids and dates aside; "" when nothing does.
func difference(a, b *Sample) string {
	plain := func(s *Sample, text string) string {
		for _, p := range s.Request.Params() {
			if len(p.Value) >= 3 {
				text = strings.ReplaceAll(text, p.Value, "*")
			}
		}
		id, secret := s.Request.Credentials()
		for _, sent := range []string{id, secret} {
			if len(sent) >= 3 {
				text = strings.ReplaceAll(text, sent, "*")
			}
		}
		return volatile.ReplaceAllString(text, "*")
	}
	names := func(s *Sample) string {
		return strings.Join(slices.Sorted(slices.Values(s.Answer.Lenient().Names())), " ")
	}
	switch {
	case a.Status != b.Status:
		return "status"
	case a.Code() != b.Code():
		return "error"
	case plain(a, a.Answer.Text(exchange.ErrorDescription)) != plain(b, b.Answer.Text(exchange.ErrorDescription)):
		return "error_description"
	case names(a) != names(b):
		return "set of members"
	}
	for _, field := range []string{"Content-Type", "WWW-Authenticate", "Cache-Control"} {
		if plain(a, strings.Join(a.Header.Values(field), ", ")) != plain(b, strings.Join(b.Header.Values(field), ", ")) {
			return field
		}
	}
	return ""
}
