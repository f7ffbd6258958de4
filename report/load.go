package report

// Load is what a load run measured. Outcomes, latencies and histograms hold every answer; nothing
// was sampled.
type Load struct {
	Profile    string            `json:"profile"`
	Planned    int64             `json:"planned"`
	Sent       int64             `json:"sent"`
	Answered   int64             `json:"answered"`
	Outcomes   Outcomes          `json:"outcomes"`
	Latency    Latency           `json:"latency"`
	Generator  Generator         `json:"generator"`
	Throttle   *Throttle         `json:"throttle,omitempty"`
	Thresholds []ThresholdResult `json:"thresholds"`
	Series     []SeriesPoint     `json:"series"`

	Grant       string        `json:"grant,omitempty"`
	ElapsedMS   float64       `json:"elapsed_ms,omitempty"` // first request due to last answer
	AskedRate   float64       `json:"asked_rate_per_s,omitempty"`
	ReachedRate float64       `json:"reached_rate_per_s,omitempty"`
	WindowS     float64       `json:"window_s,omitempty"` // width of a point of Series
	Stages      []Stage       `json:"stages,omitempty"`
	Connections *Connections  `json:"connections,omitempty"`
	Population  *Population   `json:"population,omitempty"`
	Codes       []CodeCount   `json:"codes,omitempty"` // status and error code, the most frequent first
	Findings    []LoadFinding `json:"findings,omitempty"`
	Trend       *Trend        `json:"trend,omitempty"`
	Against     *Against      `json:"against,omitempty"`
	Capacity    *Capacity     `json:"capacity,omitempty"`
	Histograms  []Histogram   `json:"histograms,omitempty"`
	Shard       *Shard        `json:"shard,omitempty"`
	Shards      *Shards       `json:"shards,omitempty"`  // of a merged run
	Digest      string        `json:"digest,omitempty"`  // of the plan: only equal ones merge
	Resumed     int           `json:"resumed,omitempty"` // how often it went on from a checkpoint
	LostMS      float64       `json:"lost_ms,omitempty"` // not measured because of that
	Aborted     string        `json:"aborted,omitempty"` // the threshold that ended the run early
	Stopped     string        `json:"stopped,omitempty"` // any other early end
}

// Outcomes counts what became of each request sent.
type Outcomes struct {
	Token       int64 `json:"token"`
	Throttled   int64 `json:"throttled"`
	Refused     int64 `json:"refused"`   // an OAuth error, or any other 4xx
	Malformed   int64 `json:"malformed"` // success without a usable token
	ServerError int64 `json:"server_error"`
	Timeout     int64 `json:"timeout"`
	Connection  int64 `json:"connection"` // refused, reset, TLS
}

// OutcomeNames lists the outcomes in the order of reports.
var OutcomeNames = []string{"token", "throttled", "refused", "malformed", "server_error", "timeout", "connection"}

// Counts returns the counts in the order of [OutcomeNames].
func (o *Outcomes) Counts() []*int64 {
	return []*int64{&o.Token, &o.Throttled, &o.Refused, &o.Malformed, &o.ServerError, &o.Timeout, &o.Connection}
}

// Latency tells one answer's time twice: Service from the moment the request was sent, Response
// from the moment it was due.
type Latency struct {
	Service  Quantiles `json:"service"`
	Response Quantiles `json:"response"`

	ByOutcome map[string]LatencyPair `json:"by_outcome,omitempty"` // keys are OutcomeNames
}

type LatencyPair struct {
	Service  Quantiles `json:"service"`
	Response Quantiles `json:"response"`
}

type Quantiles struct {
	Count  int64   `json:"count"`
	MeanMS float64 `json:"mean_ms"`
	P50MS  float64 `json:"p50_ms"`
	P90MS  float64 `json:"p90_ms"`
	P95MS  float64 `json:"p95_ms"`
	P99MS  float64 `json:"p99_ms"`
	P999MS float64 `json:"p999_ms"`
	MaxMS  float64 `json:"max_ms"`
}

// Generator is our own side: whether the load was made as planned.
type Generator struct {
	Healthy bool      `json:"healthy"`
	Lag     Quantiles `json:"lag"` // from due to sent
	Reason  string    `json:"reason"`

	Workers    int     `json:"workers,omitempty"`
	MaxWorkers int     `json:"max_workers,omitempty"`
	Unsent     int64   `json:"unsent,omitempty"`
	CPUSeconds float64 `json:"cpu_s,omitempty"`
	PeakMemory int64   `json:"peak_memory_bytes,omitempty"`
}

// Throttle is the endpoint's rate limit as measured.
type Throttle struct {
	Limited      bool       `json:"limited"`
	RatePerS     float64    `json:"rate_per_s"`
	Burst        float64    `json:"burst"`
	Window       string     `json:"window"`   // bucket, fixed, sliding, undecided, unexplained
	WindowS      float64    `json:"window_s"` // 0 for a bucket
	Scope        string     `json:"scope"`    // client, address, endpoint, undecided
	RetryAfter   RetryAfter `json:"retry_after"`
	RecoveryMS   float64    `json:"recovery_ms"`
	RequestsUsed int64      `json:"requests_used"`

	Kind         string          `json:"kind,omitempty"` // the fit in words: "token bucket", "sliding counter" …
	RateLow      float64         `json:"rate_low_per_s,omitempty"`
	RateHigh     float64         `json:"rate_high_per_s,omitempty"`
	BurstLow     float64         `json:"burst_low,omitempty"`
	BurstHigh    float64         `json:"burst_high,omitempty"`
	SlopePerS    float64         `json:"slope_per_s,omitempty"` // accepted per second under saturation, before any fit
	Mismatch     float64         `json:"mismatch,omitempty"`    // share of answers the fit does not explain
	RunnerUp     *ThrottleFit    `json:"runner_up,omitempty"`
	Undecided    string          `json:"undecided,omitempty"` // why Window or Scope is undecided or unexplained
	QueueMS      float64         `json:"queue_ms,omitempty"`  // longest delay of a limiter that delays
	Seconds      float64         `json:"seconds_used,omitempty"`
	Documented   string          `json:"documented,omitempty"` // what the contract says, in words
	Verdict      Verdict         `json:"verdict,omitempty"`    // measured against documented
	Conformity   []ConformityRow `json:"conformity,omitempty"`
	SeenUpTo     int64           `json:"seen_up_to,omitempty"` // accepted without a refusal, when not limited
	Points       []ThrottlePoint `json:"points,omitempty"`     // for the picture; at most some hundreds
	BudgetNeeded string          `json:"budget_needed,omitempty"`
}

type ThrottleFit struct {
	Kind     string  `json:"kind"`
	RatePerS float64 `json:"rate_per_s"`
	Burst    float64 `json:"burst"`
	WindowS  float64 `json:"window_s,omitempty"`
	Mismatch float64 `json:"mismatch"`
}

// A ThrottlePoint is the running count at TS seconds: sent, accepted, and accepted as the fit has it.
type ThrottlePoint struct {
	TS       float64 `json:"t_s"`
	Sent     float64 `json:"sent"`
	Accepted float64 `json:"accepted"`
	Fit      float64 `json:"fit"`
}

// A ConformityRow is one thing expected of a throttled answer.
type ConformityRow struct {
	What     string  `json:"what"` // "status", "error code", "RateLimit-Remaining" …
	Expected string  `json:"expected"`
	Actual   string  `json:"actual"`
	Share    float64 `json:"share"` // of the throttled answers that conform
	Verdict  Verdict `json:"verdict"`
}

// RetryAfter is how the endpoint's hint to wait stands up to being followed.
type RetryAfter struct {
	Present      bool  `json:"present"`
	SyntaxOK     bool  `json:"syntax_ok"`
	Honest       *bool `json:"honest"`        // waiting as told suffices; null when undecided
	EarlyAccepts int   `json:"early_accepts"` // accepted at half the time asked for
	LateRefusals int   `json:"late_refusals"` // refused after the time asked for

	PresentShare float64 `json:"present_share,omitempty"` // of the throttled answers
	Trials       int     `json:"trials,omitempty"`
	TypicalS     float64 `json:"typical_s,omitempty"`
	Undecided    string  `json:"undecided,omitempty"` // why Honest is null
}

type ThresholdResult struct {
	Expression string  `json:"expression"` // as written
	Observed   float64 `json:"observed"`   // in Unit
	Verdict    Verdict `json:"verdict"`    // pass, fail, inconclusive

	Unit    string  `json:"unit,omitempty"`  // ms, share (of 1), per_s, count
	Limit   float64 `json:"limit,omitempty"` // in Unit
	Samples int64   `json:"samples,omitempty"`
	Reason  string  `json:"reason,omitempty"` // why inconclusive
	Source  string  `json:"source,omitempty"` // flag, profile, contract slo
	AtS     float64 `json:"at_s,omitempty"`   // when a windowed one first failed
	Aborted bool    `json:"aborted,omitempty"`
}

// A SeriesPoint covers WindowS seconds from TS. Latencies are response times of answered requests.
type SeriesPoint struct {
	TS        float64 `json:"t_s"`
	Planned   int64   `json:"planned"`
	Sent      int64   `json:"sent"`
	Token     int64   `json:"token"`
	Throttled int64   `json:"throttled"`
	Other     int64   `json:"other"`
	P50MS     float64 `json:"p50_ms"`
	P99MS     float64 `json:"p99_ms"`

	P90MS        float64 `json:"p90_ms,omitempty"`
	MaxMS        float64 `json:"max_ms,omitempty"`
	ServiceP99MS float64 `json:"service_p99_ms,omitempty"`
	LagP99MS     float64 `json:"lag_p99_ms,omitempty"`
	Errors       int64   `json:"errors,omitempty"`    // of Other: server_error, timeout, connection
	Histogram    string  `json:"histogram,omitempty"` // of response times, encoded as in Histogram; shards only
}

type Stage struct {
	Name      string  `json:"name"`
	FromS     float64 `json:"from_s"`
	ToS       float64 `json:"to_s"`
	FromRate  float64 `json:"from_rate_per_s"`
	ToRate    float64 `json:"to_rate_per_s"`
	Planned   int64   `json:"planned,omitempty"`
	Sent      int64   `json:"sent,omitempty"`
	Token     int64   `json:"token,omitempty"`
	Throttled int64   `json:"throttled,omitempty"`
	Other     int64   `json:"other,omitempty"`
	P99MS     float64 `json:"p99_ms,omitempty"`
}

type Connections struct {
	Kind      string    `json:"kind"` // reuse, fresh, resume
	Opened    int64     `json:"opened"`
	Reused    int64     `json:"reused,omitempty"`
	Resumed   int64     `json:"resumed,omitempty"`
	Handshake Quantiles `json:"handshake"`
	Proto     string    `json:"proto,omitempty"` // HTTP/1.1, HTTP/2.0
	TLS       string    `json:"tls,omitempty"`
}

// Population is who asked: the client identities the requests were drawn from.
type Population struct {
	Clients      int     `json:"clients"`
	Users        int     `json:"users,omitempty"`
	Spread       string  `json:"spread"` // uniform, skewed
	HottestShare float64 `json:"hottest_share,omitempty"`
	HottestName  string  `json:"hottest,omitempty"` // an alias, never a client_id from the environment
}

type CodeCount struct {
	Status int    `json:"status"`
	Code   string `json:"code"` // from a closed list, else "other"
	Count  int64  `json:"count"`
}

// A LoadFinding is something only load shows: it is judged like a check, without a rule's clause.
type LoadFinding struct {
	Name      string  `json:"name"`
	Title     string  `json:"title"`
	Verdict   Verdict `json:"verdict"`
	Message   string  `json:"message"`
	Expected  string  `json:"expected,omitempty"`
	Actual    string  `json:"actual,omitempty"`
	Why       string  `json:"why,omitempty"`
	Source    string  `json:"source,omitempty"`
	Count     int64   `json:"count"`
	Share     float64 `json:"share"`
	FirstS    float64 `json:"first_s"`
	RatePerS  float64 `json:"rate_per_s,omitempty"` // at which it first came
	Exchanges []int   `json:"exchanges,omitempty"`
}

// Trend is how a soak's windows drift.
type Trend struct {
	Verdict Verdict      `json:"verdict"`
	Lines   []TrendLine  `json:"lines"`
	Events  []TrendEvent `json:"events,omitempty"`
}

type TrendLine struct {
	What    string  `json:"what"` // "response p99", "error share", "memory"
	Unit    string  `json:"unit"`
	First   float64 `json:"first"`
	Last    float64 `json:"last"`
	PerHour float64 `json:"per_hour"`
	Verdict Verdict `json:"verdict"`
	Reason  string  `json:"reason,omitempty"`
}

// A TrendEvent is something a long run lived through: a token expiry, a key rotation, an outage.
type TrendEvent struct {
	AtS  float64 `json:"at_s"`
	What string  `json:"what"`
}

// Against compares two endpoints by alternating slices of one run.
type Against struct {
	URL     string  `json:"url"` // the second; Run.Endpoint is the first
	Slices  int     `json:"slices"`
	SliceS  float64 `json:"slice_s"`
	Ratios  []Ratio `json:"ratios"`
	Verdict Verdict `json:"verdict,omitempty"`
}

// A Ratio is B ÷ A with its noise: the interval the true ratio lies in with 95 %.
type Ratio struct {
	What    string  `json:"what"`
	Unit    string  `json:"unit,omitempty"`
	A       float64 `json:"a"`
	B       float64 `json:"b"`
	Ratio   float64 `json:"ratio"`
	Low     float64 `json:"low"`
	High    float64 `json:"high"`
	Verdict string  `json:"verdict"` // same, better, worse, undecided
}

// Capacity is the highest rate at which the thresholds held, confirmed.
type Capacity struct {
	RatePerS   float64        `json:"rate_per_s"`
	Confirmed  bool           `json:"confirmed"`
	BrokeFirst string         `json:"broke_first"` // the threshold that broke first above it
	BrokeAt    float64        `json:"broke_at_per_s,omitempty"`
	Steps      []CapacityStep `json:"steps,omitempty"`
	Reason     string         `json:"reason,omitempty"` // why there is no figure
}

type CapacityStep struct {
	RatePerS float64 `json:"rate_per_s"`
	Reached  float64 `json:"reached_per_s"`
	P99MS    float64 `json:"p99_ms"`
	Errors   float64 `json:"error_share"`
	Held     bool    `json:"held"`
	Broke    string  `json:"broke,omitempty"`
}

// A Histogram is one HdrHistogram, exact enough to merge: V2 compressed, base64.
type Histogram struct {
	Outcome string `json:"outcome"` // of OutcomeNames, or "all"
	Kind    string `json:"kind"`    // service, response, lag, handshake
	Unit    string `json:"unit"`    // us
	Encoded string `json:"encoded"`
}

// Shard is one part of a run spread over machines.
type Shard struct {
	Index   int     `json:"index"` // from 1
	Of      int     `json:"of"`
	StartAt string  `json:"start_at"` // RFC 3339, the barrier
	LateMS  float64 `json:"late_ms"`  // how late this part started
}

// Shards says of which parts a merged run consists.
type Shards struct {
	Of      int     `json:"of"`
	Merged  []int   `json:"merged"`
	Missing []int   `json:"missing,omitempty"`
	SkewMS  float64 `json:"skew_ms"` // between the first and the last to start
}
