package emulator

import (
	"io"
	"net"
	"net/http"
	"sync"
)

// proxyHandler is an HTTP proxy to this emulator under the name of TLS.Host: any port of that name
// but 80 leads to the TLS listener, port 80 to the plain endpoint where TLS.Plain asks for one, and
// nothing leads elsewhere. Through it the emulator is no loopback address to a client.
func (e *Emulator) proxyHandler(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		if r.URL.Hostname() != e.opt.TLS.Host || !e.opt.TLS.Plain {
			http.Error(w, "nothing listens there", http.StatusBadGateway)
			return
		}
		e.ServeHTTP(w, r)
		return
	}
	host, _, _ := net.SplitHostPort(r.Host)
	if host != e.opt.TLS.Host {
		http.Error(w, "nothing listens there", http.StatusBadGateway)
		return
	}
	far, err := net.Dial("tcp", e.listeners[0].Addr().String())
	if err != nil {
		http.Error(w, "no connection", http.StatusBadGateway)
		return
	}
	defer far.Close()
	near, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer near.Close()
	if _, err := io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	var wg sync.WaitGroup
	pass := func(to net.Conn, from io.Reader) {
		io.Copy(to, from)
		near.Close()
		far.Close()
	}
	wg.Go(func() { pass(far, buf) })
	wg.Go(func() { pass(near, far) })
	wg.Wait()
}

// ProxyURL is the HTTP proxy through which the name TLS.Host leads here; "" where no name is given.
func (e *Emulator) ProxyURL() string {
	if e.proxy == nil {
		return ""
	}
	return "http://" + e.proxy.Addr().String()
}
