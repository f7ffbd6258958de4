package emulator

import (
	"context"
	"testing"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// Under every variation an independent client still gets along, and a bad secret is still refused.
func TestVariationsServeAClient(t *testing.T) {
	for _, v := range Variations() {
		t.Run(v.Name, func(t *testing.T) {
			e := start(t, "standard", Options{Variations: []string{v.Name}})
			c := e.Contract()
			cfg := clientcredentials.Config{ClientID: c.Client.ID, ClientSecret: c.Client.Secret, TokenURL: e.URL(), AuthStyle: oauth2.AuthStyleInParams, Scopes: []string{"read", "write"}}
			if c.Client.Auth[0] == "basic" {
				cfg.AuthStyle = oauth2.AuthStyleInHeader
			}
			ctx := context.WithValue(t.Context(), oauth2.HTTPClient, e.caller())
			tok, err := cfg.Token(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if !tok.Valid() || tok.Type() != "Bearer" {
				t.Errorf("token %+v", tok)
			}
			if !e.alive(t, tok.AccessToken) {
				t.Error("token is not active")
			}
			cfg.ClientSecret = "wrong"
			if _, err = cfg.Token(ctx); err == nil {
				t.Error("a wrong secret got a token")
			} else if re, ok := err.(*oauth2.RetrieveError); !ok || re.ErrorCode != "invalid_client" {
				t.Errorf("wrong secret: %v", err)
			}
		})
	}
}
