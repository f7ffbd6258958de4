package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"grantcheck/suites"
)

// A progress is one line on a terminal, drawn anew as a run goes on; on
// anything else it is silent.
type progress struct {
	w     io.Writer // nil: silent
	width int
	title string

	mu      sync.Mutex
	last    suites.Progress
	drawn   time.Time
	waiting map[string]suites.Progress // by rule
}

// newProgress draws on stderr where that is a terminal that can.
func newProgress(stderr io.Writer) *progress {
	p := &progress{waiting: map[string]suites.Progress{}}
	f, ok := stderr.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" || !term.IsTerminal(int(f.Fd())) {
		return p
	}
	p.w, p.width = stderr, 80
	if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
		p.width = w
	}
	return p
}

// say draws a line of its own words.
func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.draw(fmt.Sprintf(format, args...))
}

// update takes where a run stands; it is called from many goroutines.
func (p *progress) update(now suites.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case now.Waiting != "":
		p.waiting[now.Rule] = now
	case now.Verdict == "":
		delete(p.waiting, now.Rule)
	default:
		delete(p.waiting, now.Rule)
		if now.Done >= p.last.Done {
			p.last = now
		}
	}
	if p.w == nil || now.Waiting == "" && now.Done < now.Total && time.Since(p.drawn) < 100*time.Millisecond {
		return
	}
	line := fmt.Sprintf("%s  %d of %d rules, %d requests", p.title, p.last.Done, max(p.last.Total, now.Total), p.last.Requests)
	for _, w := range p.waiting {
		line += fmt.Sprintf("; %s waits %s for %s", w.Rule, w.For.Round(time.Second), w.Waiting)
		break
	}
	p.draw(line)
}

func (p *progress) draw(line string) {
	if p.w == nil {
		return
	}
	if r := []rune(line); len(r) >= p.width {
		line = string(r[:max(0, p.width-2)]) + "…"
	}
	p.drawn = time.Now()
	fmt.Fprintf(p.w, "\r%s\x1b[K", strings.TrimSpace(line))
}

// clear takes the line away, before a report is written.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last, p.waiting = suites.Progress{}, map[string]suites.Progress{}
	if p.w != nil && !p.drawn.IsZero() {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
