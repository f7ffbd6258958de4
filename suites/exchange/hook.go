package exchange

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"time"
)

// Hook asks a hook of the contract for a value that only the outside can make. request is a JSON
// object; see [Target.RunHook].
func (t *Target) Hook(name string, request []byte) (string, error) {
	spec, ok := t.Contract.Hooks[name]
	if !ok || spec == "" {
		return "", fmt.Errorf("hook %s: the contract names none; add it under hooks", name)
	}
	return t.RunHook(context.Background(), spec, request)
}

// RunHook asks spec, a shell command or an http(s) address, for a value. A command reads request on
// its standard input, an address gets it as the JSON body of a POST. The answer is the value as
// plain text, or a JSON object with it as code, value or redirect; a redirect, a URL that holds the
// code, is answered whole.
func (t *Target) RunHook(ctx context.Context, spec string, request []byte) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, t.opt.HookTimeout)
	defer cancel()
	var out []byte
	var err error
	if strings.HasPrefix(spec, "http://") || strings.HasPrefix(spec, "https://") {
		out, err = t.hookURL(ctx, spec, request)
	} else {
		out, err = hookCommand(ctx, spec, request)
	}
	if err != nil {
		if ctx.Err() == context.DeadlineExceeded {
			err = fmt.Errorf("no answer within %s", t.opt.HookTimeout)
		}
		return "", fmt.Errorf("hook %q: %s", Printable(t.Redactor.Redact(spec), 120), Printable(t.Redactor.Redact(err.Error()), 400))
	}
	value, err := hookAnswer(out)
	if err != nil {
		return "", fmt.Errorf("hook %q: %w", Printable(t.Redactor.Redact(spec), 120), err)
	}
	return value, nil
}

func hookCommand(ctx context.Context, command string, request []byte) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Stdin = bytes.NewReader(request)
	var out, errs tail
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = time.Second // a grandchild that keeps the pipes open does not hold us up
	err := cmd.Run()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, strings.TrimSpace(string(errs.b)))
	}
	return out.b, nil
}

// tail keeps the first 64 KiB and takes the rest without keeping it.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	if room := 64<<10 - len(t.b); room > 0 {
		t.b = append(t.b, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

func (t *Target) hookURL(ctx context.Context, address string, request []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(request))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", JSONType)
	req.Header.Set("User-Agent", "grantcheck/"+Version)
	client := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: t.tls.Clone(), DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		return nil, fmt.Errorf("status %d: %s", resp.StatusCode, strings.TrimSpace(string(body)))
	}
	return body, nil
}

func hookAnswer(out []byte) (string, error) {
	text := strings.TrimSpace(string(out))
	if strings.HasPrefix(text, "{") {
		var answer struct{ Code, Value, Redirect, Error string }
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			return "", fmt.Errorf("its answer looks like JSON and is not: %w", err)
		}
		switch {
		case answer.Error != "":
			return "", errors.New(Printable(answer.Error, 300))
		case answer.Code != "":
			return answer.Code, nil
		case answer.Value != "":
			return answer.Value, nil
		case answer.Redirect != "":
			return answer.Redirect, nil
		}
		return "", errors.New(`its JSON answer has no member "code", "value" or "redirect" with a text`)
	}
	if text == "" {
		return "", errors.New("it answered nothing; it has to print the value")
	}
	if strings.ContainsAny(text, "\r\n") {
		return "", errors.New("it printed several lines; it has to print the value alone, or JSON")
	}
	return text, nil
}
