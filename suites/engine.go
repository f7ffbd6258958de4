package suites

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/onsi/gomega"

	"grantcheck/report"
	"grantcheck/suites/contract"
	"grantcheck/suites/exchange"
)

const tokenEndpoint = "token"

// engine judges rules against one endpoint. Any number of goroutines may call
// judge; each rule is judged once, after the rules it requires.
type engine struct {
	cfg     Config
	target  *exchange.Target
	client  *exchange.Client
	edition Edition
	clock   Clock

	rules     map[string]*task
	catalogue map[string]Rule // every rule there is, by id
	order     []*task         // every rule of the run, silent prerequisites included, by phase

	slots chan struct{} // checks that may run at a time; a waiting check gives its slot back
	quiet sync.RWMutex  // held for writing by a check that has to be alone

	mu      sync.Mutex
	samples []*Sample
	facts   []report.Fact
	pending []*task // passed on a refusal that no control has confirmed yet
	keys    map[controlKey]bool
	works   map[pair]bool // golden requests tried, and whether they were answered ok
	broken  int           // exchanges in a row that got no answer at all
	down    error         // why nothing can be asked any more
	retries time.Duration // spent waiting for the endpoint to take requests again

	golden pair
	cost   cost
	supply supply
}

// task is one rule on its way to a finding.
type task struct {
	rule   Rule
	phase  int
	silent bool // needed by another rule only; not reported
	once   sync.Once
	done   chan struct{}

	check  report.Check
	looked []*Sample
	relied []controlKey
	asked  bool // the check was called
	after  int  // exchanges sent when the check ended
}

// pair is a documented grant with a client authentication method.
type pair struct {
	grant  *contract.Grant
	auth   string
	client string
}

// controlKey names a golden request whose success confirms refusals.
type controlKey struct {
	grant  string
	client string
}

func newEngine(cfg Config, target *exchange.Target, edition Edition, selected []Rule) *engine {
	e := &engine{
		cfg: cfg, target: target, edition: edition, clock: cfg.Clock,
		client: exchange.NewClient(target, cfg.pace()),
		rules:  map[string]*task{},
		slots:  make(chan struct{}, max(1, cfg.Parallel)),
		keys:   map[controlKey]bool{},
		works:  map[pair]bool{},
	}
	e.supply.engine = e
	all := map[string]Rule{}
	index := map[string]int{}
	for i, r := range Rules() {
		all[r.ID], index[r.ID] = r, i
	}
	var add func(r Rule, silent bool)
	add = func(r Rule, silent bool) {
		if t, ok := e.rules[r.ID]; ok {
			t.silent = t.silent && silent
			return
		}
		e.rules[r.ID] = &task{rule: r, silent: silent, done: make(chan struct{})}
		for _, id := range slices.Concat(e.tellsMethod(r), r.Requires, e.looksAt(r)) {
			add(all[id], true)
		}
	}
	e.catalogue = all
	for _, r := range selected {
		add(r, false)
	}
	for _, t := range e.rules {
		e.order = append(e.order, t)
	}
	for _, t := range e.order {
		t.phase = e.phaseOf(t.rule)
	}
	sort.Slice(e.order, func(i, j int) bool {
		a, b := e.order[i], e.order[j]
		if a.phase != b.phase {
			return a.phase < b.phase
		}
		return index[a.rule.ID] < index[b.rule.ID]
	})
	return e
}

// The phases of a run. Passive rules come after what they look at; what burns
// tokens or takes consent comes last.
const (
	phaseStatic = iota
	phaseGolden
	phaseRequest
	phaseAuth
	phaseGrant
	phasePassive
	phaseConsequence
	phaseConsent
	phaseLockout
)

// phaseOf puts a rule into the first phase in which everything it requires has been judged.
func (e *engine) phaseOf(r Rule) int {
	phase := ownPhase(r)
	for _, id := range slices.Concat(e.tellsMethod(r), r.Requires, e.looksAt(r)) {
		phase = max(phase, e.phaseOf(e.rules[id].rule))
	}
	return phase
}

// looksAt lists the rules whose findings, or answers, r is about: they are judged first, and may come to anything.
func (e *engine) looksAt(r Rule) (ids []string) {
	switch r.ID {
	case "doc.deviation-still-true":
		for _, d := range e.target.Contract.Deviations {
			ids = append(ids, d.Rules[0])
		}
	case "doc.waiver-needed":
		for _, w := range e.target.Contract.Waivers {
			ids = append(ids, w.Rule)
		}
	case "metadata.grants-truthful", "metadata.grants-complete": // which grants work
		ids = []string{"cc.happy-path", "password.happy-path", "code.happy-path", "refresh.happy-path", "jwt-bearer.happy-path"}
	case "bearer.attributes-unique":
		ids = []string{"bearer.missing-token-challenge", "bearer.invalid-token-refused"}
	}
	return slices.DeleteFunc(ids, func(id string) bool {
		q, ok := e.catalogue[id]
		return !ok || id == r.ID || id == "doc.waiver-needed" || q.Editions&e.edition == 0
	})
}

func ownPhase(r Rule) int {
	switch {
	case slices.Contains(r.Effects, LockoutRisk):
		return phaseLockout
	case slices.ContainsFunc(r.Effects, func(f Effect) bool { return f == Burst || f == MintsMany }):
		return phaseConsent
	case strings.HasPrefix(r.ID, "doc.error-row"):
		return phaseConsequence // most conditions have been brought about by then
	}
	if r.Passive {
		return phasePassive
	}
	if strings.HasSuffix(r.ID, "happy-path") || slices.Contains([]string{"request.form-accepted", "doc.endpoint-path", "doc.method", "doc.request-content-type"}, r.ID) {
		return phaseGolden
	}
	switch r.Group {
	case "transport", "metadata":
		return phaseStatic
	case "client-auth", "jwt-client-auth":
		return phaseAuth
	case "password", "authorization-code", "pkce", "refresh", "jwt-bearer", "client-credentials":
		return phaseGrant
	case "revocation", "introspection", "bearer-use", "token-format":
		return phaseConsequence
	case "throttling":
		return phaseConsent
	}
	return phaseRequest
}

// runAll judges every rule of the run, phase by phase, as parallel as the run allows.
func (e *engine) runAll(ctx context.Context) {
	if e.cfg.Parallel == 1 {
		e.runInOrder(ctx)
		return
	}
	for phase := phaseStatic; phase <= phaseLockout; phase++ {
		var wg sync.WaitGroup
		for _, t := range e.order {
			slow := slices.Contains(t.rule.Effects, Slow) && !t.rule.Alone
			switch {
			case t.phase == phase && !slow:
				wg.Go(func() { e.judge(ctx, t) })
			case phase == phaseGrant && slow:
				// A slow rule waits in the background while the others go on.
				go e.judge(ctx, t)
			}
		}
		wg.Wait()
		e.control(ctx)
	}
	for _, t := range e.order {
		e.judge(ctx, t)
	}
	e.control(ctx)
	e.lookAgain(ctx)
}

// runInOrder judges one rule after the other, those that wait last: where the
// clock is not the system's, time passes for nobody but the one who waits.
func (e *engine) runInOrder(ctx context.Context) {
	var slow []*task
	phase := phaseStatic
	for _, t := range e.order {
		if slices.Contains(t.rule.Effects, Slow) && !t.rule.Alone {
			slow = append(slow, t)
			continue
		}
		if t.phase != phase {
			e.control(ctx)
			phase = t.phase
		}
		e.judge(ctx, t)
	}
	e.control(ctx)
	for _, t := range slow {
		e.judge(ctx, t)
	}
	e.control(ctx)
	e.lookAgain(ctx)
}

// judge brings a rule to its finding; it returns when there is one.
func (e *engine) judge(ctx context.Context, t *task) {
	t.once.Do(func() {
		defer close(t.done)
		if check, decided := e.before(ctx, t); decided {
			t.check = check
			return
		}
		e.check(ctx, t)
		if e.duePending() {
			e.control(ctx)
		}
		if e.cfg.Progress != nil {
			e.progress(t)
		}
	})
	<-t.done
}

// before decides what needs no probe: the rules that t requires, applicability, consent.
func (e *engine) before(ctx context.Context, t *task) (check report.Check, decided bool) {
	for _, id := range slices.Concat(e.tellsMethod(t.rule), t.rule.Requires, e.looksAt(t.rule)) {
		e.judge(ctx, e.rules[id])
	}
	none := func(v report.Verdict, kind report.ReasonKind, needs, format string, args ...any) (report.Check, bool) {
		c := blank(t.rule)
		c.Verdict, c.ReasonKind, c.Needs, c.Reason = v, kind, needs, fmt.Sprintf(format, args...)
		return c, true
	}
	if t.rule.Check == nil {
		return none(report.Error, report.Internal, "", "the rule has no check")
	}
	for _, g := range t.rule.Applies.Grants {
		if _, ok := e.grantOf(g); !ok && !slices.ContainsFunc(t.rule.Applies.Grants, e.documents) {
			return none(report.Skip, report.NotApplicable, "", "the contract documents no %s grant", g)
		}
	}
	if reason := e.authApplies(t.rule); reason != "" {
		return none(report.Skip, report.NotApplicable, "", "%s", reason)
	}
	for _, f := range t.rule.Effects {
		if !t.rule.AsksItself && !e.allowed(f) {
			return none(report.Skip, report.NeedsConsent, string(f), "needs consent: --allow %s", f)
		}
	}
	for _, id := range t.rule.Requires {
		p := e.rules[id].check
		if met(p) {
			continue
		}
		if p.Verdict == report.Skip {
			if p.ReasonKind == report.NotApplicable || p.ReasonKind == report.OtherEdition || p.ReasonKind == report.NeedsLoad {
				continue
			}
			return none(report.Skip, p.ReasonKind, p.Needs, "%s", restsOn(id, p.Reason))
		}
		if p.Verdict == report.Inconclusive && p.ReasonKind != "" && p.ReasonKind != report.Ambiguous {
			return none(report.Inconclusive, p.ReasonKind, p.Needs, "%s", restsOn(id, p.Reason))
		}
		return none(report.Blocked, report.Prerequisite, id, "rests on %s, which did not pass (%s)", id, p.Verdict)
	}
	if ctx.Err() != nil {
		return none(report.Inconclusive, report.Interrupted, "", "interrupted before it was judged")
	}
	if down := e.isDown(); down != nil && !t.rule.Passive {
		return none(report.Inconclusive, report.Unreachable, "", "%s", down)
	}
	return report.Check{}, false
}

// met reports whether a prerequisite passed, or does what the page documents otherwise.
func met(c report.Check) bool {
	return c.Verdict == report.Pass || c.Verdict == report.Note ||
		c.Standard == report.SideDeviation && (c.Documented == report.SidePass || c.Documented == report.SideSilent)
}

// restsOn names the first rule of a chain that was not judged, and why.
func restsOn(id, reason string) string {
	if strings.HasPrefix(reason, "rests on ") {
		return reason
	}
	return "rests on " + id + ": " + reason
}

// authApplies says why a rule about a client authentication method does not
// apply, "" when it does: one of its methods has to be documented, or known to work.
func (e *engine) authApplies(r Rule) string {
	if len(r.Applies.Auth) == 0 || r.ID == "client-auth.basic-supported" || r.ID == "client-auth.post-supported" {
		return ""
	}
	for _, method := range r.Applies.Auth {
		if e.methodUsable(method) {
			return ""
		}
	}
	return "the contract documents no client authentication by " + strings.Join(r.Applies.Auth, " or ")
}

// tellsMethod names the rules that find out whether a method works that the contract documents for no
// grant and r is about: they come first, so that it does not depend on the order whether r applies.
func (e *engine) tellsMethod(r Rule) (ids []string) {
	for _, method := range r.Applies.Auth {
		id := "client-auth." + method + "-supported"
		if (method == "basic" || method == "post") && r.ID != id && !slices.ContainsFunc(e.candidates(), func(p pair) bool { return p.auth == method }) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (e *engine) methodDocumented(method string) bool {
	return slices.ContainsFunc(e.target.Clients(), func(c *contract.Client) bool {
		return slices.Contains(e.target.AuthMethods(nil, c), method)
	})
}

// methodUsable reports whether some client fixture authenticates by method: documented, or found to work.
func (e *engine) methodUsable(method string) bool {
	if e.methodDocumented(method) {
		return true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for p, ok := range e.works {
		if ok && p.auth == method {
			return true
		}
	}
	return false
}

// check runs the rule's function and makes its finding.
func (e *engine) check(ctx context.Context, t *task) {
	if t.rule.Alone {
		e.quiet.Lock()
		defer e.quiet.Unlock()
	} else {
		e.quiet.RLock()
		defer e.quiet.RUnlock()
	}
	select {
	case e.slots <- struct{}{}:
		defer func() { <-e.slots }()
	case <-ctx.Done():
	}
	started := e.clock.Now()
	c := e.newCase(ctx, t.rule)
	ended := c.perform()
	t.check = c.finding(ended)
	t.check.DurationMS = milliseconds(e.clock.Now().Sub(started))
	t.looked = c.evidence()
	t.relied = c.relied
	e.mu.Lock()
	t.asked, t.after = true, len(e.samples)
	if len(c.relied) > 0 && t.check.Verdict != report.Inconclusive {
		e.pending = append(e.pending, t)
	}
	e.mu.Unlock()
}

func (e *engine) newCase(ctx context.Context, r Rule) *Case {
	c := &Case{rule: r, ctx: ctx, run: e}
	c.gomega = gomega.NewGomega(c.failed)
	return c
}

// perform calls the check and returns how it ended: nil when it returned.
func (c *Case) perform() (ended *stop) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case stop:
			ended = &p
		default:
			ended = &stop{
				verdict: report.Error, kind: report.Internal,
				reason: fmt.Sprintf("the check of this rule broke (please report it): %v at %s", p, frame(debug.Stack())),
			}
		}
	}()
	c.rule.Check(c)
	return nil
}

// frame finds the first line of a stack that is a rule's.
func frame(stack []byte) string {
	for line := range strings.SplitSeq(string(stack), "\n") {
		if i := strings.Index(line, "suites/rules_"); i >= 0 {
			place, _, _ := strings.Cut(line[i:], " ")
			return place
		}
	}
	return "an unknown place"
}

// ---- consent, grants ----

// allowed reports whether an effect needs no further consent.
func (e *engine) allowed(f Effect) bool {
	return f == MintsToken && len(e.target.Contract.Safety.Allow) == 0 ||
		slices.Contains(e.target.Contract.Safety.Allow, string(f)) ||
		slices.Contains(e.cfg.Allow, "all") || slices.Contains(e.cfg.Allow, string(f))
}

// grantOf returns the first enabled grant with a grant_type value.
func (e *engine) grantOf(grantType string) (*contract.Grant, bool) {
	for i := range e.target.Contract.Grants {
		if g := &e.target.Contract.Grants[i]; exchange.GrantType(g) == grantType && e.enabled(g) {
			return g, true
		}
	}
	return nil, false
}

func (e *engine) documents(grantType string) bool {
	_, ok := e.grantOf(grantType)
	return ok
}

// enabled reports whether a grant takes part: `ask` needs the consent grant:KEY.
func (e *engine) enabled(g *contract.Grant) bool {
	switch g.Enabled {
	case "false":
		return false
	case "ask":
		return slices.Contains(e.cfg.Allow, "all") || slices.Contains(e.cfg.Allow, "grant:"+g.Key)
	}
	return true
}

// ---- sending ----

// spend is what the run has cost so far.
type cost struct {
	requests, tokens int
	wrong            map[string]int // wrong secrets per client fixture, wrong passwords per user
	sinceGood        map[string]int // wrong secrets in a row, per fixture
}

// send sends one request on behalf of a rule, and again while the endpoint says
// that it cannot answer now.
func (e *engine) send(ctx context.Context, c *Case, req exchange.Request, opt probe) *Sample {
	var before *Sample
	code, redeems := e.supply.take(req)
	if redeems {
		opt.authorized = code.Authorization.Scope
	}
	for attempt := 0; ; attempt++ {
		e.charge(ctx, c, req)
		x := e.client.Do(ctx, req)
		s := e.record(c, req, x, opt)
		if before != nil {
			before.again = s
		}
		before = s
		if ctx.Err() != nil {
			panic(stop{verdict: report.Inconclusive, kind: report.Interrupted, reason: "interrupted"})
		}
		if opt.raw || attempt == 3 {
			return s
		}
		if s.Answer.Fault() && attempt == 0 && !opt.golden {
			if redeems {
				req = e.supply.again(ctx, req, code)
			}
			continue // a 5xx counts when it is seen twice
		}
		if s.Answer.Inconclusive() == "" {
			return s
		}
		if s.Err != nil && attempt >= 1 {
			return s
		}
		if !e.wait(ctx, s, attempt) {
			return s
		}
		if opt.golden && req.AuthMethod() == "jwt" {
			req = req.Auth("jwt") // signed anew: the endpoint may have noted the jti before it gave up
		}
	}
}

// wait lets the time pass that a throttled or unavailable endpoint asked for;
// false when the run cannot afford it.
func (e *engine) wait(ctx context.Context, s *Sample, attempt int) bool {
	pause := time.Duration(1<<attempt) * time.Second
	if s.Err != nil {
		pause = 100 * time.Millisecond
	} else if after, ok := s.RetryAfter(); ok {
		pause = after
	}
	e.mu.Lock()
	affordable := pause <= e.cfg.maxWait() && e.retries+pause <= 5*e.cfg.maxWait()
	if affordable {
		e.retries += pause
	}
	e.mu.Unlock()
	return affordable && e.clock.Sleep(ctx, pause) == nil
}

// charge keeps the run within its budget; it ends the check when there is none left.
func (e *engine) charge(ctx context.Context, c *Case, req exchange.Request) {
	if err := req.Err(); err != nil {
		panic(stop{verdict: report.Skip, kind: report.NotApplicable, reason: err.Error()})
	}
	if down := e.isDown(); down != nil {
		panic(stop{verdict: report.Inconclusive, kind: report.Unreachable, reason: down.Error()})
	}
	e.mu.Lock()
	limit := e.cfg.MaxRequests
	if limit > 0 && e.cost.requests >= limit {
		e.mu.Unlock()
		panic(stop{verdict: report.Inconclusive, kind: report.Budget, reason: fmt.Sprintf("the run's %d requests are spent (--max-requests, safety.max_requests)", limit)})
	}
	if limit := e.target.Contract.Safety.MaxTokens; limit > 0 && e.cost.tokens >= limit {
		e.mu.Unlock()
		panic(stop{verdict: report.Inconclusive, kind: report.Budget, reason: fmt.Sprintf("the run's %d tokens are minted (safety.max_tokens)", limit)})
	}
	e.cost.requests++
	e.mu.Unlock()
	e.chargeWrong(ctx, c, req)
}

// chargeWrong counts wrong secrets per client and wrong passwords per user, and
// puts a good request between two wrong ones, so that a server that fights back
// does not lock the fixture out.
func (e *engine) chargeWrong(ctx context.Context, c *Case, req exchange.Request) {
	who, limit, flag := e.wrongFor(req)
	if who == "" {
		return
	}
	e.mu.Lock()
	if e.cost.wrong == nil {
		e.cost.wrong, e.cost.sinceGood = map[string]int{}, map[string]int{}
	}
	if limit > 0 && e.cost.wrong[who] >= limit {
		e.mu.Unlock()
		panic(stop{verdict: report.Skip, kind: report.Budget, needs: flag, reason: fmt.Sprintf("%s has had its %d wrong attempts (%s)", who, limit, flag)})
	}
	e.cost.wrong[who]++
	e.cost.sinceGood[who]++
	spaced := e.cost.sinceGood[who] <= 1 || c == nil || c.rule.Alone
	if !spaced {
		e.cost.sinceGood[who] = 1
	}
	e.mu.Unlock()
	if !spaced {
		e.refresh(ctx, req)
	}
}

// wrongFor names the fixture whose secret a request gets wrong, "" when it gets none wrong.
func (e *engine) wrongFor(req exchange.Request) (who string, limit int, flag string) {
	safety := e.target.Contract.Safety
	id, secret := req.Credentials()
	for _, f := range e.target.Clients() {
		if f.ID != "" && f.ID == id && f.Secret != "" && secret != "" && secret != f.Secret {
			return fixtureWords(f.Name, "client"), safety.MaxBadClientLogins, "safety.max_bad_client_logins"
		}
	}
	if name := req.Get("username"); name != "" {
		for _, u := range e.target.Users() {
			if u.UserName == name && req.Has("password") && req.Get("password") != u.Password {
				limit := safety.MaxBadUserLogins
				if e.allowed(LockoutRisk) {
					limit = 0
				}
				return fixtureWords(u.Name, "user"), limit, "safety.max_bad_user_logins"
			}
		}
	}
	return "", 0, ""
}

func fixtureWords(name, kind string) string {
	if name == "" {
		return "the " + kind
	}
	return "the " + kind + " " + name
}

// record keeps an exchange and what is known about it.
func (e *engine) record(c *Case, req exchange.Request, x *exchange.Exchange, opt probe) *Sample {
	s := &Sample{Exchange: x, Answer: x.Answer(), Endpoint: tokenEndpoint, Golden: opt.golden, Param: opt.param, authorized: opt.authorized}
	if c != nil {
		s.Rule = c.rule.ID
		if !opt.golden {
			s.Provoked = c.rule.Provokes
		}
		if opt.provokes != nil {
			s.Provoked = opt.provokes
		}
	}
	if g := req.Grant(); g != nil {
		s.grant = g.Key
	}
	s.Endpoint = e.endpointOf(req)
	if opt.endpoint != "" {
		s.Endpoint = opt.endpoint
	}
	s.auth = req.AuthMethod()
	if f := req.Client(); f != nil {
		s.client = f.Name
	}
	e.mu.Lock()
	s.number = len(e.samples)
	e.samples = append(e.samples, s)
	if opt.golden && s.Endpoint == tokenEndpoint && req.Grant() != nil && s.Answer.Inconclusive() == "" {
		p := pair{grant: req.Grant(), auth: s.auth, client: s.client}
		e.works[p] = e.works[p] || s.Answer.OK()
	}
	if s.Endpoint == tokenEndpoint && s.Answer.OK() {
		e.cost.tokens++
		clear(e.cost.sinceGood)
	}
	if s.Endpoint != tokenEndpoint {
		// another endpoint may be elsewhere, and down by itself
	} else if x.Err != nil && isDown(x.ErrKind) && (c == nil || !c.rule.Alone) { // a burst is cut off, not the endpoint
		if e.broken++; e.broken >= 5 {
			e.down = fmt.Errorf("the endpoint gave no answer %d times in a row, last: %s", e.broken, x.ErrKind)
		}
	} else if x.Err == nil {
		e.broken = 0
	}
	e.mu.Unlock()
	e.supply.settle(s, req)
	if c != nil {
		c.sent = append(c.sent, s)
	}
	return s
}

// endpointOf tells which endpoint a request went to by its address.
func (e *engine) endpointOf(req exchange.Request) string {
	address, _, _ := strings.Cut(req.URL(), "?")
	same := func(u string) bool { u, _, _ = strings.Cut(u, "?"); return u != "" && u == address }
	t := e.target
	switch {
	case same(t.TokenURL(req.Grant())):
		return tokenEndpoint
	case same(t.RevocationURL()):
		return "revocation"
	case same(t.IntrospectionURL()):
		return "introspection"
	case same(t.ResourceURL()):
		return "resource"
	case slices.ContainsFunc(t.MetadataURLs(), same):
		return "metadata"
	}
	return "other"
}

func (e *engine) isDown() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.down
}

// isDown reports whether an exchange got no answer for a reason that lies with the way there:
// several in a row mean that the endpoint is down.
func isDown(kind exchange.ErrKind) bool {
	switch kind {
	case exchange.ErrTimeout, exchange.ErrRefused, exchange.ErrUnreachable, exchange.ErrDNS, exchange.ErrReset:
		return true
	}
	return false
}

func (e *engine) nonce() string { return strings.ToLower(e.target.Nonce()) }

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
