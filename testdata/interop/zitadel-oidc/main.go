// Command server serves the example provider of github.com/zitadel/oidc on loopback, with clients of
// our own. Its storage comes with the service user sid1 / verysecret and the person
// test-user@ADDRESS / verysecure. Usage: server PORT.
package main

import (
	"log"
	"log/slog"
	"net/http"
	"os"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
)

func main() {
	const callback = "http://127.0.0.1:9999/cb"
	address := "127.0.0.1:" + os.Args[1]
	issuer := "http://" + address + "/"
	for id, secret := range map[string]string{
		"lab-code": "lab-code-secret", "lab-code2": "lab-code2-secret", "lab-special": "a+b%26 c:d/e",
	} {
		storage.RegisterClients(storage.WebClient(id, secret, callback))
	}
	storage.RegisterClients(storage.NativeClient("lab-public", callback))

	users := storage.NewStorage(storage.NewUserStore(issuer))
	provider := exampleop.SetupServer(issuer, users, slog.New(slog.DiscardHandler), false)
	log.Fatal(http.ListenAndServe(address, provider))
}
