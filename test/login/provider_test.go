package login

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

const password = "correct horse battery staple"

// groups are the groups of each person, by e-mail address.
var groups = map[string][]string{
	"alice@example.com":   {"staff", "auditors"},
	"mallory@example.com": {"staff"},
}

// people is the provider's storage, which also knows groups.
type people struct{ *storage.Storage }

// SetUserinfoFromToken adds the claim groups to the answer of the provider's userinfo endpoint.
func (p people) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, tokenID, subject, origin string) error {
	if err := p.Storage.SetUserinfoFromToken(ctx, info, tokenID, subject, origin); err != nil {
		return err
	}
	info.AppendClaims("groups", groups[info.Email])
	return nil
}

// startProvider starts an OIDC provider: the server of the examples of zitadel/oidc, whose protocol is that library's. It
// has a client, and the people in groups, who log in with their e-mail address.
func startProvider(t *testing.T, clientID, secret, redirect string) *httptest.Server {
	t.Helper()
	users := map[string]storage.User{}
	for email := range groups {
		users[email] = storage.User{ID: email, Username: email, Password: password, Email: email, EmailVerified: true}
	}
	text, err := json.Marshal(users)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "users.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := storage.StoreFromFile(file)
	if err != nil {
		t.Fatal(err)
	}
	storage.RegisterClients(storage.WebClient(clientID, secret, redirect))
	server := httptest.NewUnstartedServer(nil)
	issuer := "https://" + server.Listener.Addr().String()
	server.Config.Handler = exampleop.SetupServer(issuer, people{storage.NewStorage(store)}, slog.New(slog.NewTextHandler(io.Discard, nil)), false)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}
