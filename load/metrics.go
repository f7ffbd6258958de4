package load

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the run as Prometheus sees it: its own registry, and labels from closed sets only.
type Metrics struct {
	registry             *prometheus.Registry
	answers              *prometheus.CounterVec
	latency              *prometheus.HistogramVec
	asked, planned, sent prometheus.Gauge
}

// NewMetrics makes metrics of a run.
func NewMetrics() *Metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "grantcheck", Subsystem: "load", Name: name, Help: help})
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "grantcheck", Subsystem: "load", Name: "answers_total", Help: "Requests answered, by what they came to.",
		}, []string{"outcome"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "grantcheck", Subsystem: "load", Name: "latency_seconds",
			Help:                        "Service latency runs from sending, response latency from when the request was due.",
			Buckets:                     []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		}, []string{"outcome", "kind"}),
		asked:   gauge("rate_asked", "Requests per second the schedule asks for now."),
		planned: gauge("planned", "Requests due so far."),
		sent:    gauge("sent", "Requests sent so far."),
	}
	for _, o := range outcomeNames {
		m.answers.WithLabelValues(o)
	}
	m.registry.MustRegister(m.answers, m.latency, m.asked, m.planned, m.sent)
	return m
}

func (m *Metrics) observe(s *sample) {
	o := s.judged.Outcome.String()
	m.answers.WithLabelValues(o).Inc()
	m.latency.WithLabelValues(o, "service").Observe(s.service().Seconds())
	m.latency.WithLabelValues(o, "response").Observe(s.response().Seconds())
}

// Serve answers /metrics at an address until ctx ends. It returns where it listens.
func (m *Metrics) Serve(ctx context.Context, address string) (net.Addr, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, usage("--metrics: %v", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = s.Serve(l) }() // ends with the listener
	context.AfterFunc(ctx, func() { s.Close() })
	return l.Addr(), nil
}
