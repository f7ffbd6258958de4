package exchange

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/time/rate"
)

// An ErrKind says why no whole answer came.
type ErrKind string

const (
	ErrTimeout     ErrKind = "timeout"     // nothing, or not all, within the time given
	ErrReset       ErrKind = "reset"       // the connection was closed or reset before the answer was whole
	ErrRefused     ErrKind = "refused"     // connection refused
	ErrUnreachable ErrKind = "unreachable" // no route to the host or network
	ErrDNS         ErrKind = "dns"         // the name does not resolve
	ErrTLS         ErrKind = "tls"         // the handshake failed
	ErrCertificate ErrKind = "certificate" // the certificate is not trusted, not valid or for another name
	ErrProtocol    ErrKind = "protocol"    // what came is not HTTP, or beyond its bounds
	ErrCanceled    ErrKind = "canceled"    // the run was cut short
	ErrRequest     ErrKind = "request"     // the request cannot be sent: a mistake on our side
)

// An Exchange is one request and what came of it. Body, headers and errors are as received: use
// [Exchange.Report], [Exchange.Curl] and [Exchange.ErrText] for what people see.
type Exchange struct {
	Request Request

	Status     int // 0 when no answer came
	Proto      string
	Header     http.Header
	HeaderRaw  []HeaderLine  // in order and spelling as received; over HTTP/2 sorted by name
	Body       []byte        // decoded where the server encoded it unasked
	BodyBytes  int64         // as received, before decoding
	Encoding   string        // the Content-Encoding that was decoded
	Truncated  bool          // the body went on beyond Options.MaxBody
	Interim    []int         // statuses of interim answers, 100 above all
	HeldBack   time.Duration // with ExpectContinue: how long the body was held back; two seconds mean that nothing came
	Err        error         // why the answer is not there, or not whole; a status may be there beside it
	ErrKind    ErrKind
	Due        time.Time     // when it was asked for
	Sent       time.Time     // when the pace let it go; connecting is part of Took
	Took       time.Duration // until the last byte
	ConnID     uint64        // equal for exchanges over one connection
	Reused     bool          // the connection had carried an exchange before
	ConnClosed bool          // the server announced that it closes the connection
	Remote     string        // address that answered
	TLS        *tls.ConnectionState

	once   sync.Once
	answer *Answer
}

// ErrText returns the error redacted, "" without one.
func (e *Exchange) ErrText() string {
	if e.Err == nil {
		return ""
	}
	text := e.Err.Error()
	if e.Request.target != nil {
		text = e.Request.target.Redactor.Redact(text)
	}
	return Printable(text, 300)
}

// ClientOptions say how a [Client] sends.
type ClientOptions struct {
	Rate     float64 // requests a second, 0: as they come
	Burst    int     // requests that may go at once; 1 if zero
	Parallel int     // exchanges at a time, 0: no bound

	Sleep   func(context.Context, time.Duration) error // waits for the pace; a timer if nil
	Observe func(*Exchange)                            // sees every exchange as it ends; calls may overlap
}

// A Client sends requests exactly as told: no redirects, no retries, no cookies, no header that
// the request does not show. It is safe for concurrent use.
type Client struct {
	target  *Target
	opt     ClientOptions
	limiter *rate.Limiter
	slots   chan struct{}
	pool    pool
	ids     atomic.Uint64
	count   atomic.Int64
}

// NewClient makes a client for a target. Close ends its connections.
func NewClient(t *Target, opt ClientOptions) *Client {
	c := &Client{target: t, opt: opt}
	if opt.Rate > 0 {
		c.limiter = rate.NewLimiter(rate.Limit(opt.Rate), max(1, opt.Burst))
	}
	if opt.Parallel > 0 {
		c.slots = make(chan struct{}, opt.Parallel)
	}
	if c.opt.Sleep == nil {
		c.opt.Sleep = sleep
	}
	return c
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Count returns how many requests were sent, handshakes excluded.
func (c *Client) Count() int64 { return c.count.Load() }

// Close ends every idle connection.
func (c *Client) Close() { c.pool.close() }

// Do sends one request. It always returns an exchange; Err tells what went wrong.
func (c *Client) Do(ctx context.Context, r Request) *Exchange {
	e := c.begin(r)
	if !c.admit(ctx, []*Exchange{e}) {
		return e
	}
	defer c.release()
	ctx, cancel := context.WithTimeout(ctx, c.target.opt.Timeout)
	defer cancel()
	c.send(ctx, e, nil)
	c.end(e)
	return e
}

// Together sends requests at the same instant over separate connections: all connect, send their
// headers and wait for each other; then all bodies go. A request without a body holds back the end
// of its header. Requests with [Request.To] may differ in the address they connect to.
func (c *Client) Together(ctx context.Context, requests []Request) []*Exchange {
	all := make([]*Exchange, len(requests))
	for i, r := range requests {
		all[i] = c.begin(r.Fresh().HTTP1())
	}
	if len(all) == 0 || !c.admit(ctx, all) {
		return all
	}
	defer c.release()
	ctx, cancel := context.WithTimeout(ctx, c.target.opt.Timeout)
	defer cancel()

	ready := make(chan struct{}, len(all)) // one for each that waits, or has failed
	gate := make(chan struct{})
	var wg sync.WaitGroup
	for _, e := range all {
		wg.Go(func() {
			var once sync.Once
			arrived := func() { once.Do(func() { ready <- struct{}{} }) }
			c.send(ctx, e, func() { arrived(); <-gate })
			arrived()
			c.end(e)
		})
	}
	for range all {
		<-ready
	}
	close(gate)
	wg.Wait()
	return all
}

// Sequence sends requests one after another over one HTTP/1.1 connection. Only where the server
// announced that it closes the connection does the next request go over a new one; ConnID and
// Reused tell. Exchanges that follow a lost one are lost too.
func (c *Client) Sequence(ctx context.Context, requests ...Request) []*Exchange {
	all := make([]*Exchange, len(requests))
	var conn *conn
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	for i, r := range requests {
		r.http1, r.fresh = true, false
		e := c.begin(r)
		all[i] = e
		if !c.admit(ctx, []*Exchange{e}) {
			continue
		}
		func() {
			defer c.release()
			ctx, cancel := context.WithTimeout(ctx, c.target.opt.Timeout)
			defer cancel()
			if conn == nil || conn.announcedClose {
				if conn != nil {
					conn.Close()
				}
				if conn = c.connect(ctx, e); conn == nil {
					return
				}
			}
			c.overHTTP1(ctx, e, conn, nil)
		}()
		c.end(e)
	}
	return all
}

// begin starts the record of an exchange.
func (c *Client) begin(r Request) *Exchange {
	if r.target == nil {
		r.target = c.target
	}
	return &Exchange{Request: r, Due: c.target.opt.Now(), Header: http.Header{}}
}

// admit waits for a slot and the pace. It reports false, with the exchanges ended, if the wait was
// cut short or a request cannot be sent.
func (c *Client) admit(ctx context.Context, all []*Exchange) bool {
	fail := func(err error) bool {
		for _, e := range all {
			if e.Err == nil {
				e.fail(err)
			}
			e.Sent = c.target.opt.Now()
			if c.opt.Observe != nil {
				c.opt.Observe(e)
			}
		}
		return false
	}
	for _, e := range all {
		if err := e.Request.err; err != nil {
			return fail(requestError{err})
		}
	}
	if c.slots != nil {
		select {
		case c.slots <- struct{}{}:
		case <-ctx.Done():
			return fail(ctx.Err())
		}
	}
	if c.limiter != nil {
		now := c.target.opt.Now()
		var wait time.Duration
		for range all {
			wait = max(wait, c.limiter.ReserveN(now, 1).DelayFrom(now))
		}
		if wait > 0 {
			if err := c.opt.Sleep(ctx, wait); err != nil {
				c.release()
				return fail(err)
			}
		}
	}
	if err := ctx.Err(); err != nil {
		c.release()
		return fail(err)
	}
	for _, e := range all {
		e.Sent = c.target.opt.Now()
	}
	c.count.Add(int64(len(all)))
	return true
}

func (c *Client) release() {
	if c.slots != nil {
		<-c.slots
	}
}

// end closes the record: time, and what the redactor has to know.
func (c *Client) end(e *Exchange) {
	e.Took = c.target.opt.Now().Sub(e.Sent)
	e.learn()
	if c.opt.Observe != nil {
		c.opt.Observe(e)
	}
}

// requestError marks what is wrong with a request before it is sent.
type requestError struct{ error }

func (e requestError) Unwrap() error { return e.error }

// protocolError marks an answer that is not HTTP, or beyond its bounds.
type protocolError struct{ error }

func (e protocolError) Unwrap() error { return e.error }

func (e *Exchange) fail(err error) {
	e.Err, e.ErrKind = err, kindOf(err)
}

func kindOf(err error) ErrKind {
	var (
		dns       *net.DNSError
		verify    *tls.CertificateVerificationError
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		alert     tls.AlertError
		record    tls.RecordHeaderError
		timeout   interface{ Timeout() bool }
		ours      requestError
		protocol  protocolError
		handshake handshakeError
	)
	switch {
	case errors.As(err, &ours):
		return ErrRequest
	case errors.Is(err, context.Canceled):
		return ErrCanceled
	case errors.As(err, &dns) && !dns.IsTimeout:
		return ErrDNS
	case errors.As(err, &verify), errors.As(err, &authority), errors.As(err, &host), errors.As(err, &invalid):
		return ErrCertificate
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return ErrTimeout
	case errors.As(err, &alert), errors.As(err, &record), errors.As(err, &handshake):
		return ErrTLS
	case errors.Is(err, syscall.ECONNREFUSED):
		return ErrRefused
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return ErrUnreachable
	case errors.As(err, &protocol):
		return ErrProtocol
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return ErrReset
	}
	return ErrProtocol
}

// ---- TLS and addresses ----

// HandshakeOptions say what a handshake offers.
type HandshakeOptions struct {
	Min, Max     uint16   // tls.VersionTLS10 …; zero: TLS 1.2 and 1.3
	CipherSuites []uint16 // nil: Go's choice; TLS 1.3 suites cannot be chosen
	Verify       bool     // check the certificate against the trust store
	Address      string   // connect to this address in place of the host's
}

// RC4Suites are the cipher suites forbidden by RFC 7465.
var RC4Suites = []uint16{tls.TLS_RSA_WITH_RC4_128_SHA, tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA, tls.TLS_ECDHE_RSA_WITH_RC4_128_SHA}

// A Handshake is what came of one. Nothing is sent over it.
type Handshake struct {
	OK      bool
	Reached bool // a TCP connection was made: a failure is the handshake's
	State   tls.ConnectionState
	Err     error
	ErrKind ErrKind
}

// Handshake tries a TLS handshake with the host of the token endpoint.
func (c *Client) Handshake(ctx context.Context, opt HandshakeOptions) Handshake {
	ctx, cancel := context.WithTimeout(ctx, c.target.opt.Timeout)
	defer cancel()
	u := *c.target.token
	u.Scheme = "https"
	raw, err := c.dial(ctx, &u, opt.Address)
	if err != nil {
		return Handshake{Err: err, ErrKind: kindOf(err)}
	}
	defer raw.Close()
	cfg := c.target.tls.Clone()
	cfg.ServerName = u.Hostname()
	cfg.CipherSuites = opt.CipherSuites
	cfg.InsecureSkipVerify = !opt.Verify // a probe of versions; nothing travels over it
	if opt.Min != 0 {
		cfg.MinVersion = opt.Min
	}
	cfg.MaxVersion = opt.Max
	h := Handshake{Reached: true}
	conn := tls.Client(raw, cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		h.Err = handshakeError{err}
		h.ErrKind = kindOf(h.Err)
		return h
	}
	h.OK, h.State = true, conn.ConnectionState()
	return h
}

// handshakeError marks a failure of the TLS handshake.
type handshakeError struct{ error }

func (e handshakeError) Unwrap() error { return e.error }

// Addresses resolves the host of the token endpoint, for [Request.To].
func (c *Client) Addresses(ctx context.Context) ([]string, error) {
	if c.target.opt.Resolve != nil {
		return c.target.opt.Resolve(ctx, c.target.token.Hostname())
	}
	return net.DefaultResolver.LookupHost(ctx, c.target.token.Hostname())
}

// checkWire refuses what would not be one request: line breaks in fields, blanks in the target.
func checkWire(w Wire) (*url.URL, error) {
	u, err := url.Parse(w.URL)
	if err != nil {
		return nil, requestError{fmt.Errorf("address %q cannot be read: %w", Printable(w.URL, 200), errors.Unwrap(err))}
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, requestError{fmt.Errorf("address %q: want http or https and a host", Printable(w.URL, 200))}
	}
	if strings.ContainsAny(u.RequestURI(), " \r\n\x00") || strings.ContainsAny(w.Method, " \r\n\x00") || w.Method == "" {
		return nil, requestError{fmt.Errorf("%s %s: a blank or control character in the request line", Printable(w.Method, 20), Printable(w.URL, 200))}
	}
	for _, h := range w.Headers {
		if !isToken(h.Name) || strings.ContainsAny(h.Value, "\r\n\x00") {
			return nil, requestError{fmt.Errorf("header field %q: a line break, or no field name", Printable(h.Name, 40))}
		}
	}
	return u, nil
}
