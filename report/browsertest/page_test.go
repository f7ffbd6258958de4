// Package browsertest opens the HTML report in a real browser. It is a module of its own, so that
// grantcheck itself does not depend on a browser's driver.
package browsertest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"grantcheck/report"
)

func saved(t *testing.T, name string) *report.Run {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "testdata", "report", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := report.ReadJSON(f, name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A tab has the page open and collects what it asks for and complains about.
type tab struct {
	t     *testing.T
	ctx   context.Context
	mu    sync.Mutex
	asked []string
	wrong []string
}

func open(t *testing.T, before ...func(*tab)) *tab {
	t.Helper()
	var browser string
	for _, name := range []string{"chromium", "chromium-headless-shell", "google-chrome", "chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			browser = p
			break
		}
	}
	if browser == "" {
		t.Skip("no Chromium found; on Debian: apt-get install chromium")
	}
	r := saved(t, "check.json")
	r.Load = saved(t, "load.json").Load
	var b bytes.Buffer
	if err := report.WriteHTML(&b, *r); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(browser))
	if os.Geteuid() == 0 { // Chromium refuses its sandbox to root
		opts = append(opts, chromedp.NoSandbox)
	}
	ctx, cancel = chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	p := &tab{t: t, ctx: ctx}
	p.do(chromedp.EmulateViewport(1200, 900))
	if err := chromedp.Listen(ctx, p.hear); err != nil {
		t.Fatal(err)
	}
	call(p, network.Enable, network.EnableParams{})
	call(p, log.Enable, cdp.Empty{})
	call(p, runtime.Enable, cdp.Empty{})
	for _, f := range before {
		f(p)
	}
	p.do(chromedp.Navigate("file://" + file))
	return p
}

func call[P, R any](p *tab, cmd cdp.Command[P, R], params P) {
	p.t.Helper()
	if _, err := chromedp.Call(p.ctx, cmd, params); err != nil {
		p.t.Fatal(err)
	}
}

// eval returns what a script in the page says.
func eval[T any](p *tab, script string) T {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](script))
	if err != nil {
		p.t.Fatalf("%s: %v", script, err)
	}
	return v
}

func evalPromise(p *tab, script string) bool {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool](script, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatal(err)
	}
	return v
}

const shown = `[...document.querySelectorAll(".finding")].filter(f => f.checkVisibility()).length`

func (p *tab) picture(name string) {
	p.t.Helper()
	png, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.t.ArtifactDir(), name), png, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// quiet fails the test for anything loaded beside the page, and for anything the browser complained of.
func (p *tab) quiet() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.asked) != 1 || !strings.HasPrefix(p.asked[0], "file://") {
		p.t.Errorf("the page asked for %v", p.asked)
	}
	if len(p.wrong) > 0 {
		p.t.Errorf("the browser complained: %v", p.wrong)
	}
}

func (p *tab) hear(ev any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := ev.(type) {
	case *network.EventRequestWillBeSent:
		p.asked = append(p.asked, e.Request.URL)
	case *log.EventEntryAdded:
		p.wrong = append(p.wrong, e.Entry.Text)
	case *runtime.EventExceptionThrown:
		p.wrong = append(p.wrong, e.ExceptionDetails.Text)
	}
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

func choose(name, value string) string {
	return `{ const s = document.querySelector("select[name=` + name + `]"); s.value = "` + value + `"; s.dispatchEvent(new Event("change")); } ` + shown
}

func TestNothingIsLoadedFromElsewhere(t *testing.T) {
	p := open(t)
	if n := eval[int](p, `document.querySelectorAll(".plot canvas").length`); n != 4 {
		t.Errorf("%d pictures were drawn", n)
	}
	// Even what a script in the page would load is refused.
	if got := eval[string](p, `typeof fetch("http://127.0.0.1:1/x").catch(() => 0)`); got != "object" {
		t.Error(got)
	}
	p.mu.Lock()
	for _, u := range p.asked[1:] {
		t.Errorf("the page reached %s", u)
	}
	p.mu.Unlock()
}

func TestFilters(t *testing.T) {
	p := open(t)
	r := saved(t, "check.json")
	r.Load = saved(t, "load.json").Load
	r.Summarize()
	all := len(r.Checks) + len(r.Load.Findings)
	if got := eval[string](p, `document.querySelector("#shown").value`); got != fmt.Sprintf("%d rules", all) {
		t.Errorf("at first: %s", got)
	}
	inGroup := 0
	for _, c := range r.Checks {
		if c.Group == "request" {
			inGroup++
		}
	}
	for _, step := range []struct {
		what, script string
		want         int
	}{
		{"verdict fail", choose("verdict", "fail"), r.Summary.Fail},
		{"verdict pass", choose("verdict", "pass"), r.Summary.Pass},
		{"group request", choose("verdict", "") + ";" + choose("group", "request"), inGroup},
		{"group request, verdict fail", choose("verdict", "fail"), 1},
		{"cleared", `document.querySelector("#clear").click(); document.querySelectorAll(".finding:not([hidden])").length`, all},
		{"a tile", `document.querySelector(".tile[data-verdict=warn]").click(); ` + shown, r.Summary.Warn},
		{"the tile again", `document.querySelector(".tile[data-verdict=warn]").click(); document.querySelectorAll(".finding:not([hidden])").length`, all},
	} {
		if got := eval[int](p, step.script); got != step.want {
			t.Errorf("%s: %d shown, want %d", step.what, got, step.want)
		}
	}
	p.quiet()
}

func TestSearchAndKeys(t *testing.T) {
	p := open(t)
	p.do(chromedp.KeyEvent("/"))
	if got := eval[string](p, `document.activeElement.id`); got != "search" {
		t.Fatalf("/ went to %q", got)
	}
	eval[int](p, `document.activeElement.value = ""; 0`) // the driver types a / whether or not the page declined it
	p.do(chromedp.KeyEvent("pragma gateway"))
	if n := eval[int](p, shown); n != 1 {
		t.Errorf("%d found with %q", n, eval[string](p, `document.querySelector("#search").value`))
	}
	p.do(chromedp.KeyEvent(kb.Escape))
	if got := eval[string](p, `document.querySelector("#search").value`); got != "" {
		t.Errorf("Escape left %q", got)
	}
	p.do(chromedp.KeyEvent("j"), chromedp.KeyEvent("j"), chromedp.KeyEvent("k"), chromedp.KeyEvent("j"))
	if got := eval[string](p, `document.activeElement.closest(".finding").id`); got != eval[string](p, `document.querySelectorAll(".finding")[1].id`) {
		t.Errorf("j j k j went to %s", got)
	}
	was := eval[bool](p, `document.activeElement.closest(".finding").open`)
	p.do(chromedp.KeyEvent(kb.Enter))
	if eval[bool](p, `document.activeElement.closest(".finding").open`) == was {
		t.Error("Enter did not unfold")
	}
	eval[int](p, `location.hash = "response.json-body"; 0`)
	if !evalPromise(p, `new Promise(done => setTimeout(() => done(document.getElementById("response.json-body").checkVisibility() && document.getElementById("response.json-body").open), 50))`) {
		t.Error("a link to a rule does not unfold it")
	}
	p.quiet()
}

func TestLightDarkAndWithoutScript(t *testing.T) {
	p := open(t)
	color := func() string { return eval[string](p, `getComputedStyle(document.body).backgroundColor`) }
	p.picture("light.png")
	light := color()
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}})
	p.picture("dark.png")
	if dark := color(); dark == light {
		t.Errorf("dark is %s, as light", dark)
	}
	if n := eval[int](p, `document.querySelectorAll(".plot canvas").length`); n != 4 {
		t.Errorf("%d pictures were drawn again", n)
	}
	p.quiet()

	p = open(t, func(p *tab) {
		call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	})
	p.picture("no-script.png")
	if n := eval[int](p, `[...document.querySelectorAll(".plot svg")].filter(s => s.checkVisibility()).length`); n != 4 {
		t.Errorf("%d pictures without a script", n)
	}
	if eval[bool](p, `document.querySelector(".tools").checkVisibility()`) {
		t.Error("filters that cannot work are shown")
	}
	p.quiet()
}
