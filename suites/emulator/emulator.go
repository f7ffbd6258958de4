package emulator

import (
	"context"
	"crypto/rand"
	"encoding/hex"
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
	"time"

	"grantcheck/suites/contract"
)

// Options say what to emulate and how.
type Options struct {
	Contract   *contract.Contract // as loaded, references and all; or bound
	Edition    string             // oauth20, bcp or oauth21; empty: the contract's
	Faults     []string
	Variations []string
	// Sound arranges what the faults and variations need around them, and leaves the server as it should be.
	Sound bool

	// Limits replace the contract's documented limits; Unlimited switches both off.
	Limits    []Limit
	Unlimited bool
	Latency   time.Duration // before every answer of the token endpoint
	TLS       *TLS          // nil: plain HTTP
	Listen    string        // address; empty: 127.0.0.1 and a free port
	// TwoAddresses listens on a second loopback address too, at the same port; see Addresses.
	TwoAddresses bool
	// ES256 signs access tokens with ES256, which takes a fiftieth of the time of RS256. Fast, for
	// load, also makes them opaque where the contract leaves that open.
	ES256, Fast bool

	Script  string    // answers to give first: "429,429,ok"; see ParseScript
	Journal io.Writer // where Close writes what each client did; nil: nothing is kept

	// FixedCredentials are the same in every process; otherwise they are made at random.
	FixedCredentials bool

	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration) // nil: the machine's clock
	Rand  io.Reader
}

// Emulator is a token endpoint, with all that belongs to it, that does what a contract
// documents.
type Emulator struct {
	opt       Options
	changes   []change
	behaviour *behaviour
	edition   string

	bound   *contract.Contract // served
	dialect *dialect
	env     map[string]string
	dir     string // key and certificate files, made on demand

	base             string // scheme and authority
	issuer           string
	authorizationURL string
	revocationURL    string
	introspectionURL string
	metadata         bool // metadata is served
	pkceUnsupported  bool
	refreshLifetime  time.Duration
	routes           map[string]*route

	clients     map[string]*client // by id
	registered  []*client
	users       map[string]*user // by name
	primaryUser *user
	keys        []*signingKey // published: RS256, then ES256
	keyFiles    map[string]*signingKey
	issuers     issuers
	operator    map[string]string // values of parameters that come from a reference
	scopes      scopes
	store       *store
	limiters    []*limiter
	script      *script
	journal     *journal
	certificate *certificate

	seq       atomic.Uint64
	randMu    sync.Mutex
	date      atomic.Pointer[dateText]
	sessionMu sync.Mutex
	sessions  bounded[*user]

	listeners []net.Listener
	servers   []*http.Server
	plain     net.Listener
	proxy     net.Listener
}

// route is what answers at a path.
type route struct {
	at    endpoint
	serve func(*flow) *answer
}

// New prepares an emulator. Faults and variations bring their setups with them. The
// address is known after Start, or at once where Listen names a port.
func New(opt Options) (*Emulator, error) {
	if opt.Contract == nil {
		return nil, errors.New("emulator: no contract")
	}
	if opt.Contract.Abstract {
		return nil, fmt.Errorf("contract %s is only a base for others", opt.Contract.Name)
	}
	e := &Emulator{}
	var err error
	if e.changes, err = opt.changes(); err != nil {
		return nil, err
	}
	for _, c := range e.changes {
		if opt.Edition == "" {
			opt.Edition = c.setup.Edition
		}
		if c.setup.Options != nil {
			c.setup.Options(&opt)
		}
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Sleep == nil {
		opt.Sleep = func(ctx context.Context, d time.Duration) {
			t := time.NewTimer(d)
			defer t.Stop()
			select {
			case <-t.C:
			case <-ctx.Done():
			}
		}
	}
	if opt.Listen == "" {
		opt.Listen = "127.0.0.1:0"
	}
	e.opt = opt
	e.behaviour = standardBehaviour()
	for _, c := range e.changes {
		if !opt.Sound {
			c.apply(e.behaviour)
		}
	}
	if opt.Script != "" {
		if e.script, err = parseScript(opt.Script); err != nil {
			return nil, err
		}
	}
	if opt.Journal != nil {
		e.journal = newJournal()
	}
	if opt.TLS != nil {
		if e.behaviour.tls != nil {
			e.behaviour.tls(opt.TLS)
		}
		if e.certificate, err = newCertificate(opt.TLS, opt.Now()); err != nil {
			return nil, err
		}
	}
	if err := e.build(e.address(opt.Listen)); err != nil {
		return nil, err
	}
	return e, nil
}

func (e *Emulator) now() time.Time { return e.opt.Now() }

func (e *Emulator) sleep(ctx context.Context, d time.Duration) {
	if d > 0 {
		e.opt.Sleep(ctx, d)
	}
}

// address is the base URL for a listening address.
func (e *Emulator) address(listen string) string {
	scheme := "http"
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		host, port = listen, "0"
	}
	if e.opt.TLS != nil {
		scheme = "https"
		if e.opt.TLS.Host != "" {
			host = e.opt.TLS.Host
		}
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// Start listens and serves until Close.
func (e *Emulator) Start() error {
	l, err := net.Listen("tcp", e.opt.Listen)
	if err != nil {
		return fmt.Errorf("emulator: %w", err)
	}
	e.listeners = append(e.listeners, l)
	if e.opt.TwoAddresses {
		_, port, _ := net.SplitHostPort(l.Addr().String())
		second, err := net.Listen("tcp", net.JoinHostPort("127.0.0.2", port))
		if err != nil { // only Linux has all of 127.0.0.0/8 at hand
			second, err = net.Listen("tcp", net.JoinHostPort("::1", port))
		}
		if err != nil {
			l.Close()
			return fmt.Errorf("emulator: second address: %w", err)
		}
		e.listeners = append(e.listeners, second)
	}
	if err := e.build(e.address(l.Addr().String())); err != nil {
		return err
	}
	for _, l := range e.listeners {
		if e.opt.TLS != nil {
			l = e.opt.TLS.listener(l, e.certificate)
		}
		e.serve(l)
	}
	if e.opt.TLS != nil && e.opt.TLS.Plain {
		if e.plain, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return fmt.Errorf("emulator: %w", err)
		}
		e.serve(e.plain)
	}
	if e.opt.TLS != nil && e.opt.TLS.Host != "" {
		if e.proxy, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return fmt.Errorf("emulator: %w", err)
		}
		s := &http.Server{Handler: http.HandlerFunc(e.proxyHandler), ReadHeaderTimeout: 30 * time.Second, ErrorLog: quiet}
		e.servers = append(e.servers, s)
		go s.Serve(e.proxy)
	}
	return nil
}

// Addresses lists the addresses it listens on, without the port.
func (e *Emulator) Addresses() []string {
	var out []string
	for _, l := range e.listeners {
		host, _, _ := net.SplitHostPort(l.Addr().String())
		out = append(out, host)
	}
	return out
}

func (e *Emulator) serve(l net.Listener) {
	s := &http.Server{Handler: e, ReadHeaderTimeout: 30 * time.Second, ErrorLog: quiet, TLSNextProto: noHTTP2}
	if e.opt.TLS != nil && e.opt.TLS.HTTP2 && l != e.plain {
		s.TLSNextProto = nil
	}
	e.servers = append(e.servers, s)
	go s.Serve(l)
}

// Close stops serving at once, writes the journal and removes the files it made.
func (e *Emulator) Close() {
	for _, s := range e.servers {
		s.Close()
	}
	for _, l := range e.listeners {
		l.Close()
	}
	if e.journal != nil {
		e.journal.write(e.opt.Journal)
	}
	if e.dir != "" && !e.opt.FixedCredentials {
		os.RemoveAll(e.dir)
	}
}

// URL is the token endpoint.
func (e *Emulator) URL() string { return e.base + e.dialect.path(nil) }

// Base is scheme and authority of every endpoint.
func (e *Emulator) Base() string { return e.base }

// PlainURL is the token endpoint without TLS, where TLS.Plain asks for one.
func (e *Emulator) PlainURL() string {
	if e.plain == nil {
		return ""
	}
	return "http://" + e.plain.Addr().String() + e.dialect.path(nil)
}

// Requests is how many requests came so far, to any endpoint.
func (e *Emulator) Requests() uint64 { return e.seq.Load() }

// randomToken is 32 random bytes, base64url.
func (e *Emulator) randomToken() string {
	var b [32]byte
	e.random(b[:])
	return b64.EncodeToString(b[:])
}

func (e *Emulator) random(b []byte) {
	if e.opt.Rand == nil {
		rand.Read(b)
		return
	}
	e.randMu.Lock()
	defer e.randMu.Unlock()
	if _, err := io.ReadFull(e.opt.Rand, b); err != nil {
		panic("emulator: no randomness: " + err.Error())
	}
}

func (e *Emulator) uuid() string {
	var b [16]byte
	e.random(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

// dateText is the Date field of one second.
type dateText struct {
	second int64
	text   string
}

func (e *Emulator) httpDate(now time.Time) string {
	if d := e.date.Load(); d != nil && d.second == now.Unix() {
		return d.text
	}
	d := &dateText{now.Unix(), now.UTC().Format(http.TimeFormat)}
	e.date.Store(d)
	return d.text
}

// signIn and signedIn tie a login session to its user.
func (e *Emulator) signIn(session string, u *user) {
	e.sessionMu.Lock()
	defer e.sessionMu.Unlock()
	e.sessions.put(session, u)
}

func (e *Emulator) signedIn(session string) *user {
	e.sessionMu.Lock()
	defer e.sessionMu.Unlock()
	return e.sessions.m[session]
}

func pathOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(u.EscapedPath(), "/")
}
