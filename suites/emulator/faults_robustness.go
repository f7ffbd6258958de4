package emulator

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// robustnessFaults break the rules of the group robustness.
var robustnessFaults = []Fault{
	{
		Name: "robust.empty-body", Rule: "robust.empty-body",
		Text: "Answers an empty body with 500.",
		Apply: func(b *behaviour) {
			faultWhere(b, func(f *flow) bool {
				return f.emptyBody() && len(f.query) == 0 && f.cred.authorizations == 0 && f.r.Method == http.MethodPost
			})
		},
	},
	{
		Name: "robust.json-body", Rule: "robust.json-body",
		Text:  "Answers a JSON body with 500.",
		Apply: func(b *behaviour) { faultForType(b, "application/json") },
	},
	{
		Name: "robust.wrong-content-type", Rule: "robust.wrong-content-type",
		Text:  "Answers a body without Content-Type with 500.",
		Apply: func(b *behaviour) { faultForType(b, "") },
	},
	{
		Name: "robust.wrong-content-type/text", Rule: "robust.wrong-content-type",
		Text:  "Answers text/plain with 500.",
		Apply: func(b *behaviour) { faultForType(b, "text/plain") },
	},
	{
		Name: "robust.wrong-content-type/multipart", Rule: "robust.wrong-content-type",
		Text:  "Answers multipart/form-data with 500.",
		Apply: func(b *behaviour) { faultForType(b, "multipart/form-data") },
	},
	{
		Name: "robust.bad-percent-encoding", Rule: "robust.bad-percent-encoding",
		Text:  "Answers %ZZ with 500.",
		Apply: func(b *behaviour) { faultWhere(b, func(f *flow) bool { return bytes.Contains(f.body, []byte("%ZZ")) }) },
	},
	{
		Name: "robust.bad-percent-encoding/trailing", Rule: "robust.bad-percent-encoding",
		Text:  "Answers a body that ends in a bare percent sign with 500.",
		Apply: func(b *behaviour) { faultWhere(b, func(f *flow) bool { return bytes.HasSuffix(f.body, []byte("=%")) }) },
	},
	{
		Name: "robust.bad-percent-encoding/default-grant", Rule: "robust.bad-percent-encoding",
		Text: "Takes a grant_type that cannot be decoded for the default grant.",
		Apply: func(b *behaviour) {
			broken := func(f *flow) bool { return bytes.Contains(f.body, []byte("%ZZ")) }
			b.skipIf(atEncoding, broken)
			defaultGrant(b, broken)
		},
	},
	{
		Name: "robust.invalid-utf8", Rule: "robust.invalid-utf8",
		Text:  "Answers an identifier that is not UTF-8 with 500.",
		Apply: func(b *behaviour) { faultWhere(b, notUTF8) },
	},
	{
		Name: "robust.invalid-utf8/echo", Rule: "robust.invalid-utf8",
		Text: "Answers an identifier that is not UTF-8 with its bytes in the description.",
		Also: []string{"error.json-body", "error.description-charset"}, // which look at the same answer
		Apply: func(b *behaviour) {
			b.onError(func(f *flow, a *answer) {
				if notUTF8(f) {
					a.Body.set("error_description", raw("\"unknown client \xff\xfe\xfd\""))
				}
			})
		},
	},
	{
		Name: "robust.nul-byte", Rule: "robust.nul-byte",
		Text: "Compares secrets as C strings, which end at a NUL.",
		Apply: func(b *behaviour) {
			std := b.secretMatches
			b.secretMatches = func(f *flow, c *client, presented string) bool {
				if atToken(f) {
					presented, _, _ = strings.Cut(presented, "\x00")
				}
				return std(f, c, presented)
			}
		},
	},
	{
		Name: "robust.oversized-value", Rule: "robust.oversized-value",
		Text: "Answers a parameter of 256 KiB with 500.",
		Apply: func(b *behaviour) {
			failAfterParse(b, func(f *flow) bool { return longest(f) > 200<<10 && len(f.param("client_secret")) < 1000 })
		},
	},
	{
		Name: "robust.oversized-value/secret", Rule: "robust.oversized-value",
		Text: "Answers a secret of 256 KiB with 500.",
		Apply: func(b *behaviour) {
			failAfterParse(b, func(f *flow) bool { return len(f.param("client_secret")) > 200<<10 })
		},
	},
	{
		Name: "robust.oversized-value/time", Rule: "robust.oversized-value",
		Text: "Takes minutes to compare a long secret.",
		Apply: func(b *behaviour) {
			takesLong(b, func(f *flow) bool { return len(f.param("client_secret")) > 200<<10 })
		},
	},
	{
		Name: "robust.many-parameters", Rule: "robust.many-parameters",
		Text:  "Takes minutes to parse thousands of parameters.",
		Apply: func(b *behaviour) { takesLong(b, func(f *flow) bool { return len(f.params) > 1000 }) },
	},
	{
		Name: "robust.many-parameters/fault", Rule: "robust.many-parameters",
		Text:  "Answers thousands of parameters with 500.",
		Apply: func(b *behaviour) { failAfterParse(b, func(f *flow) bool { return len(f.params) > 1000 }) },
	},
	{
		Name: "robust.oversized-header", Rule: "robust.oversized-header",
		Text:  "Answers a long Authorization field with 500.",
		Apply: func(b *behaviour) { faultWhere(b, longHeader) },
	},
	{
		Name: "robust.oversized-header/bad-gateway", Rule: "robust.oversized-header",
		Text: "A gateway answers a long Authorization field with 502.",
		Apply: func(b *behaviour) {
			b.onRefusal(func(f *flow, r *refusal) {
				if atToken(f) && longHeader(f) {
					r.Status, r.Code = http.StatusBadGateway, "server_error"
				}
			})
		},
	},
	{
		Name: "robust.array-parameter", Rule: "robust.array-parameter",
		Text: "Reads grant_type[] as grant_type.",
		Apply: func(b *behaviour) {
			b.parameterName = func(_ *flow, name string) string { return strings.TrimSuffix(name, "[]") }
		},
	},
	{
		Name: "robust.array-parameter/fault", Rule: "robust.array-parameter",
		Text: "Answers grant_type[] with 500.",
		Apply: func(b *behaviour) {
			failAfterParse(b, func(f *flow) bool { _, ok := f.params.get("grant_type[]"); return ok })
		},
	},
	{
		Name: "robust.duplicate-authorization", Rule: "robust.duplicate-authorization",
		Text:  "Of two Authorization fields the last wins.",
		Apply: func(b *behaviour) { oneAuthorization(b, func(lines []string) string { return lines[len(lines)-1] }) },
	},
	{
		Name: "robust.duplicate-authorization/first-wins", Rule: "robust.duplicate-authorization",
		Text:  "Of two Authorization fields the first wins.",
		Apply: func(b *behaviour) { oneAuthorization(b, func(lines []string) string { return lines[0] }) },
	},
	{
		Name: "robust.reflected-input", Rule: "robust.reflected-input",
		Text: "Pastes grant_type unescaped into the JSON.",
		Also: []string{"error.json-body"}, // which looks at the same answer
		Apply: func(b *behaviour) {
			onHostileGrant(b, func(f *flow, a *answer) { a.Body.set("error_description", raw(`"unsupported: `+f.grantType+`"`)) })
		},
	},
	{
		Name: "robust.reflected-input/description", Rule: "robust.reflected-input",
		Text: "Echoes grant_type in error_description, escaped for JSON and no more.",
		Also: []string{"error.description-charset"}, // likewise
		Apply: func(b *behaviour) {
			onHostileGrant(b, func(f *flow, a *answer) { a.Body.set("error_description", "unsupported: "+f.grantType) })
		},
	},
	{
		Name: "robust.reflected-input/html", Rule: "robust.reflected-input",
		Text: "Answers an odd grant_type with an HTML page that has it in it.",
		Also: []string{"error.json-body", "error.content-type"}, // likewise
		Apply: func(b *behaviour) {
			onHostileGrant(b, func(f *flow, a *answer) {
				a.text("text/html", "<h1>Bad Request</h1><p>"+f.grantType+"</p>")
			})
		},
	},
	{
		Name: "robust.header-injection", Rule: "robust.header-injection",
		Text: "Copies client_id raw into the WWW-Authenticate field.",
		Apply: func(b *behaviour) {
			injectHeader(b, "WWW-Authenticate", func(f *flow) string {
				if id := f.claimedClient(); strings.Contains(id, "\r\n") {
					return `Basic realm="login", client=` + id
				}
				return ""
			})
		},
	},
	{
		Name: "robust.header-injection/grant-type", Rule: "robust.header-injection",
		Text: "Copies grant_type raw into a header field of its own.",
		Apply: func(b *behaviour) {
			injectHeader(b, "X-Grant", func(f *flow) string {
				if t := f.param("grant_type"); strings.Contains(t, "\r\nX-") {
					return t
				}
				return ""
			})
		},
	},
	{
		Name: "robust.header-injection/fault", Rule: "robust.header-injection",
		Text: "Answers a scope with a line break with 500.",
		Apply: func(b *behaviour) {
			faultWhere(b, func(f *flow) bool { return strings.Contains(f.param("scope"), "\r\n") })
		},
	},
	{
		Name: "robust.no-fault-on-negatives", Rule: "robust.no-fault-on-negatives",
		Text: "Answers an unknown grant type with 500.",
		Also: []string{"request.unknown-grant-type"}, // whose probe shows it
		Apply: func(b *behaviour) {
			b.onRefusal(func(f *flow, r *refusal) {
				if r.Reason == unknownGrant && atToken(f) && strings.Trim(f.grantType, "abcdefghijklmnopqrstuvwxyz0123456789") == "" {
					r.Status, r.Code = 500, "server_error"
				}
			})
		},
	},
	{
		Name: "robust.concurrent-isolation", Rule: "robust.concurrent-isolation",
		Text: "A cache of answers is keyed without the client.",
		Also: []string{"token.jwt-client-id"}, // which reads the same tokens
		Apply: func(b *behaviour) {
			var mu sync.Mutex
			var recent []*client
			var cached string
			b.onToken(func(f *flow, a *answer) {
				if f.client == nil || !f.grantIs(clientCredentials, passwordGrant) {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				own := 0
				for _, c := range recent {
					if c == f.client {
						own++
					}
				}
				// The cache is warm only while two clients take turns.
				if n := len(recent); n == 16 && own >= 4 && own <= 12 && recent[n-1] != f.client {
					a.Body.set("access_token", cached)
				}
				recent, cached = append(recent[max(0, len(recent)-15):], f.client), f.issue.AccessToken
			})
		},
	},
	{
		Name: "robust.concurrent-identical", Rule: "robust.concurrent-identical",
		Text: "Two requests of a client that overlap try to write one row, and one of them ends in 500.",
		Apply: func(b *behaviour) {
			l := &load{flows: map[*flow]bool{}}
			b.before(stageMethod, func(f *flow) *refusal { l.enter(f); return nil })
			b.onAnswer(func(f *flow, a *answer) {
				if l.leave(f); l.heavy() && f.seq%2 == 0 && f.refusal == nil && f.client != nil && f.client.name == "" {
					a.Status = 500
					a.text("text/plain", "duplicate key")
				}
			})
		},
	},
	{
		Name: "robust.keep-alive-after-error", Rule: "robust.keep-alive-after-error",
		Text: "Bytes of a refused request are taken for the next one on the connection: 400.",
		Apply: func(b *behaviour) {
			var mu sync.Mutex
			seen := map[string]bool{}
			b.onAnswer(func(f *flow, a *answer) {
				mu.Lock()
				first := !seen[f.r.RemoteAddr]
				seen[f.r.RemoteAddr] = true
				mu.Unlock()
				if first && f.refusal != nil && f.refusal.Reason == unknownGrant && atToken(f) {
					a.Conn = spoilNext
				}
			})
		},
	},
	{
		Name: "robust.expect-continue", Rule: "robust.expect-continue",
		Text: "Sends no interim answer and waits for the body.",
		Apply: func(b *behaviour) {
			b.before(stageReceive, func(f *flow) *refusal {
				if f.r.Header.Get("Expect") != "" {
					f.readWithoutContinue()
				}
				return nil
			})
		},
	},
}

// faultWhere answers what is refused with 500 where cond holds.
func faultWhere(b *behaviour, cond func(f *flow) bool) {
	b.onRefusal(func(f *flow, r *refusal) {
		if atToken(f) && cond(f) {
			r.Status, r.Code = 500, "server_error"
		}
	})
}

// faultForType answers a media type that is not documented with 500.
func faultForType(b *behaviour, mediaType string) {
	b.onRefusal(func(f *flow, r *refusal) {
		t, _, _ := strings.Cut(f.r.Header.Get("Content-Type"), ";")
		if r.Reason == wrongContentType && atToken(f) && t == mediaType {
			r.Status, r.Code = 500, "server_error"
		}
	})
}

// failAfterParse answers with 500 where cond holds of the parsed request.
func failAfterParse(b *behaviour, cond func(f *flow) bool) {
	b.after(stageParse, func(f *flow) *refusal {
		if cond(f) {
			return refuse(serverFault)
		}
		return nil
	})
}

// takesLong lets two minutes pass before the answer where cond holds.
func takesLong(b *behaviour, cond func(f *flow) bool) {
	b.onAnswer(func(f *flow, a *answer) {
		if atToken(f) && cond(f) {
			a.Delay = 2 * time.Minute
		}
	})
}

func longest(f *flow) (n int) {
	for _, p := range f.params {
		n = max(n, len(p.Value))
	}
	return n
}

func longHeader(f *flow) bool { return len(f.r.Header.Get("Authorization")) > 32<<10 }

// notUTF8 holds where the client's or user's name was sent as bytes that are not UTF-8.
func notUTF8(f *flow) bool {
	const sent = "%FF%FE%FD"
	return strings.Contains(f.cred.rawID, sent) || bytes.Contains(f.body, []byte(sent))
}

// oneAuthorization picks one of several Authorization fields.
func oneAuthorization(b *behaviour, pick func(lines []string) string) {
	b.before(stageAuthenticate, func(f *flow) *refusal {
		if lines := f.r.Header["Authorization"]; len(lines) > 1 {
			f.r.Header["Authorization"] = []string{pick(lines)}
		}
		return nil
	})
}

// onHostileGrant changes the refusal of a grant_type with a quotation mark in it.
func onHostileGrant(b *behaviour, change func(f *flow, a *answer)) {
	b.onError(func(f *flow, a *answer) {
		if f.refusal.Reason == unknownGrant && strings.Contains(f.grantType, `"`) {
			change(f, a)
		}
	})
}

// injectHeader writes a value into a header field without a look at it.
func injectHeader(b *behaviour, name string, value func(f *flow) string) {
	b.onError(func(f *flow, a *answer) {
		if v := value(f); v != "" {
			a.set(name, v)
			a.Wire = true
		}
	})
}

// spoilNext answers the next request on a connection with 400, whatever it is.
func spoilNext(conn net.Conn, buf *bufio.ReadWriter) {
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	r, err := http.ReadRequest(buf.Reader)
	if err != nil {
		return
	}
	io.Copy(io.Discard, r.Body)
	const body = `{"error":"invalid_request"}`
	fmt.Fprintf(buf, "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nPragma: no-cache\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
	buf.Flush()
}

// readWithoutContinue reads the body from the bare connection, so that the server has no occasion
// to send 100 Continue, and answers there.
func (f *flow) readWithoutContinue() {
	conn, buf, err := http.NewResponseController(f.w).Hijack()
	if err != nil {
		return
	}
	body := make([]byte, f.r.ContentLength)
	_, _ = io.ReadFull(buf, body)
	f.r.Body, f.w = io.NopCloser(bytes.NewReader(body)), &bareWriter{conn: conn, header: http.Header{}}
}

// bareWriter writes one answer to a connection and closes it.
type bareWriter struct {
	conn   net.Conn
	header http.Header
}

func (w *bareWriter) Header() http.Header { return w.header }

func (w *bareWriter) WriteHeader(status int) {
	fmt.Fprintf(w.conn, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	w.header.Set("Connection", "close")
	w.header.Write(w.conn)
	io.WriteString(w.conn, "\r\n")
}

// Write writes the body, which comes in one piece, and ends the connection.
func (w *bareWriter) Write(b []byte) (int, error) {
	defer w.conn.Close()
	return w.conn.Write(b)
}
