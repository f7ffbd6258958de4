// Command server serves github.com/go-oauth2/oauth2 with its stores in memory, on loopback. Whoever
// comes to /authorize is alice and has consented. Usage: server PORT.
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/errors"
	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/models"
	"github.com/go-oauth2/oauth2/v4/server"
	"github.com/go-oauth2/oauth2/v4/store"
)

func main() {
	clients := store.NewClientStore()
	for id, secret := range map[string]string{
		"lab-basic": "lab-basic-secret", "lab-post": "lab-post-secret", "lab-special": "a+b%26 c:d/e",
		"lab-code": "lab-code-secret", "lab-code2": "lab-code2-secret",
	} {
		clients.Set(id, &models.Client{ID: id, Secret: secret, Domain: "http://127.0.0.1:9999"})
	}
	manager := manage.NewDefaultManager()
	manager.MapClientStorage(clients)
	manager.MustTokenStorage(store.NewMemoryTokenStore())
	manager.SetClientTokenCfg(&manage.Config{AccessTokenExp: 10 * time.Minute})
	manager.SetRefreshTokenCfg(&manage.RefreshingConfig{
		AccessTokenExp: 10 * time.Minute, RefreshTokenExp: time.Hour,
		IsGenerateRefresh: true, IsRemoveAccess: true, IsRemoveRefreshing: true,
	})

	srv := server.NewServer(server.NewConfig(), manager)
	srv.SetClientInfoHandler(func(r *http.Request) (id, secret string, err error) {
		if _, _, ok := r.BasicAuth(); ok {
			return server.ClientBasicHandler(r)
		}
		return server.ClientFormHandler(r)
	})
	srv.SetPasswordAuthorizationHandler(func(_ context.Context, _, name, password string) (string, error) {
		if name != "alice" || password != "wonderland" {
			return "", errors.ErrInvalidGrant
		}
		return name, nil
	})
	srv.SetUserAuthorizationHandler(func(http.ResponseWriter, *http.Request) (string, error) { return "alice", nil })
	srv.SetClientScopeHandler(func(tgr *oauth2.TokenGenerateRequest) (bool, error) {
		switch tgr.Scope {
		case "", "api:read", "api:write":
			return true, nil
		}
		return false, nil
	})

	http.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		if err := srv.HandleTokenRequest(w, r); err != nil {
			log.Print(err)
		}
	})
	http.HandleFunc("/authorize", func(w http.ResponseWriter, r *http.Request) {
		if err := srv.HandleAuthorizeRequest(w, r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
