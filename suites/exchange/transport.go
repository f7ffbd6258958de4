package exchange

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

const (
	maxHeader   = 256 << 10              // bytes of an answer's header
	maxInterim  = 10                     // interim answers before a final one
	holdBack    = 2 * time.Second        // longest wait for 100 Continue
	writeGrace  = 100 * time.Millisecond // for a body that is still going out when the answer is there
	idleReuse   = 2 * time.Second        // an older idle connection is not used again: servers close them
	h2MaxFields = 16 << 10               // a larger header goes over HTTP/1.1: peers bound it tightly
	dialTimeout = 10 * time.Second       // beside the exchange's own time
)

// conn is one HTTP/1.1 connection. The reader below br notes what it reads while a header is read,
// and bounds it.
type conn struct {
	net.Conn
	br             *bufio.Reader
	id             uint64
	used           bool
	announcedClose bool
	broken         bool // must not carry another request
	tls            *tls.ConnectionState
	viaProxy       bool // plain http through a proxy: absolute request targets

	method  string // of the request under way
	head    []byte
	noting  bool
	ended   bool // nothing more will come
	idle    time.Time
	watched chan error // result of watching an idle connection
}

var errHeaderTooLong = protocolError{fmt.Errorf("the answer's header is longer than %d KiB", maxHeader>>10)}

func (c *conn) Read(p []byte) (int, error) {
	if c.noting && len(c.head) > maxHeader {
		return 0, errHeaderTooLong
	}
	n, err := c.Conn.Read(p)
	c.ended = c.ended || err == io.EOF
	if c.noting {
		c.head = append(c.head, p[:n]...)
	}
	return n, err
}

// pool keeps idle HTTP/1.1 connections, and HTTP/2 connections, by where they lead.
type pool struct {
	mu   sync.Mutex
	idle map[string][]*conn
	h2   map[string][]*h2conn
}

type h2conn struct {
	*http2.ClientConn
	id     uint64
	used   bool
	remote string
	tls    *tls.ConnectionState
}

func (p *pool) takeH1(key string) *conn {
	for {
		p.mu.Lock()
		list := p.idle[key]
		if len(list) == 0 {
			p.mu.Unlock()
			return nil
		}
		c := list[len(list)-1]
		p.idle[key] = list[:len(list)-1]
		p.mu.Unlock()
		if c.alive() {
			return c
		}
		c.Close()
	}
}

// put keeps a connection and watches it, so that one the server closes meanwhile is noticed before
// a request is lost on it: a lost request is never sent again.
func (p *pool) put(key string, c *conn) {
	c.idle = time.Now()
	c.watched = make(chan error, 1)
	_ = c.SetDeadline(time.Time{})
	go func() {
		_, err := c.br.Peek(1)
		c.watched <- err
	}()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.idle == nil {
		p.idle = map[string][]*conn{}
	}
	p.idle[key] = append(p.idle[key], c)
}

// alive ends the watch: nothing may have come, neither bytes nor an end.
func (c *conn) alive() bool {
	_ = c.SetReadDeadline(time.Unix(1, 0))
	err := <-c.watched
	_ = c.SetDeadline(time.Time{})
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout() && time.Since(c.idle) < idleReuse
}

func (p *pool) takeH2(key string) *h2conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.h2 == nil {
		p.h2 = map[string][]*h2conn{}
	}
	p.h2[key] = slices.DeleteFunc(p.h2[key], func(c *h2conn) bool { s := c.State(); return s.Closed || s.Closing })
	for _, c := range p.h2[key] {
		if c.ReserveNewRequest() {
			return c
		}
	}
	return nil
}

func (p *pool) putH2(key string, c *h2conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.h2 == nil {
		p.h2 = map[string][]*h2conn{}
	}
	p.h2[key] = append(p.h2[key], c)
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, list := range p.idle {
		for _, c := range list {
			c.Close()
		}
	}
	for _, list := range p.h2 {
		for _, c := range list {
			c.Close()
		}
	}
	p.idle, p.h2 = nil, nil
}

// send carries one exchange over whatever connection suits it. hold, if not nil, is called when
// the header is out, and returns when the body may go.
func (c *Client) send(ctx context.Context, e *Exchange, hold func()) {
	r := e.Request
	w := r.Wire()
	u, err := checkWire(w)
	if err != nil {
		e.fail(err)
		return
	}
	plain := u.Scheme == "http" || r.http1 || r.chunked || r.expect || hold != nil || fieldBytes(w) > h2MaxFields
	key := u.Scheme + " " + dialAddress(u, r.address) + " " + u.Hostname()
	if plain {
		key += " 1.1"
	}
	if !r.fresh {
		if !plain {
			if h := c.pool.takeH2(key); h != nil {
				c.overHTTP2(ctx, e, h, w, u)
				return
			}
		}
		if conn := c.pool.takeH1(key); conn != nil {
			c.overHTTP1(ctx, e, conn, hold)
			c.keep(key, conn)
			return
		}
	}
	raw, state, err := c.open(ctx, u, r.address, !plain)
	if err != nil {
		e.fail(err)
		return
	}
	if state != nil && state.NegotiatedProtocol == "h2" {
		// One connection without the layer of net/http that repeats requests.
		//lint:ignore SA1019 http.Transport repeats what a server refused to take
		tr := &http2.Transport{DisableCompression: true, MaxHeaderListSize: maxHeader}
		//lint:ignore SA1019 as above
		cc, err := tr.NewClientConn(raw)
		if err != nil {
			raw.Close()
			e.fail(err)
			return
		}
		h := &h2conn{ClientConn: cc, id: c.ids.Add(1), remote: raw.RemoteAddr().String(), tls: state}
		if r.fresh {
			defer cc.Close()
		} else {
			cc.ReserveNewRequest()
			c.pool.putH2(key, h)
		}
		c.overHTTP2(ctx, e, h, w, u)
		return
	}
	conn := c.wrap(raw, state, u)
	c.overHTTP1(ctx, e, conn, hold)
	if r.fresh {
		conn.Close()
		return
	}
	c.keep(key, conn)
}

// connect opens an HTTP/1.1 connection for e; nil, with e failed, if it cannot.
func (c *Client) connect(ctx context.Context, e *Exchange) *conn {
	u, err := checkWire(e.Request.Wire())
	if err != nil {
		e.fail(err)
		return nil
	}
	raw, state, err := c.open(ctx, u, e.Request.address, false)
	if err != nil {
		e.fail(err)
		return nil
	}
	return c.wrap(raw, state, u)
}

func (c *Client) wrap(raw net.Conn, state *tls.ConnectionState, u *url.URL) *conn {
	conn := &conn{Conn: raw, id: c.ids.Add(1), tls: state, viaProxy: c.target.proxy != nil && u.Scheme == "http"}
	conn.br = bufio.NewReader(conn)
	return conn
}

// keep puts a connection that can carry another request back.
func (c *Client) keep(key string, conn *conn) {
	if conn.broken || conn.announcedClose {
		conn.Close()
		return
	}
	c.pool.put(key, conn)
}

func fieldBytes(w Wire) int {
	n := len(w.URL)
	for _, h := range w.Headers {
		n += len(h.Name) + len(h.Value)
	}
	return n
}

// open connects, through the proxy if there is one, and shakes hands for https.
func (c *Client) open(ctx context.Context, u *url.URL, to string, h2 bool) (net.Conn, *tls.ConnectionState, error) {
	raw, err := c.dial(ctx, u, to)
	if err != nil || u.Scheme != "https" {
		return raw, nil, err
	}
	cfg := c.target.tls.Clone()
	cfg.ServerName = u.Hostname()
	cfg.NextProtos = []string{"http/1.1"}
	if h2 {
		cfg.NextProtos = []string{"h2", "http/1.1"}
	}
	conn := tls.Client(raw, cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, nil, handshakeError{err}
	}
	state := conn.ConnectionState()
	return conn, &state, nil
}

// dial makes the TCP connection; for https through a proxy, the tunnel.
func (c *Client) dial(ctx context.Context, u *url.URL, to string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	address := dialAddress(u, to)
	proxy := c.target.proxy
	if proxy == nil {
		return d.DialContext(ctx, "tcp", address)
	}
	conn, err := d.DialContext(ctx, "tcp", dialAddress(proxy, ""))
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	if u.Scheme == "http" {
		return conn, nil
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	head := "CONNECT " + address + " HTTP/1.1\r\nHost: " + address + "\r\n" + proxyAuthorization(proxy) + "\r\n"
	if _, err = io.WriteString(conn, head); err == nil {
		var resp *http.Response
		// one byte at a time: what follows the header belongs to the tunnel
		resp, err = http.ReadResponse(bufio.NewReaderSize(oneByte{io.LimitReader(conn, maxHeader)}, 16), &http.Request{Method: "CONNECT"})
		if err == nil && resp.StatusCode != 200 {
			err = protocolError{fmt.Errorf("proxy %s answered %d to CONNECT %s", proxy.Host, resp.StatusCode, address)}
		}
	}
	if err != nil {
		conn.Close()
		return nil, cmp.Or(ctx.Err(), err)
	}
	return conn, nil
}

type oneByte struct{ io.Reader }

func (o oneByte) Read(p []byte) (int, error) { return o.Reader.Read(p[:min(1, len(p))]) }

func proxyAuthorization(proxy *url.URL) string {
	if proxy == nil || proxy.User == nil {
		return ""
	}
	password, _ := proxy.User.Password()
	return "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(proxy.User.Username()+":"+password)) + "\r\n"
}

// ---- HTTP/1.1 ----

// overHTTP1 carries one exchange over conn. The connection is marked broken unless the whole
// answer came and nothing stands in the way of another request.
func (c *Client) overHTTP1(ctx context.Context, e *Exchange, conn *conn, hold func()) {
	e.ConnID, e.Reused, e.Remote, e.TLS = conn.id, conn.used, conn.RemoteAddr().String(), conn.tls
	reusable := false
	defer func() { conn.used, conn.broken = true, !reusable }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if conn.broken {
		e.fail(fmt.Errorf("the connection was lost with the exchange before: %w", io.EOF))
		return
	}

	r := e.Request
	w := r.Wire()
	u, err := checkWire(w)
	if err != nil {
		e.fail(err)
		return
	}
	head, rest := c.encodeHTTP1(r, w, u, conn.viaProxy)
	if hold != nil && len(rest) == 0 {
		head, rest = head[:len(head)-2], head[len(head)-2:] // the end of the header is held back
	}
	conn.method, conn.head, conn.noting = w.Method, nil, true
	defer func() { conn.noting = false }()
	if _, err := conn.Write(head); err != nil {
		e.fail(c.lost(ctx, err))
		return
	}
	if hold != nil {
		hold()
	}
	var early *http.Response
	if r.expect && len(rest) > 0 {
		start := time.Now()
		early = c.awaitContinue(ctx, e, conn)
		e.HeldBack = time.Since(start)
		if e.Err != nil {
			return
		}
	}
	written := make(chan error, 1)
	if early == nil || early.StatusCode < 200 {
		go func() {
			var err error
			if len(rest) > 0 {
				_, err = conn.Write(rest)
			}
			written <- err
		}()
	}
	resp := early
	if resp == nil || resp.StatusCode < 200 {
		resp, err = c.readFinal(e, conn)
		if err != nil {
			e.fail(c.lost(ctx, err))
			_ = conn.SetDeadline(time.Unix(1, 0)) // let a writer go
			<-written
			return
		}
	}
	conn.noting = false
	e.Status, e.Proto, e.Header = resp.StatusCode, resp.Proto, resp.Header
	e.HeaderRaw = fieldsOf(conn.head)
	e.ConnClosed = resp.Close
	conn.announcedClose = resp.Close
	body, whole, err := c.readBody(resp.Body)
	if err != nil && tooLarge(resp.StatusCode) && kindOf(err) == ErrReset {
		err = nil // the rest of the request met a closed door, and that cut the answer
	}
	if err != nil {
		e.fail(c.lost(ctx, err))
	}
	c.setBody(e, body, !whole && err == nil)
	if early == nil || early.StatusCode < 200 {
		grace := time.NewTimer(writeGrace)
		select {
		case werr := <-written:
			reusable = err == nil && whole && werr == nil
		case <-grace.C: // answered before the body was out: the rest is of no use
			_ = conn.SetDeadline(time.Unix(1, 0))
			<-written
		}
		grace.Stop()
	}
	reusable = reusable && conn.br.Buffered() == 0
}

// tooLarge tells the refusals after which a server may close the connection with the request half
// read (RFC 9110 §15.5.14, RFC 6585 §5).
func tooLarge(status int) bool {
	return status == http.StatusRequestEntityTooLarge || status == http.StatusRequestHeaderFieldsTooLarge
}

// encodeHTTP1 returns the header, its empty line included, and the encoded body.
func (c *Client) encodeHTTP1(r Request, w Wire, u *url.URL, viaProxy bool) (head, body []byte) {
	var b bytes.Buffer
	target := u.RequestURI()
	if viaProxy {
		target = u.Scheme + "://" + u.Host + target
	}
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", w.Method, target)
	has := func(name string) bool {
		return slices.ContainsFunc(w.Headers, func(h HeaderLine) bool { return strings.EqualFold(h.Name, name) })
	}
	if !has("Host") {
		fmt.Fprintf(&b, "Host: %s\r\n", u.Host)
	}
	if viaProxy {
		b.WriteString(proxyAuthorization(c.target.proxy))
	}
	for _, h := range w.Headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h.Name, h.Value)
	}
	body = w.Body
	switch {
	case r.chunked:
		b.WriteString("Transfer-Encoding: chunked\r\n")
		body = chunk(body)
	case (len(body) > 0 || w.Method != "GET" && w.Method != "HEAD" && w.Method != "OPTIONS") && !has("Content-Length") && !has("Transfer-Encoding"):
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	if r.expect {
		b.WriteString("Expect: 100-continue\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes(), body
}

// chunk encodes a body in two chunks, so that it is more than a length in another place.
func chunk(body []byte) []byte {
	var b bytes.Buffer
	for _, part := range [][]byte{body[:len(body)/2], body[len(body)/2:]} {
		if len(part) > 0 {
			fmt.Fprintf(&b, "%x\r\n%s\r\n", len(part), part)
		}
	}
	b.WriteString("0\r\n\r\n")
	return b.Bytes()
}

// awaitContinue waits for an interim or final answer while the body is held back; nil if none came.
func (c *Client) awaitContinue(ctx context.Context, e *Exchange, conn *conn) *http.Response {
	_ = conn.SetReadDeadline(time.Now().Add(holdBack))
	_, err := conn.br.Peek(1)
	_ = conn.SetReadDeadline(time.Time{})
	if ctx.Err() != nil {
		e.fail(ctx.Err())
		return nil
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return nil
	}
	resp, err := c.readOne(conn)
	if err != nil {
		e.fail(c.lost(ctx, err))
		return nil
	}
	if resp.StatusCode < 200 {
		e.Interim = append(e.Interim, resp.StatusCode)
	}
	return resp
}

func (c *Client) readOne(conn *conn) (*http.Response, error) {
	resp, err := http.ReadResponse(conn.br, &http.Request{Method: conn.method})
	if err == nil {
		return resp, nil
	}
	var neterr net.Error
	switch {
	case errors.Is(err, errHeaderTooLong), errors.As(err, &neterr), errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
		return nil, err
	case !bytes.HasPrefix(conn.head, []byte("HTTP/")) && len(conn.head) >= 5:
		return nil, protocolError{fmt.Errorf("what came is not HTTP: %q", Printable(string(conn.head), 60))}
	case errors.Is(err, io.ErrUnexpectedEOF), conn.ended && fieldsOf(conn.head) == nil:
		return nil, fmt.Errorf("the connection was closed before the answer's header was whole: %w", io.ErrUnexpectedEOF)
	}
	return nil, protocolError{fmt.Errorf("what came is not HTTP: %w", err)}
}

// readFinal passes interim answers by.
func (c *Client) readFinal(e *Exchange, conn *conn) (*http.Response, error) {
	for {
		resp, err := c.readOne(conn)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode >= 200 {
			return resp, nil
		}
		e.Interim = append(e.Interim, resp.StatusCode)
		if resp.StatusCode == 101 || len(e.Interim) > maxInterim {
			return nil, protocolError{fmt.Errorf("interim answers without end, or a switch of protocols: %v", e.Interim)}
		}
	}
}

// lost prefers the reason for a cut connection over the cut: our time was up, or the run stopped.
func (c *Client) lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w after %s", ctx.Err(), c.target.opt.Timeout)
	}
	return err
}

// fieldsOf returns the field lines of the final answer's header, interim answers passed by; nil if
// it is not whole.
func fieldsOf(head []byte) []HeaderLine {
	rest := strings.ReplaceAll(string(head), "\r\n", "\n")
	for {
		block, after, whole := strings.Cut(rest, "\n\n")
		if !whole {
			return nil
		}
		status, lines, _ := strings.Cut(block, "\n")
		if _, code, _ := strings.Cut(status, " "); strings.HasPrefix(code, "1") {
			rest = after
			continue
		}
		out := []HeaderLine{}
		for line := range strings.SplitSeq(lines, "\n") {
			if name, value, ok := strings.Cut(line, ":"); ok {
				out = append(out, HeaderLine{name, strings.TrimSpace(value)})
			}
		}
		return out
	}
}

// readBody reads at most what is kept, and one byte more to see whether it goes on.
func (c *Client) readBody(body io.ReadCloser) (b []byte, whole bool, err error) {
	defer body.Close()
	limit := c.target.opt.MaxBody
	b, err = io.ReadAll(io.LimitReader(body, limit+1))
	if int64(len(b)) > limit {
		return b[:limit], false, nil
	}
	return b, err == nil, err
}

// setBody keeps a body, decoded within the same bound where the server encoded it unasked.
func (c *Client) setBody(e *Exchange, b []byte, truncated bool) {
	e.Body, e.BodyBytes, e.Truncated = b, int64(len(b)), truncated
	coding := strings.ToLower(strings.TrimSpace(e.Header.Get("Content-Encoding")))
	var dec io.Reader
	var err error
	switch coding {
	case "gzip", "x-gzip":
		dec, err = gzip.NewReader(bytes.NewReader(b))
	case "deflate":
		if dec, err = zlib.NewReader(bytes.NewReader(b)); err != nil {
			dec, err = flate.NewReader(bytes.NewReader(b)), nil
		}
	default:
		return
	}
	if err != nil {
		return
	}
	limit := c.target.opt.MaxBody
	plain, err := io.ReadAll(io.LimitReader(dec, limit+1))
	if err != nil && len(plain) == 0 {
		return
	}
	e.Encoding = coding
	if int64(len(plain)) > limit {
		plain, e.Truncated = plain[:limit], true
	}
	e.Body = plain
}

// ---- HTTP/2 ----

func (c *Client) overHTTP2(ctx context.Context, e *Exchange, h *h2conn, w Wire, u *url.URL) {
	c.pool.mu.Lock()
	e.Reused, h.used = h.used, true
	c.pool.mu.Unlock()
	e.ConnID, e.Remote, e.TLS = h.id, h.remote, h.tls
	u.Fragment = ""
	// Without GetBody nothing can be sent a second time.
	req := (&http.Request{Method: w.Method, URL: u, Host: u.Host, Header: http.Header{"User-Agent": nil}, ContentLength: int64(len(w.Body))}).WithContext(ctx)
	for _, f := range w.Headers {
		switch {
		case strings.EqualFold(f.Name, "Host"):
			req.Host = f.Value
		case strings.EqualFold(f.Name, "Content-Length"):
			req.ContentLength, _ = strconv.ParseInt(f.Value, 10, 64)
		default:
			req.Header[http.CanonicalHeaderKey(f.Name)] = append(req.Header[http.CanonicalHeaderKey(f.Name)], f.Value)
		}
	}
	if len(w.Body) > 0 {
		req.Body = io.NopCloser(bytes.NewReader(w.Body))
	}
	resp, err := h.RoundTrip(req)
	if err != nil {
		e.fail(c.lost(ctx, h2error(err)))
		return
	}
	e.Status, e.Proto, e.Header = resp.StatusCode, resp.Proto, resp.Header
	for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
		for _, v := range resp.Header[name] {
			e.HeaderRaw = append(e.HeaderRaw, HeaderLine{strings.ToLower(name), v})
		}
	}
	body, whole, err := c.readBody(resp.Body)
	if err != nil {
		e.fail(c.lost(ctx, h2error(err)))
	}
	c.setBody(e, body, !whole && err == nil)
}

func h2error(err error) error {
	var stream http2.StreamError
	//lint:ignore SA1019 it is what the connection above returns
	var goaway http2.GoAwayError
	if errors.As(err, &stream) || errors.As(err, &goaway) {
		return fmt.Errorf("%w: %w", err, io.ErrUnexpectedEOF)
	}
	return err
}
