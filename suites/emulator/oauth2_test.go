package emulator

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// An independent client gets tokens for every grant, with either way to authenticate.
func TestOAuth2Client(t *testing.T) {
	e := start(t, "standard", Options{})
	c := e.Contract()
	ctx := context.Background()
	for name, style := range map[string]oauth2.AuthStyle{"basic": oauth2.AuthStyleInHeader, "body": oauth2.AuthStyleInParams} {
		t.Run(name, func(t *testing.T) {
			good := func(tok *oauth2.Token, err error) *oauth2.Token {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
				if !tok.Valid() || tok.Type() != "Bearer" {
					t.Errorf("token %+v", tok)
				}
				req, _ := http.NewRequest("GET", c.Resource.URL, nil)
				tok.SetAuthHeader(req)
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode != 200 {
					t.Errorf("resource answers %s", resp.Status)
				}
				return tok
			}
			cc := clientcredentials.Config{ClientID: c.Client.ID, ClientSecret: c.Client.Secret, TokenURL: e.URL(), AuthStyle: style, Scopes: []string{"read"}}
			good(cc.Token(ctx))

			cfg := oauth2.Config{
				ClientID: c.Client.ID, ClientSecret: c.Client.Secret, RedirectURL: c.Client.RedirectURI, Scopes: []string{"openid", "read"},
				Endpoint: oauth2.Endpoint{TokenURL: e.URL(), AuthURL: c.AuthorizationEndpoint.URL, AuthStyle: style},
			}
			good(cfg.PasswordCredentialsToken(ctx, c.User.UserName, c.User.Password))

			verifier := oauth2.GenerateVerifier()
			resp, err := noRedirects.Get(cfg.AuthCodeURL("state-1", oauth2.S256ChallengeOption(verifier)))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			back, err := resp.Location()
			if err != nil || back.Query().Get("state") != "state-1" {
				t.Fatalf("%s %v %v", resp.Status, back, err)
			}
			tok := good(cfg.Exchange(ctx, back.Query().Get("code"), oauth2.VerifierOption(verifier)))
			if s, _ := tok.Extra("id_token").(string); s == "" {
				t.Error("no id_token")
			}
			old := *tok
			old.AccessToken = ""
			next := good(cfg.TokenSource(ctx, &old).Token())
			if next.RefreshToken == tok.RefreshToken {
				t.Error("refresh token was not rotated")
			}
		})
	}
}

// code asks the hook for a code.
func (e *Emulator) freshCode(t *testing.T, in map[string]any) string {
	t.Helper()
	body, _ := json.Marshal(in)
	resp, err := http.Post(e.base+codeHookPath, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	var out struct{ Code string }
	if err := json.Unmarshal(data, &out); err != nil || out.Code == "" {
		t.Fatalf("hook: %s %s", resp.Status, data)
	}
	return out.Code
}

func (e *Emulator) exchangeCode(t *testing.T, code string, more ...string) reply {
	t.Helper()
	v := form("grant_type", "authorization_code", "code", code, "redirect_uri", e.Contract().Client.RedirectURI)
	for i := 0; i < len(more); i += 2 {
		if more[i+1] == "-" {
			v.Del(more[i])
		} else {
			v.Set(more[i], more[i+1])
		}
	}
	return e.ask(t, request{form: v, basic: e.primary()})
}

func codeWith(e *Emulator, extra ...any) map[string]any {
	in := map[string]any{"redirect_uri": e.Contract().Client.RedirectURI, "client": ""}
	for i := 0; i < len(extra); i += 2 {
		in[extra[i].(string)] = extra[i+1]
	}
	return in
}
