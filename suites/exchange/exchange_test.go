package exchange

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestSentExactlyAsTold(t *testing.T) {
	got := make(chan string, 10)
	target := raw(t, func(c net.Conn, request string) {
		got <- request
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(tokenAnswer), tokenAnswer)
	})
	host, port := target.Host()
	r := golden(t, target, "client_credentials", "basic", Inputs{})
	for name, c := range map[string]struct {
		r    Request
		want string
	}{
		"golden":  {r, "POST /token HTTP/1.1\r\nHost: HOST\r\nUser-Agent: grantcheck/dev\r\nAccept: application/json\r\nContent-Type: application/x-www-form-urlencoded\r\nAuthorization: AUTH\r\nContent-Length: 29\r\n\r\ngrant_type=client_credentials"},
		"chunked": {r.NoAuth().Chunked(), "POST /token HTTP/1.1\r\nHost: HOST\r\nUser-Agent: grantcheck/dev\r\nAccept: application/json\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\ne\r\ngrant_type=cli\r\nf\r\nent_credentials\r\n0\r\n\r\n"},
		"bare":    {r.NoAuth().DropAll().DropHeader("User-Agent").DropHeader("Accept").NoContentType(), "POST /token HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n\r\n"},
		"get":     {target.Get(target.TokenURL(nil)+"?a=%ZZ&b=+").Header("x-lower", "1").AddHeader("X-Lower", "2"), "GET /token?a=%ZZ&b=+ HTTP/1.1\r\nHost: HOST\r\nUser-Agent: grantcheck/dev\r\nAccept: application/json\r\nx-lower: 1\r\nX-Lower: 2\r\n\r\n"},
		"two":     {r.Authorization("Basic a", "Basic b").DropHeader("Accept").DropHeader("User-Agent"), "POST /token HTTP/1.1\r\nHost: HOST\r\nAuthorization: Basic a\r\nAuthorization: Basic b\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 29\r\n\r\ngrant_type=client_credentials"},
		"put":     {r.NoAuth().WithMethod("PUT").DropHeader("Accept").DropHeader("User-Agent"), "PUT /token HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 29\r\n\r\ngrant_type=client_credentials"},
	} {
		e := do(t, target, c.r)
		want := strings.NewReplacer("HOST", host+":"+port, "AUTH", header(r.Wire(), "Authorization")).Replace(c.want)
		if req := <-got; req != want && !(name == "chunked" && strings.HasPrefix(want, req)) {
			t.Errorf("%s:\n got %q\nwant %q", name, req, want)
		}
		if e.Err != nil || !e.Answer().OK() && name != "get" {
			t.Errorf("%s: %v %s", name, e.Err, e.Answer().Outcome())
		}
	}
}

func TestRequestsThatWouldBeTwoAreNotSent(t *testing.T) {
	target := raw(t, func(c net.Conn, request string) { t.Errorf("sent %q", request) })
	r := golden(t, target, "client_credentials", "basic", Inputs{})
	for _, bad := range []Request{
		r.Header("X-A", "b\r\nX-C: d"), r.Bearer("a\nb"), r.Header("X A", "b"), r.WithMethod("POST /x"), r.WithURL("http://127.0.0.1:1/a b?c d"), r.WithURL("ftp://x/"), r.WithURL("/token"),
		r.Auth("jwt").Auth("nonsense"),
	} {
		if e := do(t, target, bad); e.ErrKind != ErrRequest {
			t.Errorf("%s %s: %s %v", bad.Method(), bad.URL(), e.ErrKind, e.Err)
		}
	}
}

// Whatever a server does, an exchange ends in time, keeps what fits and says what happened.
func TestHostileAnswers(t *testing.T) {
	ok := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	forever := func(c net.Conn, chunk string, every time.Duration) {
		for {
			if _, err := io.WriteString(c, chunk); err != nil {
				return
			}
			time.Sleep(every)
		}
	}
	zipped := func(n int) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		block := bytes.Repeat([]byte("0"), 1<<20)
		for range n {
			_, _ = z.Write(block)
		}
		z.Close()
		return b.String()
	}
	bomb := zipped(64)
	for _, c := range []struct {
		name    string
		talk    func(net.Conn)
		kind    ErrKind
		outcome Outcome
		more    func(*Exchange) bool
	}{
		{"a body without end", func(c net.Conn) {
			fmt.Fprint(c, ok+"Content-Length: 1073741824\r\n\r\n")
			forever(c, strings.Repeat("x", 1<<16), 0)
		}, "", Refused, func(e *Exchange) bool { return e.Truncated && len(e.Body) == 1<<20 }},
		{"a header without end", func(c net.Conn) { fmt.Fprint(c, ok); forever(c, "X-Pad: "+strings.Repeat("x", 1000)+"\r\n", 0) }, ErrProtocol, Inconclusive, nil},
		{"one header line without end", func(c net.Conn) { fmt.Fprint(c, ok+"X: "); forever(c, strings.Repeat("x", 1000), 0) }, ErrProtocol, Inconclusive, nil},
		{"one byte at a time", func(c net.Conn) {
			fmt.Fprint(c, ok+"Content-Length: 1000\r\n\r\n")
			forever(c, "x", 20*time.Millisecond)
		}, ErrTimeout, Inconclusive, func(e *Exchange) bool { return e.Status == 200 }},
		{"a header one byte at a time", func(c net.Conn) { forever(c, "H", 20*time.Millisecond) }, ErrTimeout, Inconclusive, nil},
		{"silence", func(c net.Conn) { time.Sleep(2 * time.Second) }, ErrTimeout, Inconclusive, nil},
		{"closed at once", func(c net.Conn) {}, ErrReset, Inconclusive, nil},
		{"closed in the header", func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-T") }, ErrReset, Inconclusive, nil},
		{"closed half-way", func(c net.Conn) { fmt.Fprintf(c, ok+"Content-Length: 1000\r\n\r\n%s", tokenAnswer) }, ErrReset, Inconclusive, func(e *Exchange) bool { return string(e.Body) == tokenAnswer }},
		{"reset", func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }, ErrReset, Inconclusive, nil},
		{"not HTTP", func(c net.Conn) { fmt.Fprint(c, "220 mail ready\r\n\r\n") }, ErrProtocol, Inconclusive, nil},
		{"a bad status line", func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 abc\r\n\r\n") }, ErrProtocol, Inconclusive, nil},
		{"broken chunks", func(c net.Conn) { fmt.Fprint(c, ok+"Transfer-Encoding: chunked\r\n\r\nZZ\r\n") }, ErrProtocol, Inconclusive, nil},
		{"interim answers without end", func(c net.Conn) { forever(c, "HTTP/1.1 103 Early Hints\r\n\r\n", 0) }, ErrProtocol, Inconclusive, nil},
		{"an interim answer", func(c net.Conn) {
			fmt.Fprintf(c, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"+ok+"Content-Length: %d\r\n\r\n%s", len(tokenAnswer), tokenAnswer)
		}, "", OK, func(e *Exchange) bool {
			return slices.Equal(e.Interim, []int{103}) && e.HeaderRaw[0].Name == "Content-Type"
		}},
		{"a gzip bomb", func(c net.Conn) {
			fmt.Fprintf(c, ok+"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(bomb), bomb)
		}, "", Refused, func(e *Exchange) bool { return e.Truncated && len(e.Body) == 1<<20 && e.Encoding == "gzip" }},
		{"gzip that is none", func(c net.Conn) {
			fmt.Fprintf(c, ok+"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(tokenAnswer), tokenAnswer)
		}, "", OK, nil},
		{
			"invalid UTF-8 and NUL", func(c net.Conn) { fmt.Fprint(c, ok+"Content-Length: 14\r\n\r\n{\"error\":\"\xff\x00\"}") }, "", Refused,
			func(e *Exchange) bool { d := e.Answer().Strict(); return d.NotUTF8 && d.Controls && d.Err != nil },
		},
		{"deep nesting", func(c net.Conn) {
			fmt.Fprintf(c, ok+"Connection: close\r\n\r\n%s", strings.Repeat(`{"a":[`, 150_000))
		}, "", Refused, func(e *Exchange) bool { return e.Answer().Strict().Err != nil }},
		{"a page", func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 40\r\n\r\n<html>{\"access_token\":\"x\"}              ")
		}, "", Refused, nil},
		{"repeated and odd fields", func(c net.Conn) {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nretry-after: 1\r\nRetry-After: 2\r\nX-Empty:\r\nContent-Length: %d\r\n\r\n%s", len(tokenAnswer), tokenAnswer)
		}, "", OK, func(e *Exchange) bool {
			return len(e.Header.Values("Retry-After")) == 2 && e.HeaderRaw[0] == HeaderLine{"retry-after", "1"} && e.HeaderRaw[2] == HeaderLine{"X-Empty", ""}
		}},
		{"an answer before the body is read", func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		}, "", Refused, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			target := raw(t, func(conn net.Conn, _ string) { c.talk(conn) })
			e := do(t, target, golden(t, target, "client_credentials", "basic", Inputs{}))
			if e.ErrKind != c.kind || e.Answer().Outcome() != c.outcome || c.more != nil && !c.more(e) {
				t.Errorf("%s %v, %s; status %d, %d bytes, truncated %v, %v", e.ErrKind, e.Err, e.Answer().Outcome(), e.Status, len(e.Body), e.Truncated, e.HeaderRaw)
			}
			_ = e.Report()
		})
	}
}

func TestRedirectsAreSeenNotFollowed(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("credentials went to another host: %s", r.Header.Get("Authorization"))
	}))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		target, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, status) })
		e := do(t, target, golden(t, target, "client_credentials", "basic", Inputs{}))
		if e.Status != status || !e.Answer().Refused() {
			t.Errorf("%d: %d %s", status, e.Status, e.Answer().Outcome())
		}
	}
}

func TestNothingIsSentTwice(t *testing.T) {
	var n atomic.Int32
	target, s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			_, _ = io.WriteString(w, tokenAnswer)
			return
		}
		c, _, _ := w.(http.Hijacker).Hijack()
		c.Close() // a request was read, no answer comes: net/http would repeat a GET here
	})
	c := client(t, target)
	c.Do(context.Background(), golden(t, target, "client_credentials", "basic", Inputs{}))
	if e := c.Do(context.Background(), target.Get(s.URL+"/x")); e.ErrKind != ErrReset || !e.Reused {
		t.Errorf("%s, reused %v", e.ErrKind, e.Reused)
	}
	if n.Load() != 2 {
		t.Errorf("%d requests arrived", n.Load())
	}
}

func TestConnectionsAreReusedWhileTheyLive(t *testing.T) {
	closeNow := make(chan net.Conn, 10)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, tokenAnswer) }))
	s.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateIdle {
			closeNow <- c
		}
	}
	s.Start()
	defer s.Close()
	target := bind(t, head+"grants: {client_credentials: {}}\n", Options{URL: s.URL})
	c := client(t, target)
	r := golden(t, target, "client_credentials", "basic", Inputs{})
	a := c.Do(context.Background(), r)
	<-closeNow
	b := c.Do(context.Background(), r)
	if !b.Reused || a.ConnID != b.ConnID {
		t.Errorf("no reuse: %d %d", a.ConnID, b.ConnID)
	}
	conn := <-closeNow
	conn.Close()
	waitClosed(c)
	if e := c.Do(context.Background(), r); e.Err != nil || e.Reused {
		t.Errorf("a dead connection was used: %v, reused %v", e.Err, e.Reused)
	}
}

// waitClosed waits until the watch of the only idle connection has seen its end.
func waitClosed(c *Client) {
	c.pool.mu.Lock()
	var watched *conn
	for _, list := range c.pool.idle {
		watched = list[0]
	}
	c.pool.mu.Unlock()
	watched.watched <- <-watched.watched
}

func TestSequenceOverOneConnection(t *testing.T) {
	var closing atomic.Bool
	target, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(body(r), "client_credentials") {
			if closing.Load() {
				w.Header().Set("Connection", "close")
			}
			w.WriteHeader(400)
			return
		}
		_, _ = io.WriteString(w, tokenAnswer)
	})
	r := golden(t, target, "client_credentials", "basic", Inputs{})
	c := client(t, target)
	got := c.Sequence(context.Background(), r.Set("grant_type", "x"), r)
	if got[0].Status != 400 || !got[1].Answer().OK() || !got[1].Reused || got[0].ConnID != got[1].ConnID {
		t.Errorf("%d, %s, reused %v", got[0].Status, got[1].Answer().Outcome(), got[1].Reused)
	}
	closing.Store(true)
	got = c.Sequence(context.Background(), r.Set("grant_type", "x"), r)
	if !got[0].ConnClosed || !got[1].Answer().OK() || got[1].Reused {
		t.Errorf("announced close: %v, %s, reused %v", got[0].ConnClosed, got[1].Answer().Outcome(), got[1].Reused)
	}
}

// A server that leaves the first body unread takes it for the next request: that has to show.
func TestSequenceShowsAConnectionOutOfStep(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		br := bufio.NewReader(c)
		for {
			line, err := br.ReadString('\n')
			if err != nil {
				return
			}
			if !strings.HasSuffix(strings.TrimSpace(line), "HTTP/1.1") {
				fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
				return
			}
			for line != "\r\n" {
				if line, err = br.ReadString('\n'); err != nil {
					return
				}
			}
			fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
		}
	}()
	target := bind(t, head+"grants: {client_credentials: {}}\n", Options{URL: "http://" + l.Addr().String()})
	r := golden(t, target, "client_credentials", "basic", Inputs{})
	got := client(t, target).Sequence(context.Background(), r, r)
	if got[1].Answer().OK() || !got[1].Reused {
		t.Errorf("%v %s", got[1].Err, got[1].Answer().Outcome())
	}
}

func TestTogetherReleasesBodiesAtOnce(t *testing.T) {
	const n = 8
	for _, method := range []string{"POST", "GET"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var connected int
		var order []string
		all := make(chan struct{})
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					br := bufio.NewReader(c)
					if _, err := br.ReadString('\n'); err != nil {
						return
					}
					mu.Lock()
					order = append(order, "head")
					if connected++; connected == n {
						close(all)
					}
					mu.Unlock()
					<-all // every header is here before any request is whole
					req := bufio.NewReader(io.MultiReader(strings.NewReader(method+" / HTTP/1.1\r\n"), br))
					r, err := http.ReadRequest(req)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, r.Body)
					mu.Lock()
					order = append(order, "whole")
					mu.Unlock()
					fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(tokenAnswer), tokenAnswer)
				}()
			}
		}()
		target := bind(t, head+"grants: {client_credentials: {}}\n", Options{URL: "http://" + l.Addr().String()})
		r := golden(t, target, "client_credentials", "post", Inputs{}).WithMethod(method)
		if method == "GET" {
			r = r.MoveTo(InQuery)
		}
		host, _ := target.Host()
		c := client(t, target)
		ids := map[uint64]bool{}
		for _, e := range c.Together(context.Background(), slices.Repeat([]Request{r.To(host)}, n)) {
			if !e.Answer().OK() {
				t.Errorf("%s: %v", method, e.Err)
			}
			ids[e.ConnID] = true
		}
		if len(ids) != n || c.Count() != n {
			t.Errorf("%s: %d connections, %d counted", method, len(ids), c.Count())
		}
		if i := slices.Index(order, "whole"); i < n {
			t.Errorf("%s: a request was whole before all headers were there: %v", method, order)
		}
		l.Close()
	}
}

func TestTogetherSurvivesAnUnreachableAddress(t *testing.T) {
	target, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, tokenAnswer) })
	r := golden(t, target, "client_credentials", "post", Inputs{})
	got := client(t, target).Together(context.Background(), []Request{r, r.To("127.0.0.1:1"), r})
	if !got[0].Answer().OK() || got[1].ErrKind != ErrRefused || !got[2].Answer().OK() {
		t.Errorf("%v %v %v", got[0].Err, got[1].Err, got[2].Err)
	}
}

func TestExpectContinue(t *testing.T) {
	for _, c := range []struct {
		name    string
		first   string // before the body is read
		outcome Outcome
		interim []int
		body    bool
	}{
		{"100 at once", "HTTP/1.1 100 Continue\r\n\r\n", OK, []int{100}, true},
		{"a final answer", "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n", Refused, nil, false},
	} {
		sent := make(chan bool, 1)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			br := bufio.NewReader(conn)
			r, err := http.ReadRequest(br)
			if err != nil || r.Header.Get("Expect") != "100-continue" || br.Buffered() != 0 {
				t.Errorf("%v, Expect %q, %d bytes of body came too early", err, r.Header.Get("Expect"), br.Buffered())
			}
			fmt.Fprint(conn, c.first)
			if c.body {
				b, _ := io.ReadAll(r.Body)
				sent <- len(b) > 0
				fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(tokenAnswer), tokenAnswer)
				return
			}
			n, _ := io.Copy(io.Discard, br)
			sent <- n > 0
		}()
		target := bind(t, head+"grants: {client_credentials: {}}\n", Options{URL: "http://" + l.Addr().String()})
		e := do(t, target, golden(t, target, "client_credentials", "basic", Inputs{}).ExpectContinue())
		if e.Answer().Outcome() != c.outcome || !slices.Equal(e.Interim, c.interim) || <-sent != c.body {
			t.Errorf("%s: %s %v %v", c.name, e.Answer().Outcome(), e.Interim, e.Err)
		}
		l.Close()
	}
}

func TestLargeRequests(t *testing.T) {
	target, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		fmt.Fprintf(w, `{"params":%d,"secret":%d,"auth":%d}`, len(r.PostForm), len(r.PostForm.Get("client_secret")), len(r.Header.Get("Authorization")))
	})
	r := golden(t, target, "client_credentials", "post", Inputs{})
	e := do(t, target, r.AddMany(5000, "p", "1").Secret(strings.Repeat("x", 256<<10)))
	if got := string(e.Body); got != `{"params":5003,"secret":262144,"auth":0}` {
		t.Errorf("%s %v", got, e.Err)
	}
	e = do(t, target, r.Authorization("Basic "+strings.Repeat("A", 64<<10)))
	if got := string(e.Body); got != `{"params":1,"secret":0,"auth":65542}` {
		t.Errorf("%s %v", got, e.Err)
	}
}

// tlsServer runs a server with TLS and returns a target that trusts it.
func tlsServer(t *testing.T, change func(*httptest.Server), h http.HandlerFunc) (*Target, *httptest.Server) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{}
	if change != nil {
		change(s)
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return bind(t, head+"grants: {client_credentials: {}}\n", Options{URL: s.URL + "/token", CAFile: file}), s
}

func TestHTTP2(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	target, _ := tlsServer(t, func(s *httptest.Server) { s.EnableHTTP2 = true }, func(w http.ResponseWriter, r *http.Request) {
		var names []string
		for name, v := range r.Header {
			names = append(names, fmt.Sprintf("%s:%d", name, len(v)))
		}
		slices.Sort(names)
		mu.Lock()
		seen = append(seen, r.Proto+" "+strings.Join(names, " ")+" "+body(r))
		mu.Unlock()
		_, _ = io.WriteString(w, tokenAnswer)
	})
	c := client(t, target)
	r := golden(t, target, "client_credentials", "basic", Inputs{})
	a := c.Do(context.Background(), r)
	b := c.Do(context.Background(), r.Authorization("Basic a", "Basic b").DropHeader("User-Agent").DropHeader("Accept"))
	if a.Proto != "HTTP/2.0" || !a.Answer().OK() || !b.Reused || a.ConnID != b.ConnID || a.TLS.NegotiatedProtocol != "h2" {
		t.Errorf("%s %v %v", a.Proto, a.Err, b.Reused)
	}
	one := c.Do(context.Background(), r.HTTP1())
	if one.Proto != "HTTP/1.1" || !one.Answer().OK() {
		t.Errorf("%s %v", one.Proto, one.Err)
	}
	big := c.Do(context.Background(), r.Authorization("Basic "+strings.Repeat("A", 64<<10)))
	if big.Proto != "HTTP/1.1" || big.Err != nil {
		t.Errorf("a large header: %s %v", big.Proto, big.Err)
	}
	want := []string{
		"HTTP/2.0 Accept:1 Authorization:1 Content-Length:1 Content-Type:1 User-Agent:1 grant_type=client_credentials",
		"HTTP/2.0 Authorization:2 Content-Length:1 Content-Type:1 grant_type=client_credentials",
	}
	if !slices.Equal(seen[:2], want) {
		t.Errorf("hidden or lost fields:\n got %q\nwant %q", seen[:2], want)
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if e := c.Do(context.Background(), r); !e.Answer().OK() {
				t.Errorf("%v", e.Err)
			}
		})
	}
	wg.Wait()
}

func TestHTTP2HostileAnswers(t *testing.T) {
	target, _ := tlsServer(t, func(s *httptest.Server) { s.EnableHTTP2 = true }, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/endless":
			for {
				if _, err := w.Write(bytes.Repeat([]byte("x"), 1<<16)); err != nil {
					return
				}
			}
		case "/header":
			for i := range 400 {
				w.Header().Add("X-Pad", fmt.Sprint(i, strings.Repeat("x", 1000)))
			}
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/silent":
			<-r.Context().Done()
		}
	})
	target.opt.Timeout = 500 * time.Millisecond
	c := client(t, target)
	base := strings.TrimSuffix(target.TokenURL(nil), "/token")
	for path, want := range map[string]ErrKind{"/endless": "", "/header": ErrProtocol, "/abort": ErrReset, "/silent": ErrTimeout} {
		e := c.Do(context.Background(), target.Get(base+path))
		if e.ErrKind != want || path == "/endless" && !e.Truncated {
			t.Errorf("%s: %q %v", path, e.ErrKind, e.Err)
		}
	}
}

func TestHandshakes(t *testing.T) {
	versions := func(lo, hi uint16) func(*httptest.Server) {
		return func(s *httptest.Server) { s.TLS.MinVersion, s.TLS.MaxVersion = lo, hi }
	}
	offer := func(v uint16) HandshakeOptions { return HandshakeOptions{Min: v, Max: v} }
	rc4 := HandshakeOptions{Min: tls.VersionTLS12, Max: tls.VersionTLS12, CipherSuites: RC4Suites}
	for _, c := range []struct {
		name   string
		server func(*httptest.Server)
		offer  HandshakeOptions
		ok     bool
	}{
		{"1.0 where it is taken", versions(tls.VersionTLS10, 0), offer(tls.VersionTLS10), true},
		{"1.1 where it is taken", versions(tls.VersionTLS10, 0), offer(tls.VersionTLS11), true},
		{"1.0 at a modern server", versions(tls.VersionTLS12, 0), offer(tls.VersionTLS10), false},
		{"1.1 at a modern server", versions(tls.VersionTLS12, 0), offer(tls.VersionTLS11), false},
		{"1.2", versions(tls.VersionTLS12, 0), offer(tls.VersionTLS12), true},
		{"1.3", versions(tls.VersionTLS12, 0), offer(tls.VersionTLS13), true},
		{"1.3 at a server of 1.2", versions(tls.VersionTLS12, tls.VersionTLS12), offer(tls.VersionTLS13), false},
		{"RC4 at a modern server", versions(tls.VersionTLS12, 0), rc4, false},
		{"RC4 where it is taken", func(s *httptest.Server) {
			s.TLS.MaxVersion, s.TLS.CipherSuites = tls.VersionTLS12, RC4Suites
		}, rc4, true},
		{"an untrusted certificate, not verified", nil, HandshakeOptions{}, true},
	} {
		target, _ := tlsServer(t, c.server, func(http.ResponseWriter, *http.Request) { t.Error("a handshake probe sent a request") })
		h := client(t, target).Handshake(context.Background(), c.offer)
		if h.OK != c.ok || !h.Reached || !c.ok && h.ErrKind != ErrTLS && h.ErrKind != ErrReset {
			t.Errorf("%s: ok %v reached %v %s %v", c.name, h.OK, h.Reached, h.ErrKind, h.Err)
		}
	}
}

func TestCertificates(t *testing.T) {
	target, s := tlsServer(t, nil, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, tokenAnswer) })
	c := client(t, target)
	if h := c.Handshake(context.Background(), HandshakeOptions{Verify: true}); !h.OK {
		t.Errorf("a trusted certificate: %v", h.Err)
	}
	bad := func(name string, target *Target) {
		c := client(t, target)
		if h := c.Handshake(context.Background(), HandshakeOptions{Verify: true}); h.OK || h.ErrKind != ErrCertificate {
			t.Errorf("%s: %s %v", name, h.ErrKind, h.Err)
		}
		if e := c.Do(context.Background(), golden(t, target, "client_credentials", "basic", Inputs{})); e.ErrKind != ErrCertificate || e.Answer().Inconclusive() == "" {
			t.Errorf("%s: %s %v", name, e.ErrKind, e.Err)
		}
	}
	bad("unknown authority", bind(t, head+"grants: {client_credentials: {}}\n", Options{URL: s.URL}))
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.URL, "https://"))
	other := bind(t, head+"grants: {client_credentials: {}}\n", Options{URL: "https://localhost:" + port + "/token", CAFile: target.opt.CAFile})
	bad("another name", other)
	plain, _ := serve(t, func(http.ResponseWriter, *http.Request) {})
	if h := client(t, plain).Handshake(context.Background(), HandshakeOptions{}); h.OK || h.ErrKind != ErrTLS || !h.Reached {
		t.Errorf("plain http: %s %v", h.ErrKind, h.Err)
	}
	if e := do(t, target, target.Get("https://nowhere.invalid/")); e.ErrKind != ErrDNS {
		t.Errorf("unknown name: %s %v", e.ErrKind, e.Err)
	}
	gone := bind(t, head+"grants: {client_credentials: {}}\n", Options{URL: "https://127.0.0.1:1/"})
	if h := client(t, gone).Handshake(context.Background(), HandshakeOptions{}); h.Reached || h.ErrKind != ErrRefused {
		t.Errorf("refused: %s %v", h.ErrKind, h.Err)
	}
}

func TestPace(t *testing.T) {
	clock := &ticking{epoch}
	var waited []time.Duration
	var running, most atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		most.Store(max(most.Load(), running.Add(1)))
		time.Sleep(2 * time.Millisecond)
		running.Add(-1)
		_, _ = io.WriteString(w, tokenAnswer)
	}))
	defer s.Close()
	target := bind(t, head+"grants: {client_credentials: {}}\n", Options{URL: s.URL, Now: clock.Now})
	c := NewClient(target, ClientOptions{Rate: 10, Sleep: func(_ context.Context, d time.Duration) error {
		waited = append(waited, d)
		clock.at = clock.at.Add(d)
		return nil
	}})
	defer c.Close()
	r := golden(t, target, "client_credentials", "basic", Inputs{})
	var last *Exchange
	for range 4 {
		last = c.Do(context.Background(), r)
	}
	if want := []time.Duration{100 * time.Millisecond, 100 * time.Millisecond, 100 * time.Millisecond}; !slices.Equal(waited, want) {
		t.Errorf("waited %v", waited)
	}
	if last.Sent.Sub(last.Due) != 100*time.Millisecond || last.Took != 0 {
		t.Errorf("due %v, sent %v, took %v", last.Due, last.Sent, last.Took)
	}
	few := NewClient(target, ClientOptions{Parallel: 2})
	defer few.Close()
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() { few.Do(context.Background(), r) })
	}
	wg.Wait()
	if most.Load() > 2 {
		t.Errorf("%d at a time", most.Load())
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if e := c.Do(ctx, r); e.ErrKind != ErrCanceled || e.Status != 0 {
		t.Errorf("cut short: %s %d", e.ErrKind, e.Status)
	}
}

func TestProxy(t *testing.T) {
	backend, s := tlsServer(t, nil, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, tokenAnswer) })
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { t.Error("the proxy was passed by") }))
	defer plain.Close()
	var seen []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Method+" "+r.RequestURI+" "+r.Header.Get("Proxy-Authorization"))
		if r.Method != "CONNECT" {
			_, _ = io.WriteString(w, tokenAnswer)
			return
		}
		up, err := net.Dial("tcp", r.RequestURI)
		if err != nil {
			w.WriteHeader(502)
			return
		}
		down, _, _ := w.(http.Hijacker).Hijack()
		fmt.Fprint(down, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(up, down); up.Close() }()
		_, _ = io.Copy(down, up)
		down.Close()
	}))
	defer proxy.Close()
	via := strings.Replace(proxy.URL, "http://", "http://me:hidden-word@", 1)
	for _, url := range []string{s.URL + "/token", plain.URL + "/token"} {
		target := bind(t, head+"grants: {client_credentials: {}}\n", Options{URL: url, CAFile: backend.opt.CAFile, Proxy: via})
		e := do(t, target, golden(t, target, "client_credentials", "basic", Inputs{}))
		if !e.Answer().OK() {
			t.Errorf("%s: %v", url, e.Err)
		}
		if strings.Contains(fmt.Sprint(e.Report()), "hidden-word") {
			t.Error("the proxy's password is shown")
		}
	}
	want := []string{"CONNECT " + strings.TrimPrefix(s.URL, "https://") + " Basic bWU6aGlkZGVuLXdvcmQ=", "POST " + plain.URL + "/token Basic bWU6aGlkZGVuLXdvcmQ="}
	if !slices.Equal(seen, want) {
		t.Errorf("the proxy saw %q", seen)
	}
}
