package report

import (
	"fmt"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// NewHistogram makes an empty histogram as saved runs hold them: microseconds up to an hour, three
// digits. Only histograms of one form merge exactly.
func NewHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, 3_600_000_000, 3) }

// EncodeHistogram writes a histogram of microseconds for a saved run.
func EncodeHistogram(outcome, kind string, h *hdrhistogram.Histogram) (Histogram, error) {
	b, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return Histogram{}, fmt.Errorf("encoding the %s histogram of %s: %w", kind, outcome, err)
	}
	return Histogram{Outcome: outcome, Kind: kind, Unit: "us", Encoded: string(b)}, nil
}

// Decode reads a saved histogram, in microseconds.
func (h Histogram) Decode() (*hdrhistogram.Histogram, error) {
	if h.Unit != "us" {
		return nil, fmt.Errorf("the %s histogram of %s is in %q; only us is known", h.Kind, h.Outcome, h.Unit)
	}
	d, err := hdrhistogram.Decode([]byte(h.Encoded))
	if err != nil {
		return nil, fmt.Errorf("the %s histogram of %s cannot be read: %w", h.Kind, h.Outcome, err)
	}
	return d, nil
}

// QuantilesOf reads the figures of a report off a histogram of microseconds.
func QuantilesOf(h *hdrhistogram.Histogram) Quantiles {
	if h.TotalCount() == 0 {
		return Quantiles{}
	}
	at := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1000 }
	return Quantiles{
		Count: h.TotalCount(), MeanMS: h.Mean() / 1000, P50MS: at(50), P90MS: at(90), P95MS: at(95),
		P99MS: at(99), P999MS: at(99.9), MaxMS: float64(h.Max()) / 1000,
	}
}

// histogram returns the decoded histogram of one outcome and kind, nil when the run holds none.
func (l *Load) histogram(outcome, kind string) *hdrhistogram.Histogram {
	for _, h := range l.Histograms {
		if h.Outcome == outcome && h.Kind == kind {
			if d, err := h.Decode(); err == nil {
				return d
			}
		}
	}
	return nil
}
