package load

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"grantcheck/report"
)

// maxBody is how much of an answer is read; the rest is dropped with the connection.
const maxBody = 64 << 10

// A wire is how connections are made.
type wire struct {
	kind    string // reuse, fresh, resume
	tls     *tls.Config
	proxy   *url.URL
	local   net.Addr // to connect from; nil for any
	workers int
	timeout time.Duration
}

// A pool is a transport that counts what it opens.
type pool struct {
	wire
	*http.Transport
	via             http.RoundTripper // what sends: the transport
	opened, resumed atomic.Int64
	mu              sync.Mutex
	handshake       *hdrhistogram.Histogram
	proto           string
	version         string
}

func newPool(w wire) *pool {
	p := &pool{wire: w}
	dialer := &net.Dialer{Timeout: w.timeout, KeepAlive: 30 * time.Second, LocalAddr: w.local}
	cfg := w.tls.Clone()
	if cfg == nil {
		cfg = &tls.Config{}
	}
	if w.kind == "resume" {
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(w.workers)
	}
	cfg.NextProtos = []string{"h2", "http/1.1"}
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		began := time.Now()
		c, err := dialer.DialContext(ctx, network, addr)
		if err == nil {
			p.opened.Add(1)
			p.shook(time.Since(began), nil)
		}
		return c, err
	}
	p.Transport = &http.Transport{
		DialContext:         dial,
		MaxIdleConnsPerHost: w.workers, MaxIdleConns: 0, IdleConnTimeout: 90 * time.Second,
		DisableCompression: true, DisableKeepAlives: w.kind == "fresh" || w.kind == "resume",
		ForceAttemptHTTP2: true, TLSClientConfig: cfg, TLSHandshakeTimeout: w.timeout,
		MaxResponseHeaderBytes: maxBody,
	}
	p.via = p.Transport
	if w.proxy != nil {
		p.Proxy = http.ProxyURL(w.proxy)
		return p
	}
	p.DialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		began := time.Now()
		raw, err := dialer.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		c := cfg
		if c.ServerName == "" {
			c = c.Clone()
			c.ServerName, _, _ = net.SplitHostPort(addr)
		}
		conn := tls.Client(raw, c)
		if err := conn.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, err
		}
		p.opened.Add(1)
		state := conn.ConnectionState()
		p.shook(time.Since(began), &state)
		return conn, nil
	}
	return p
}

func (p *pool) shook(d time.Duration, state *tls.ConnectionState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	put(&p.handshake, d)
	if state != nil {
		p.version = tls.VersionName(state.Version)
		if state.DidResume {
			p.resumed.Add(1)
		}
	}
}

func (p *pool) report(sent int64) *report.Connections {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := &report.Connections{
		Kind: p.kind, Opened: p.opened.Load(), Resumed: p.resumed.Load(), Proto: p.proto, TLS: p.version,
	}
	out.Reused = max(0, sent-out.Opened)
	if p.handshake != nil {
		out.Handshake = report.QuantilesOf(p.handshake)
	}
	return out
}

// An exchanged is one request and its answer, in a slot that is used again once it was judged.
type exchanged struct {
	index   int
	seq     uint64
	request *Request
	start   time.Time
	done    time.Time
	status  int
	header  http.Header
	body    []byte // valid until the slot is free
	err     error
	cut     bool // the run ended before the answer came

	ctx     context.Context
	cancel  context.CancelFunc
	blank   *http.Request // with ctx, to be copied: one allocation, not two
	began   atomic.Int64  // unix nanoseconds of the exchange under way, 0 for none
	expired atomic.Bool
	tag     http.Header // tells the consumer which slot a result is in
	buf     []byte
}

// ownLag is how late a request may be sent before somebody is to blame.
const ownLag = 5 * time.Millisecond

// renew gives the slot a context to use until an exchange in it has to be cancelled.
func (e *exchanged) renew(parent context.Context) {
	e.ctx, e.cancel = context.WithCancel(parent)
	e.blank = new(http.Request).WithContext(e.ctx)
	e.expired.Store(false)
}

// An attack is one run of the engine.
type attack struct {
	ctx     context.Context
	pool    *pool
	stock   *stock
	pacer   *pacer
	workers int
	start   int // workers at first

	slots  []*exchanged
	free   chan *exchanged
	sent   atomic.Int64
	origin time.Time    // the schedule's zero
	late   atomic.Int64 // sent late although a worker was free: our own fault
	busy   atomic.Int64 // sent late because every worker waited for an answer
}

func newAttack(ctx context.Context, p *pool, s *stock, pc *pacer, start, most int) *attack {
	a := &attack{ctx: ctx, pool: p, stock: s, pacer: pc, start: start, workers: most}
	n := most + 2 // the consumer holds one, and one is on its way to it
	a.free = make(chan *exchanged, n)
	for i := range n {
		e := &exchanged{index: i, tag: http.Header{"Slot": {strconv.Itoa(i)}}, buf: make([]byte, 0, 2048)}
		e.renew(ctx)
		a.slots = append(a.slots, e)
		a.free <- e
	}
	return a
}

// run sends everything the pacer lets go and hands each exchange to consume, one at a time. An
// exchange is only valid during the call.
func (a *attack) run(consume func(*exchanged)) {
	attacker := vegeta.NewAttacker(
		vegeta.Workers(uint64(a.start)), vegeta.MaxWorkers(uint64(a.workers)),
		vegeta.Client(&http.Client{
			Transport:     (*tripper)(a),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}),
	)
	watching := make(chan struct{})
	go a.watch(watching)
	stop := context.AfterFunc(a.ctx, func() { attacker.Stop() })
	if os.Getenv("GOGC") == "" {
		// Some kB are made for each request and nothing is kept: a larger heap spares the collector
		// most of its runs, and the latencies its pauses.
		defer debug.SetGCPercent(debug.SetGCPercent(400))
	}
	a.origin = time.Now()
	// The target is only a form: the transport sends what the stock holds.
	target := func(t *vegeta.Target) error {
		if a.ctx.Err() != nil {
			return a.ctx.Err()
		}
		t.Method, t.URL = http.MethodPost, "http://load.invalid/"
		return nil
	}
	for r := range attacker.Attack(target, a.pacer, 0, "") {
		if tag := r.Headers["Slot"]; len(tag) == 1 {
			i, _ := strconv.Atoi(tag[0])
			e := a.slots[i]
			consume(e)
			e.header, e.request, e.err = nil, nil, nil
			a.free <- e
		}
	}
	stop()
	close(watching)
	for _, e := range a.slots {
		e.cancel()
	}
	a.pool.CloseIdleConnections()
}

// watch cancels exchanges that take too long. One goroutine looks after all of them, so that a
// request needs no timer of its own.
func (a *attack) watch(done <-chan struct{}) {
	tick := time.NewTicker(max(time.Millisecond, min(25*time.Millisecond, a.pool.timeout/20)))
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case now := <-tick.C:
			limit := now.Add(-a.pool.timeout).UnixNano()
			for _, e := range a.slots {
				if b := e.began.Load(); b != 0 && b < limit && e.began.CompareAndSwap(b, 0) {
					e.expired.Store(true)
					e.cancel()
				}
			}
		}
	}
}

// A tripper is the transport that vegeta is given: it sends the next request of the stock, with no
// header of vegeta's, and takes the answer whole into a slot. Only the exchange itself is timed.
type tripper attack

func (t *tripper) RoundTrip(form *http.Request) (*http.Response, error) {
	a := (*attack)(t)
	seq, _ := strconv.ParseUint(form.Header.Get("X-Vegeta-Seq"), 10, 64)
	e := <-a.free
	e.seq, e.cut, e.status, e.body = seq, false, 0, nil
	if e.expired.Load() || e.ctx.Err() != nil && a.ctx.Err() == nil {
		e.renew(a.ctx)
	}
	if e.request = a.stock.next(a.ctx); e.request == nil || a.ctx.Err() != nil {
		a.free <- e
		return nil, context.Canceled
	}
	req := new(http.Request)
	*req = *e.blank
	e.request.into(req)
	a.sent.Add(1)
	e.start = time.Now()
	if d, ok := a.pacer.due(seq); ok && !a.pacer.plan.Closed() && e.start.Sub(a.origin)-d > ownLag {
		if len(a.slots)-len(a.free) >= a.workers {
			a.busy.Add(1)
		} else {
			a.late.Add(1)
		}
	}
	e.began.Store(e.start.UnixNano())
	resp, err := a.pool.via.RoundTrip(req)
	if err == nil {
		e.status, e.header = resp.StatusCode, resp.Header
		err = e.read(resp)
	}
	e.done = time.Now()
	e.began.Store(0)
	e.err = err
	e.cut = err != nil && a.ctx.Err() != nil
	return &http.Response{StatusCode: http.StatusOK, Header: e.tag, Body: http.NoBody, Request: form}, nil
}

// read takes the body in, up to maxBody.
func (e *exchanged) read(resp *http.Response) error {
	defer resp.Body.Close()
	b := e.buf[:0]
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := resp.Body.Read(b[len(b):min(cap(b), maxBody)])
		b = b[:len(b)+n]
		e.buf, e.body = b, b
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case len(b) >= maxBody:
			return nil
		}
	}
}

// outcome tells why no whole answer came.
func (e *exchanged) outcome() Outcome {
	var timeout net.Error
	if e.expired.Load() || errors.Is(e.err, context.DeadlineExceeded) || errors.As(e.err, &timeout) && timeout.Timeout() {
		return Timeout
	}
	return Connection
}

// result is the exchange in vegeta's words, without headers, body or query: nothing of it is secret.
func (e *exchanged) result(name string, o Outcome) *vegeta.Result {
	r := &vegeta.Result{
		Attack: name, Seq: e.seq, Code: uint16(e.status), Timestamp: e.start, Latency: e.done.Sub(e.start),
		BytesOut: uint64(len(e.request.Body)), BytesIn: uint64(len(e.body)), Method: e.request.Method,
	}
	u := *e.request.URL
	u.RawQuery, u.User, u.Fragment = "", nil, ""
	r.URL = u.String()
	switch {
	case e.err != nil:
		r.Error = o.String()
	case o != Token:
		r.Error = strconv.Itoa(e.status) + " " + o.String()
	}
	return r
}

// A saver writes results in vegeta's own encoding.
type saver struct{ vegeta.Encoder }

func newSaver(w io.Writer) *saver { return &saver{vegeta.NewEncoder(w)} }

// send does one exchange outside any attack.
func (p *pool) send(ctx context.Context, e *exchanged) {
	req := new(http.Request).WithContext(ctx)
	e.request.into(req)
	e.start = time.Now()
	resp, err := p.via.RoundTrip(req)
	if err == nil {
		e.status, e.header = resp.StatusCode, resp.Header
		p.mu.Lock()
		p.proto = resp.Proto
		p.mu.Unlock()
		err = e.read(resp)
	}
	e.done, e.err = time.Now(), err
}
