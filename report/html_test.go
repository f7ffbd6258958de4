package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// elements returns all elements of a page in order.
func elements(t *testing.T, page string) (out []*html.Node) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			out = append(out, n)
		}
	}
	return out
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func content(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return b.String()
}

func pageOf(t *testing.T, r Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteHTML(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTheLargestUsualPageStaysSmall(t *testing.T) {
	if n := len(pageOf(t, whole())); n > 1_500_000 {
		t.Errorf("%d bytes", n)
	}
	r := whole() // and however much a server sends
	for i := range r.Exchanges {
		if r.Exchanges[i].Response != nil {
			answer := *r.Exchanges[i].Response
			answer.Body = strings.Repeat("<b>long answer</b> ", 4000)
			r.Exchanges[i].Response = &answer
		}
	}
	if n := len(pageOf(t, r)); n > 1_900_000 {
		t.Errorf("%d bytes when every answer is long", n)
	}
}

func TestThePageAllowsItsOwnScriptAndStyleOnly(t *testing.T) {
	for _, r := range []Run{fixture(), loadFixture(60)} {
		var policy string
		var hashes []string
		for _, e := range elements(t, pageOf(t, r)) {
			switch {
			case e.Data == "meta" && attr(e, "http-equiv") == "Content-Security-Policy":
				policy = attr(e, "content")
			case e.Data == "style", e.Data == "script" && attr(e, "type") == "":
				sum := sha256.Sum256([]byte(e.FirstChild.Data))
				hashes = append(hashes, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
			}
		}
		if !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
			t.Errorf("policy %s", policy)
		}
		if len(hashes) != 2 || !strings.Contains(policy, "style-src "+hashes[0]) || !strings.Contains(policy, "script-src "+hashes[1]) {
			t.Errorf("policy %s does not name %v", policy, hashes)
		}
	}
}

func TestThePageTellsEveryCheckOnce(t *testing.T) {
	for _, r := range []Run{fixture(), several(), whole()} {
		var got []string
		ids := map[string]bool{}
		for _, e := range elements(t, pageOf(t, r)) {
			if id := attr(e, "id"); id != "" {
				if ids[id] {
					t.Errorf("id %s twice", id)
				}
				ids[id] = true
			}
			if e.Data == "a" && strings.HasPrefix(attr(e, "href"), "#") {
				defer func(id string) {
					if !ids[id] {
						t.Errorf("a link leads to #%s, which is not there", id)
					}
				}(attr(e, "href")[1:])
			}
			if strings.HasPrefix(attr(e, "class"), "finding") {
				got = append(got, attr(e, "data-contract")+" "+attr(e, "data-verdict")+" "+strings.TrimPrefix(attr(e, "id"), attr(e, "data-contract")+":"))
			}
		}
		var want []string
		for _, c := range r.Checks {
			want = append(want, c.Contract+" "+string(c.Verdict)+" "+c.Rule)
		}
		if r.Load != nil {
			for _, f := range r.Load.Findings {
				want = append(want, " "+string(f.Verdict)+" "+f.Name)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("findings %v\nwant %v", got, want)
		}
	}
}

// Without its script the page shows the same: nothing is hidden but what only the script can use.
func TestThePageReadsWithoutJavaScript(t *testing.T) {
	var text string
	for _, e := range elements(t, pageOf(t, loadFixture(60))) {
		if e.Data == "body" {
			text = content(e)
		}
		for _, a := range e.Attr {
			if a.Key == "hidden" && attr(e, "class") != "tools" {
				t.Errorf("hidden %s", e.Data)
			}
		}
		if e.Data == "noscript" && !strings.Contains(e.FirstChild.Data, "<polyline") {
			t.Errorf("no picture in %s", e.FirstChild.Data)
		}
	}
	for _, want := range []string{"judged 2 of 3 thresholds", "throttled_rate == 0", "6.34 %", "invalid_client came to credentials", "47/s (between 46.8/s and 47.3/s)", "curl -sS"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestThePicturesHoldTheFigures(t *testing.T) {
	r := loadFixture(60)
	data := regexp.MustCompile(`<script id="data" type="application/json">(.*?)</script>`).FindStringSubmatch(pageOf(t, r))
	if data == nil {
		t.Fatal("no data")
	}
	var plots []htmlPlot
	if err := json.Unmarshal([]byte(data[1]), &plots); err != nil {
		t.Fatal(err)
	}
	if len(plots) != 4 {
		t.Fatalf("%d pictures", len(plots))
	}
	for _, p := range plots {
		if len(p.Data) != len(p.Names)+1 || len(p.Colors) != len(p.Names) {
			t.Errorf("%s: %d columns, %d names, %d colours", p.ID, len(p.Data), len(p.Names), len(p.Colors))
		}
	}
	last := r.Load.Series[59]
	if at := plots[1].Data; *at[1][59] != float64(last.Token) || *at[2][59] != float64(last.Throttled) || *at[4][59] != float64(last.Planned) {
		t.Errorf("the last window is %v %v %v", *at[1][59], *at[2][59], *at[4][59])
	}
	curve := plots[2].Data
	h := r.Load.histogram("all", "response")
	for i, x := range curve[0] {
		if *x > 99 && *x < 102 { // p99
			if got, want := *curve[2][i], float64(h.ValueAtQuantile(99))/1000; got < want*0.95 || got > want*1.05 {
				t.Errorf("the curve has %v at p99, the histogram %v", got, want)
			}
		}
	}
}

func TestTheSameRunMakesTheSamePage(t *testing.T) {
	first, second := pageOf(t, whole()), pageOf(t, whole())
	if first != second {
		t.Error("two pages of one run differ")
	}
}
